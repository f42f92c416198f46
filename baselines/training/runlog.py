"""What a run leaves behind so that somebody else can repeat it, and believe it.

run/
  run.json            recipe with every default, data and their digests, versions, git, device, scores
  metrics.jsonl       one line an epoch
  last.safetensors    to go on from
  best.safetensors    the averaged weights of the best epoch
  README.md           model card
  tensorboard/        the lines of metrics.jsonl for TensorBoard, if asked for
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from baselines.documents import read_document, write_document
from rocov2_eval import __version__
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.parsing import Malformed, json_as, json_bytes

RUN, METRICS = "run.json", "metrics.jsonl"
_LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "safetensors", "numpy", "pillow")
_NO_GIT: dict[str, Any] = {"commit": None, "is_changed": None}


def write_run(folder: Path, document: Mapping[str, Any]) -> None:
    """Write the record of a run."""
    write_document(folder / RUN, document)


def read_run(folder: Path) -> dict[str, Any]:
    """Return the record of a run.

    Raises:
        MissingResource: The folder holds no run.
        RejectedInput: The record is damaged.
    """
    document: dict[str, Any] = read_document(folder / RUN, dict)
    if not isinstance(document.get("recipe"), dict):
        raise RejectedInput(f"{folder / RUN}: expected an object with a recipe")
    return document


def surroundings(device: Any) -> dict[str, Any]:  # noqa: ANN401  torch is Any
    """Return versions, machine and state of the repository, as far as they can be told."""
    versions: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "tool": {"name": "rocov2-baselines", "version": __version__},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "versions": versions,
        "git": _git(),
    }


def begin_metrics(folder: Path, *, keep_to: int) -> None:
    """Keep the lines up to a step: what a killed session wrote beyond its last checkpoint is done again."""
    path = folder / METRICS
    # The last line has no end where a session was killed in the middle of it.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    whole = [line for line in lines if line.endswith("\n")]
    rows = zip(whole, _rows(path, "".join(whole)), strict=True)
    write_text(path, "".join(line for line, row in rows if row.get("step", keep_to) <= keep_to))


def add_metrics(folder: Path, facts: Mapping[str, Any]) -> None:
    """Add the facts of an epoch."""
    with (folder / METRICS).open("a", encoding="utf-8") as file:
        file.write(json_bytes(facts).decode() + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the facts of all epochs."""
    path = folder / METRICS
    return _rows(path, path.read_text(encoding="utf-8"))


def _rows(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        return [json_as(line, dict[str, Any]) for line in text.splitlines()]
    except Malformed as error:
        raise RejectedInput(f"{path}: changed or damaged: {error}; copy the folder again") from None


@contextmanager
def board(folder: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield what shows the facts of an epoch in TensorBoard: `tensorboard --logdir RUN`.

    Raises:
        MissingResource: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingResource(f"{error.name} is not installed: pip install tensorboard") from None

    def show(facts: Mapping[str, Any]) -> None:
        for name, value in facts.items():
            writer.add_scalar(name, value, facts["step"])

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        yield show


def _git() -> dict[str, Any]:
    """Return the commit that the program runs from, if it runs from a repository."""
    git = shutil.which("git")
    root = Path(__file__).resolve().parents[2]
    if git is None or not (root / ".git").exists():
        return _NO_GIT

    def asked(*arguments: str) -> str | None:
        done = subprocess.run(  # noqa: S603  our own arguments
            [git, "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit, changes = asked("rev-parse", "HEAD"), asked("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "is_changed": None if changes is None else bool(changes)}
