"""Make a competition: gather the files of its archive, try it, write it.

```
README.md                     for the organisers
competition.yaml  logo.png    pages/*.md
scoring_program_<task>/       metadata.yaml; without an image score.py and wheels/
reference_data_<task>/        the truth, and nothing of it anywhere else
starting_kit/                 README.md, a wheel of this package; <task>/run.csv and <task>/submission.json
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from rocov2_eval.codabench.archive import zipped
from rocov2_eval.codabench.competition import (
    DEFAULT_QUEUE_SECONDS,
    LOGO,
    STARTING_KIT,
    competition_document,
    program_folder,
    reference_folder,
    time_limit,
)
from rocov2_eval.codabench.logo import logo
from rocov2_eval.codabench.options import BundleOptions
from rocov2_eval.codabench.starting_kit import kit_files
from rocov2_eval.codabench.tasks import CompetitionTask, Notify, read_tasks
from rocov2_eval.codabench.texts import pages, readme
from rocov2_eval.codabench.trial import try_task
from rocov2_eval.codabench.wheels import own_wheel, wheel_files
from rocov2_eval.pages.tables import title_of
from rocov2_eval.rendering.render import findings_text
from rocov2_eval.scoring import Opener
from rocov2_eval.truth import Place

_FOLDERS = "/app/input /app/output"


def make_bundle(place: Place, options: BundleOptions, open_resource: Opener, notify: Notify) -> bytes:
    """Return the archive of a competition, after its starting kit has been scored by it.

    Args:
        place: Where the truth lies.
        options: What the competition is like.
        open_resource: Opens the model of a metric that has one.
        notify: Called with a sentence for the organiser.

    Raises:
        UsageFault: The options do not fit the truth.
        MissingResource: The truth or the wheels cannot be had, or the scoring program does not run.
        RejectedInput: The truth is broken.
    """
    tasks = read_tasks(place, options, notify)
    named = " and ".join(task.title for task in tasks)
    options = replace(options, title=options.title or f"ROCOv2: {named}")
    content = _content(tasks, options)
    scores: dict[str, Mapping[str, float | None]] = {}
    for task in tasks:
        if task.truth.findings:
            notify(findings_text(task.truth.findings).rstrip())
        scores[task.name] = try_task(task, content, open_resource, notify)
    _tell_rest(tasks, options, notify)
    return zipped(content | {"README.md": readme(tasks, options, scores)})


def _content(tasks: Sequence[CompetitionTask], options: BundleOptions) -> dict[str, bytes]:
    """Return all files of the archive by name but the README for the organisers."""
    own_name, own_content = own_wheel()
    content = {"competition.yaml": _yaml(competition_document(tasks, options)), LOGO: logo()}
    content |= pages(tasks, options, wheel=own_name)
    content |= _below(STARTING_KIT, kit_files(tasks) | {own_name: own_content})
    wheels = {} if options.image else wheel_files(options.wheels)
    for task in tasks:
        content |= _below(reference_folder(task), _reference_data(task))
        content |= _below(program_folder(task), _program(task, options, wheels))
    return content


def _reference_data(task: CompetitionTask) -> dict[str, bytes]:
    """Return the truth files of a task as they are, under names that tell the split.

    Beside the answers only the manual concepts are needed: for a score, and for breakdowns of captions too.
    """
    prefix = f"{task.truth.split}_" if task.truth.split else ""
    paths = {f"{prefix}{task.name}.csv": task.truth.inputs[0][0]}
    if task.truth.manual is not None:
        paths[f"{prefix}concepts_manual.csv"] = task.truth.inputs[-1][0]  # they are read last
    return {name: Path(path).read_bytes() for name, path in paths.items()}


def _program(task: CompetitionTask, options: BundleOptions, wheels: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the scoring program of a task. The platform splits its command at blanks; there is no shell."""
    arguments = " ".join(task.arguments)
    if options.image:
        return {"metadata.yaml": _yaml({"command": f"rocov2-eval score --codabench {_FOLDERS} {arguments}"})}
    return {
        "metadata.yaml": _yaml({"command": f"python3 /app/program/score.py {_FOLDERS} {arguments}"}),
        "score.py": (files("rocov2_eval.codabench") / "program.py").read_bytes(),
        **_below("wheels", wheels),
    }


def _tell_rest(tasks: Sequence[CompetitionTask], options: BundleOptions, notify: Notify) -> None:
    """Tell what the platform will do that an organiser may not expect."""
    limit = time_limit(tasks, options)
    if limit > DEFAULT_QUEUE_SECONDS and not options.queue:
        notify(
            f"NOTE: a submission may take {limit:,} s, and the platform's own workers stop at "
            f"{DEFAULT_QUEUE_SECONDS:,} s: name a queue of your own with --queue."
        )
    if len(tasks) > 1:
        notify(
            f"NOTE: the platform has one leaderboard, which ranks by {title_of(tasks[0].columns[0])}. For a "
            "ranking a task make two competitions, with --task concepts and with --task captions."
        )


def _below(folder: str, content: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in content.items()}


def _yaml(document: Mapping[str, Any]) -> bytes:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    return text.encode()
