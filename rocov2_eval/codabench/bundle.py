"""Make a competition: gather the files of its archive, score its starting kit, write it.

```
README.md                     for the organisers
competition.yaml  logo.png    pages/*.md
scoring_program_<task>/       metadata.yaml; without an image score.py and wheels/
reference_data_<task>/        the truth, and nothing of it anywhere else
starting_kit/                 README.md, a wheel of this package; <task>/run.csv and <task>/submission.json
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from rocov2_eval.codabench import texts
from rocov2_eval.codabench.tasks import IMAGE_VECTORS, BundleOptions, CompetitionTask, read_tasks
from rocov2_eval.codabench.wheels import IMAGE, own_wheel, wheel_files
from rocov2_eval.formats import Source
from rocov2_eval.metrics import METRICS
from rocov2_eval.pages.disclosure import advice, public_report
from rocov2_eval.pages.tables import title_of
from rocov2_eval.records import MetricResult, Task
from rocov2_eval.rendering.render import findings_text
from rocov2_eval.scoring import evaluate
from rocov2_eval.shelf.archives import zip_bytes
from rocov2_eval.shelf.progress import Notify
from rocov2_eval.truth import Place
from rocov2_eval.validation import read_run

_DEFAULT_QUEUE_SECONDS = 1200  # the longest that the public platform's own workers let a submission run
_BASE_SECONDS = 600  # installing, reading, intervals, pages: a fraction of it is measured
_SECONDS_PER_IMAGE = 0.01  # 10,000 images take half a minute
# Two captions of 30 tokens at 1.02 GFLOP a token are 61 GFLOP; two processor cores do some 40 a second.
_SECONDS_PER_IMAGE_WITH_MODEL = 2.0
_SECONDS_PER_FURTHER_MODEL = 0.5  # the others are a fifth of that encoder and smaller


def make_bundle(place: Place, options: BundleOptions, notify: Notify) -> bytes:
    """Return the archive of a competition, after its starting kit has been scored.

    Args:
        place: Where the truth lies.
        options: What the organiser chose.
        notify: Called with a sentence for the organiser.

    Raises:
        UsageFault: The options do not fit the truth.
        MissingResource: The truth or the wheels cannot be had.
        RejectedInput: The truth is broken, or does not fit the edition.
    """
    tasks = read_tasks(place, options, notify)
    wheels = {} if options.image else wheel_files(options.wheels)
    kit_wheel, kit_wheel_bytes = own_wheel()
    written = texts.competition_files(
        tasks, docker_image=options.image or IMAGE, time_limit=time_limit(tasks), wheel=kit_wheel
    )
    scores: dict[Task, Mapping[str, MetricResult]] = {}
    content = {
        "logo.png": (files("rocov2_eval.codabench") / "templates/logo.png").read_bytes(),
        f"starting_kit/{kit_wheel}": kit_wheel_bytes,
    }
    for task in tasks:
        if task.truth.findings:
            notify(findings_text(task.truth.findings).rstrip())
        scores[task.name] = _kit_scores(task)
        written[f"starting_kit/{task.name}/run.csv"] = texts.example_run(task)
        written[f"starting_kit/{task.name}/submission.json"] = texts.example_metadata(task)
        content |= _below(f"reference_data_{task.name}", _reference_data(task))
        content |= _below(f"scoring_program_{task.name}", _program(task, options.image, wheels))
    written["README.md"] = texts.organisers_readme(tasks, scores, options.image)
    for note in _surprises(tasks):
        notify(note)
    return zip_bytes(content | {name: text.encode() for name, text in written.items()})


def time_limit(tasks: Sequence[CompetitionTask]) -> int:
    """Return the seconds that a submission to the slowest task may take on two processor cores.

    600 s, and for each image 0.01 s, or 2 s for a score with a model and 0.5 s for each further one; whole
    minutes.
    """
    slowest = max(task.images * _seconds_per_image(task.models) for task in tasks)
    return -int(-(_BASE_SECONDS + slowest) // 60) * 60


def _seconds_per_image(models: int) -> float:
    if not models:
        return _SECONDS_PER_IMAGE
    return _SECONDS_PER_IMAGE_WITH_MODEL + (models - 1) * _SECONDS_PER_FURTHER_MODEL


def _kit_scores(task: CompetitionTask) -> Mapping[str, MetricResult]:
    """Return what the starting kit's run scores, as the platform will show it; no score that needs a model.

    Raises:
        RejectedInput: The run is not valid against this truth, so that no run could be.
    """
    metrics = tuple(name for name in task.settings.metrics if name in METRICS and METRICS[name].load is None)
    settings = replace(task.settings, metrics=metrics, bootstrap=None)
    source = Source(path=f"starting_kit/{task.name}/run.csv", sha256="", text=texts.example_run(task))
    run = read_run(source, settings.edition, task.name)
    report = evaluate(run, task.truth, settings, lambda *_: nullcontext())
    return public_report(report, task.decimals).metrics


def _reference_data(task: CompetitionTask) -> dict[str, bytes]:
    """Return the truth files of a task as they are, under names that tell the split.

    Beside the answers only the manual concepts are needed, where a score reads them, and likewise the vectors
    of the images.
    """
    prefix = f"{task.truth.split}_" if task.truth.split else ""
    paths: dict[str, str | Path] = {f"{prefix}{task.name}.csv": task.truth.inputs[0][0]}
    if task.truth.manual is not None:
        paths[f"{prefix}concepts_manual.csv"] = task.truth.inputs[-1][0]  # they are read last
    if task.settings.image_vectors is not None:
        paths[IMAGE_VECTORS] = task.settings.image_vectors
    return {name: Path(path).read_bytes() for name, path in paths.items()}


def _program(task: CompetitionTask, image: str | None, wheels: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the scoring program of a task. The platform splits its command at blanks; there is no shell."""
    start = "rocov2-eval score --codabench" if image else "python3 /app/program/score.py"
    decimals = "" if task.decimals is None else f" --decimals {task.decimals}"
    command = json.dumps(f"{start} /app/input /app/output {task.arguments}{decimals}")  # JSON is YAML too
    program = {"metadata.yaml": f"command: {command}\n".encode()}
    if image:
        return program
    score = (files("rocov2_eval.codabench") / "program.py").read_bytes()
    return program | {"score.py": score} | _below("wheels", wheels)


def _surprises(tasks: Sequence[CompetitionTask]) -> list[str]:
    """Return what an organiser may not expect of the scores and of the platform."""
    notes = [f"NOTE: {task.name}: {advice(task.images, task.decimals)}" for task in tasks]
    if time_limit(tasks) > _DEFAULT_QUEUE_SECONDS:
        notes.append(
            f"NOTE: a submission may take {time_limit(tasks):,} s, but the platform's own workers stop "
            f"at {_DEFAULT_QUEUE_SECONDS:,} s: set `queue` in competition.yaml to a queue of your own."
        )
    if len(tasks) > 1:
        notes.append(
            f"NOTE: the platform has one leaderboard, ranked by {title_of(tasks[0].columns[0])}. For "
            "one ranking per task, make two competitions: one with --task concepts, one with --task "
            "captions."
        )
    return notes


def _below(folder: str, content: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in content.items()}
