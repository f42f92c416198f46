"""The words of a competition: its pages, and the READMEs for organisers and participants."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from rocov2_eval import __version__
from rocov2_eval.codabench.competition import PAGES, STARTING_KIT, submission_rule
from rocov2_eval.codabench.options import BundleOptions
from rocov2_eval.codabench.starting_kit import ANSWERS, dialect_of, example_run
from rocov2_eval.codabench.tasks import CompetitionTask
from rocov2_eval.editions import EDITIONS
from rocov2_eval.metrics import METRICS
from rocov2_eval.pages.tables import title_of
from rocov2_eval.scoring import available, plan

_SEPARATORS: Mapping[str, str] = {
    ",": "a comma",
    "\t": "a tab",
    "|": "a vertical bar",
    "auto": "a vertical bar (or, if the first line has none, a tab)",
}
_EXAMPLE_LINES = 3


@dataclass(frozen=True, kw_only=True)
class TaskText:
    """What pages say of a task.

    Attributes:
        name, title: Of the task.
        images: Their number.
        split: None where unknown.
        columns: Titles of the scores, the one that ranks first.
        missing: Titles of the edition's scores that have no column.
        is_official: The score that ranks is the edition's own, by the edition's own encoder.
        encoder: Of BERTScore, None without it.
        separator: Between the cells, in words.
        quoted: Double quotes enclose cells.
        header: The first line must be a header; None where it may be.
        example: The first lines of a run.
        signatures: Everything that can move a score.
        arguments: Options that repeat the scoring elsewhere, for a shell.
        scores: Those of the starting kit by title, None for one that was not computed here; empty before.
    """

    name: str
    title: str
    images: int
    split: str | None
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    is_official: bool
    encoder: str | None
    separator: str
    quoted: bool
    header: bool | None
    example: str
    signatures: tuple[str, ...]
    arguments: str
    scores: Mapping[str, float | None]


def pages(tasks: Sequence[CompetitionTask], options: BundleOptions, *, wheel: str) -> dict[str, bytes]:
    """Return the pages of the competition and the README of the starting kit, by name in the archive.

    Args:
        tasks: Of the competition.
        options: What it is like.
        wheel: Name of the wheel in the starting kit.
    """
    texts = [_task_text(task, {}) for task in tasks]
    written = {f"pages/{name}": _filled(name, texts, options, wheel) for name in PAGES.values()}
    return written | {f"{STARTING_KIT}/README.md": _filled("starting_kit.md", texts, options, wheel)}


def readme(
    tasks: Sequence[CompetitionTask],
    options: BundleOptions,
    scores: Mapping[str, Mapping[str, float | None]],
) -> bytes:
    """Return what the organisers have to do, with the scores of the starting kit by task and column."""
    return _filled("readme.md", [_task_text(task, scores[task.name]) for task in tasks], options)


def _task_text(task: CompetitionTask, scores: Mapping[str, float | None]) -> TaskText:
    edition = task.settings.edition
    dialect = dialect_of(edition, task.name)
    official = (METRICS[name].outputs[0] for name in available(edition, task.name))
    return TaskText(
        name=task.name,
        title=task.title,
        images=task.images,
        split=task.truth.split,
        columns=tuple(title_of(name) for name in task.columns),
        missing=tuple(title_of(name) for name in official if name not in task.columns),
        is_official=task.ranks_officially,
        encoder=task.settings.encoder if task.has_model else None,
        separator=_SEPARATORS[dialect.delimiter],
        quoted=dialect.quoted,
        header={"none": False, "id_first": True}.get(dialect.header),
        example="".join(
            example_run(task, _EXAMPLE_LINES).splitlines(keepends=True)[:_EXAMPLE_LINES]
        ).rstrip(),
        signatures=tuple(step.signature for step in plan(task.settings, task.truth)),
        arguments=shlex.join(task.arguments),
        scores={title_of(name): score for name, score in scores.items()},
    )


def _filled(template: str, tasks: Sequence[TaskText], options: BundleOptions, wheel: str = "") -> bytes:
    """Return a text in Markdown, which holds words of ours and of the organisers, none of a participant."""
    environment = Environment(
        loader=PackageLoader("rocov2_eval.codabench", "templates"),
        autoescape=False,  # noqa: S701  Markdown, not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    written = environment.get_template(template).render(
        tasks=tasks,
        options=options,
        edition=EDITIONS[options.edition],
        submission_rule=submission_rule(tasks),
        answers=ANSWERS,
        wheel=wheel,
        version=__version__,
    )
    return written.encode()
