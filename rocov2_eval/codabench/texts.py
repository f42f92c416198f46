"""What is written of a competition: competition.yaml, pages, READMEs, and a run to start from.

Keys and limits of competition.yaml are those of the platform's reader, codalab/codabench:
`src/apps/competitions/unpackers/v2.py` at 8239d01, and of its page "YAML structure".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from rocov2_eval import __version__
from rocov2_eval.codabench.tasks import CompetitionTask
from rocov2_eval.formats import run_text
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.pages.disclosure import advice, most_submissions, most_submissions_per_day, public_decimals
from rocov2_eval.pages.tables import title_of
from rocov2_eval.records import MetricResult, Task
from rocov2_eval.rendering.values import value_text

# One answer for every image, chosen without looking at the truth: computed tomography, words of any caption.
_ANSWERS: Mapping[Task, str] = {"concepts": "C0040405", "captions": "Image of the patient"}
_SEPARATORS: Mapping[str, str] = {
    ",": "a comma",
    "\t": "a tab",
    "|": "a vertical bar",
    "auto": "a vertical bar (or, if the first line has none, a tab)",
}
_PAGES = ("overview", "evaluation", "format", "terms")
_EXAMPLE_LINES = 3


def example_run(task: CompetitionTask) -> str:
    """Return a run with the same answer for every image, in the dialect of the edition."""
    rows = [(image_id, _ANSWERS[task.name]) for image_id in task.truth.table.image_ids]
    return run_text(rows, task.dialect, task.name)


def example_metadata(task: CompetitionTask) -> str:
    """Return a submission.json for participants to fill in."""
    split = {"split": task.truth.split} if task.truth.split else {}
    metadata: dict[str, object] = {
        "schema_version": 1,
        "team": "your-team",
        "run": "your-run",
        "task": task.name,
        "edition": task.settings.edition.name,
        **split,
        "method": "How the run was made, in a few sentences.",
        "external_data": [],
        "contact": "you@example.org",
    }
    return json.dumps(metadata, indent=2) + "\n"


def competition_files(
    tasks: Sequence[CompetitionTask], *, docker_image: str, time_limit: int, wheel: str
) -> dict[str, str]:
    """Return competition.yaml, the pages, and the README of the starting kit, by name in the archive.

    Args:
        tasks: The tasks of the competition.
        docker_image: Image in which the scoring programs run.
        time_limit: Seconds that a submission may take.
        wheel: File name of the wheel in the starting kit.
    """
    return {
        "competition.yaml": _text(
            "competition.yaml",
            tasks,
            docker_image=docker_image,
            time_limit=time_limit,
            columns=leaderboard_columns(tasks),
            most_submissions=min(most_submissions(task.images) for task in tasks),
            most_submissions_per_day=min(most_submissions_per_day(task.images) for task in tasks),
        ),
        **{f"pages/{name}.md": _text(f"{name}.md", tasks) for name in _PAGES},
        "starting_kit/README.md": _text("starting_kit.md", tasks, wheel=wheel),
    }


def leaderboard_columns(tasks: Sequence[CompetitionTask]) -> list[dict[str, Any]]:
    """Return title, key and decimals of each column, and of which others the platform makes the mean.

    Tasks that write the same key share its column. A mean of columns would then be one of both tasks, and is
    left out.
    """
    keys = tasks[0].settings.edition.keys
    titles: dict[str, list[str]] = {}
    for task in tasks:
        for output in task.columns:
            key = keys.get(output, output)
            if key is not None or len(tasks) == 1:
                titles.setdefault(key or output, []).append(title_of(output))
    named = tasks[0].decimals
    decimals = max(public_decimals(task.images) for task in tasks) if named is None else named
    places = {key: index for index, key in enumerate(titles)}
    means = {output: DERIVED[output].members for output, key in keys.items() if key is None}
    return [
        {
            "key": key,
            "title": " or ".join(names),
            "decimals": decimals,
            "mean_of": [places[str(keys[member])] for member in means.get(key, ())],
        }
        for key, names in titles.items()
    ]


def organisers_readme(
    tasks: Sequence[CompetitionTask],
    scores: Mapping[Task, Mapping[str, MetricResult]],
    image: str | None,
) -> str:
    """Return what the organisers have to do.

    Args:
        tasks: The tasks of the competition.
        scores: Scores of the starting kit by task and name, those that were computed here.
        image: Docker image that the organisers made; None where the scoring programs install wheels.
    """
    return _text("readme.md", tasks, scores=scores, image=image)


def _text(template: str, tasks: Sequence[CompetitionTask], **values: object) -> str:
    """Return a text, which holds words of ours and of the organisers, none of a participant."""
    title = f"ROCOv2: {' and '.join(task.title for task in tasks)}"
    edition = tasks[0].settings.edition
    return _templates().get_template(template).render(tasks=tasks, title=title, edition=edition, **values)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("rocov2_eval.codabench", "templates"),
        autoescape=False,  # noqa: S701  Markdown and YAML, not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(
        score_title=title_of,
        advice=advice,
        score=lambda result: value_text(result.mean, "score", result.decimals),
        example=lambda task: "\n".join(example_run(task).splitlines()[:_EXAMPLE_LINES]),
    )
    templates.globals.update(
        answers=_ANSWERS,
        separators=_SEPARATORS,
        version=__version__,
    )
    return templates
