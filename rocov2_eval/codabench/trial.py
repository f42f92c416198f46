"""Try a competition before it is uploaded: score its starting kit as the platform will."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rocov2_eval.codabench.competition import STARTING_KIT, program_folder, reference_folder
from rocov2_eval.codabench.starting_kit import RUN
from rocov2_eval.codabench.submission import SCORES, score_submission
from rocov2_eval.codabench.tasks import CompetitionTask, Notify
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.metrics import METRICS
from rocov2_eval.models import ENCODERS, locate
from rocov2_eval.scoring import Opener

_MOST_IMAGES = 100  # whose captions a text encoder is tried on; more would take long


def try_task(
    task: CompetitionTask, content: Mapping[str, bytes], open_resource: Opener, notify: Notify
) -> dict[str, float | None]:
    """Score the starting kit's run of a task against its reference data.

    With wheels in the archive its own scoring program does it, where it can run here.

    Args:
        task: Of the competition.
        content: The files of the archive by name.
        open_resource: Opens the model of a metric that has one.
        notify: Called with a sentence where something could not be tried.

    Returns:
        The score of each column, None for one that was not tried.

    Raises:
        MissingResource: The scoring program does not run.
        RejectedInput: The run is not valid against this truth.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _unpack(root / "input/ref", f"{reference_folder(task)}/", content)
        _unpack(root / "input/res", f"{STARTING_KIT}/{task.name}/{RUN}", content)
        _unpack(root / "program", f"{program_folder(task)}/", content)
        if not (root / "program/score.py").exists():
            tried = _without_untried(task, notify)
            _score_here(root, tried, open_resource, notify)
        elif _can_install_wheels():
            tried = task
            _run_program(root, task)
        else:
            tried = task
            notify("NOTE: the wheels are for Linux on x86-64 and were not tried on this system.")
            _score_here(root, task, open_resource, notify)
        scores: dict[str, float] = json.loads((root / "output" / SCORES).read_text(encoding="utf-8"))
    assert tuple(scores) == tried.columns
    return {name: scores.get(name) for name in task.columns}


def _unpack(folder: Path, prefix: str, content: Mapping[str, bytes]) -> None:
    """Write the files below a prefix, or the file of that name, to a folder."""
    folder.mkdir(parents=True)
    for name, data in content.items():
        if name.startswith(prefix):
            path = folder / (name.removeprefix(prefix) or Path(name).name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)


def _without_untried(task: CompetitionTask, notify: Notify) -> CompetitionTask:
    """Return the task without the scores whose model is not at hand, or would take long."""
    encoder = task.settings.encoder
    if not task.has_model:
        return task
    if encoder not in ENCODERS or locate(encoder) is None:
        reason = f"the weights of {encoder} are not on this machine"
    elif task.images > _MOST_IMAGES:
        reason = f"{task.images:,} images take long"
    else:
        return task
    notify(f"NOTE: BERTScore was not tried: {reason}. Hand in the starting kit's captions after the upload.")
    metrics = tuple(name for name in task.settings.metrics if METRICS[name].load is None)
    return replace(task, settings=replace(task.settings, metrics=metrics))


def _score_here(root: Path, task: CompetitionTask, open_resource: Opener, notify: Notify) -> None:
    try:
        score_submission(
            root / "input",
            root / "output",
            task.settings,
            open_resource,
            task=task.name,
            split=task.truth.split,
        )
    except RejectedInput:
        notify(f"The starting kit's run of {task.name} is not valid against this truth:")
        raise


def _can_install_wheels() -> bool:
    return (sys.platform, platform.machine(), platform.libc_ver()[0]) == ("linux", "x86_64", "glibc")


def _run_program(root: Path, task: CompetitionTask) -> None:
    """Run the scoring program as its container does, but for the folders."""
    command = [sys.executable, "score.py", str(root / "input"), str(root / "output"), *task.arguments]
    done = subprocess.run(  # noqa: S603  words of our own
        command, cwd=root / "program", capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MissingResource(
            f"the scoring program of {task.name} does not run with these wheels:\n{done.stderr.strip()}\n"
            "Where a module is missing, install rocov2-eval again: its needs are read off its installation."
        )
