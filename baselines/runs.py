"""A recipe and a dataset into a run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from baselines.card import model_card
from baselines.config import Recipe
from baselines.decisions.files import GAINS
from baselines.frozen.features import FROZEN
from baselines.looking import distinct, doubts
from baselines.preparation import Prepared, prepare
from baselines.session import Session
from baselines.training import checkpoint, runlog
from baselines.training.changed import BASES
from baselines.training.loop import BEST, LAST, train
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

_TOLD = ("captions", "self-critical", "frozen-captions")  # tasks whose answers are captions


def train_run(recipe: Recipe, session: Session, folder: Path, *, resume: bool = False) -> None:
    """Train what a recipe says, and leave a run folder behind.

    Args:
        recipe: What is trained, and how.
        session: The data, the device, and what is shown.
        folder: The run folder.
        resume: Go on with the run in the folder.

    Raises:
        UsageFault: The folder holds a run already, or something else, and is not to be resumed.
        RocoError: The data or recipe cannot work.
    """
    runtime = session.runtime
    if runtime.leads and not resume:  # the others would find what this process has begun to write
        _require_free(folder)
    with ExitStack() as stack:
        prepared = prepare(recipe, session, stack)
        record = {
            "recipe": recipe.document(),
            "name": recipe.name,
            "data": prepared.data,
            **runlog.surroundings(runtime.device),
            "precision": "bf16" if runtime.bf16 else "fp32",
            "processes": runtime.share.world,
            "unlearnt": prepared.unlearnt,
        }
        if runtime.leads:
            _begin(record, folder, resume=resume)
        runtime.barrier()
        facts = _trained(prepared, recipe, session, folder, resume=resume)
    if runtime.leads:
        header = checkpoint.read_header(folder / BEST)
        facts["scores"] = {f"valid_{name}": value for name, value in header["scores"].items()}
        facts[BASES] = header.get(BASES, {})
        runlog.write_run(folder, {**record, **facts})
        write_text(folder / "README.md", card_of(folder))
    runtime.barrier()


def card_of(folder: Path, *, whole: bool = False) -> str:
    """Return the model card of a finished run.

    Args:
        folder: The run folder.
        whole: The card is for a copy that holds frozen weights too, whatever the run folder holds.
    """
    gains = [row for _, row in read_rows(folder / GAINS)] if (folder / GAINS).is_file() else []
    record = runlog.read_run(folder)
    return model_card({**record, BASES: {}} if whole else record, runlog.read_metrics(folder), gains)


def doubts_of(folder: Path, answers: Path | None = None) -> list[str]:
    """Return what speaks for a captioner that ignores its pictures, a sentence each; none of other runs.

    Args:
        folder: A finished run, whose validation is asked.
        answers: A run file of it, whose captions are looked at too.
    """
    record = runlog.read_run(folder)
    if record["recipe"]["run"]["task"] not in _TOLD:
        return []
    scores = {name.removeprefix("valid_"): value for name, value in record.get("scores", {}).items()}
    if answers is not None:
        scores["distinct_captions"] = distinct([row["Caption"] for _, row in read_rows(answers)])
    return doubts(scores)


def refuse_other_recipe(folder: Path, recipe: Recipe, tables: Mapping[str, str]) -> None:
    """Refuse a run folder that was made by another recipe, or of other tables.

    Raises:
        UsageFault: A key, or the digest of a table, differs; the message names it.
    """
    record = runlog.read_run(folder)
    data = {**record["data"], "tables": dict(tables)}
    _refuse_other(record, {**record, "recipe": recipe.document(), "data": data}, folder)


def _require_free(folder: Path) -> None:
    """Refuse to begin a run in a folder that holds one, or something else."""
    if (folder / LAST).exists() or (folder / FROZEN).exists():
        raise UsageFault(
            f"{folder} contains a run already: continue it with --resume, or name another folder with --out"
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / runlog.RUN).is_file():
        raise UsageFault(f"{folder} contains other files than a run: name another folder with --out")


def _begin(record: Mapping[str, Any], folder: Path, *, resume: bool) -> None:
    """Write the record of a run, and cut its metrics back to its last checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    step = 0
    if resume:
        _refuse_other(runlog.read_run(folder), record, folder)
        step = checkpoint.read_header(folder / LAST)["state"]["step"] if (folder / LAST).exists() else 0
    runlog.begin_metrics(folder, keep_to=step)
    runlog.write_run(folder, record)


def _trained(
    prepared: Prepared, recipe: Recipe, session: Session, folder: Path, *, resume: bool
) -> dict[str, Any]:
    """Train or fit what was prepared; return what the record of the run gets."""
    licences = {"licences": dict(prepared.licences)} if prepared.licences else {}
    if prepared.fit:
        started = time.monotonic()
        prepared.fit(folder)
        return {"seconds": time.monotonic() - started, "steps": 0, **licences}
    assert prepared.objective is not None, "it is fitted or trained"

    def report(facts: Mapping[str, Any]) -> None:
        runlog.add_metrics(folder, facts)
        session.display.epoch(facts)

    state = train(
        prepared.objective,
        recipe.tables["training"],
        session.runtime,
        folder,
        recipe.run.seed,
        report,
        resume=resume,
        progress=session.display.steps,
    )
    return {"seconds": state.seconds, "steps": state.step, **licences}


def _refuse_other(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with another recipe or other data; where they lie and who decodes them may differ."""
    ours, theirs = _identity(now), _identity(before)
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            was, is_now = (shorten(repr(known.get(key)), 60) for known in (theirs, ours))
            raise UsageFault(
                f"{folder}: {key} is {is_now}, but this run began with {was}; use the same value, or "
                "begin another run"
            )


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a run what it is, flat: keys of the recipe, and digests of the data."""
    recipe, data = record["recipe"], record["data"]
    known = {f"{table}.{key}": value for table, options in recipe.items() for key, value in options.items()}
    for idle in ("run.about", "data.concepts", "data.workers"):
        known.pop(idle, None)
    known |= {f"digest of {Path(path).name}": digest for path, digest in data.get("tables", {}).items()}
    return known | {f"pixels of {split}": data[split]["pixels_sha256"] for split in ("train", "valid")}
