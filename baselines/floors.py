"""The baseline rows of an organiser's board: every floor trained, answered and laid out as a submission.

out/                 the folder of a team
  most-frequent/     run.csv  submission.json  README.md (the model card)
  nearest-pixels/    of concepts
  constant-caption/
  nearest-caption/   of captions
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from baselines.config import Recipe, read_recipe
from baselines.documents import write_document
from baselines.predictions import predict
from baselines.runs import card_of, train_run
from baselines.session import Session
from rocov2_eval.conversion import converted
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.records import Task
from rocov2_eval.schemas import check_document
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.folders import publishing

FLOORS: Mapping[Task, tuple[str, ...]] = {
    "concepts": ("floor_most_frequent", "floor_nearest_pixels"),
    "captions": ("floor_constant_caption", "floor_nearest_caption"),
}
_PREFIX = "floor_"
_CONTACT = "organisers@example.org"  # submission.json needs one, and the organisers know themselves


def write_floors(session: Session, split: str, out: Path, edition: str) -> tuple[str, ...]:
    """Write the floors of every task that the dataset has; return the names of their folders.

    Args:
        session: The data and the device.
        split: The split whose images are answered.
        out: The folder of a team among the submissions; runs of the same names are replaced.
        edition: Key of `EDITIONS`: what the board ranks, and in whose format runs are written.

    Raises:
        UsageFault: The split is the one that floors learn from, or the folder's name is no name of a team.
        MissingResource: The training split has no table.
    """
    team = out.resolve().name
    recipes = [(task, read_recipe(name)) for task in FLOORS for name in FLOORS[task]]
    train = recipes[0][1].tables["data"].train
    if split == train:
        raise UsageFault(f"--split {split}: floors learn from this split; select another one")
    tasks = [task for task in FLOORS if (session.data / f"{train}_{task}.csv").is_file()]
    if not tasks:
        tables = " and no ".join(f"{train}_{task}.csv" for task in FLOORS)
        raise MissingResource(
            f"{session.data}: no {tables}; floors need the answers of training images: put the {train} "
            f"split beside the {split} split"
        )
    chosen = [(task, recipe) for task, recipe in recipes if task in tasks]
    documents = {recipe.name: _metadata(team, task, recipe, split, edition) for task, recipe in chosen}
    for document in documents.values():
        if faults := check_document(f"{out}, split {split}", document, "submission"):
            raise UsageFault(f"{faults[0].path}: {faults[0].message}; no board accepts such a name")
    with TemporaryDirectory() as work, publishing(out, None) as folder:
        for number, (task, recipe) in enumerate(chosen, 1):
            session.display.note(f"{recipe.name} ({number} of {len(chosen)})")
            run, place = Path(work, recipe.name), folder / documents[recipe.name]["run"]
            train_run(recipe, session, run)
            predict([run], session, split, run / "run.csv")
            text, _, _ = converted(run / "run.csv", EDITIONS[edition], task=task)
            write_text(place / "run.csv", text)
            write_text(place / "README.md", card_of(run))
            write_document(place / "submission.json", documents[recipe.name])
    return tuple(document["run"] for document in documents.values())


def _metadata(team: str, task: Task, recipe: Recipe, split: str, edition: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "team": team,
        "run": recipe.name.removeprefix(_PREFIX).replace("_", "-"),
        "task": task,
        "edition": edition,
        "split": split,
        "method": f"{recipe.run.about[0].upper()}{recipe.run.about[1:]}.",
        "external_data": [],
        "contact": _CONTACT,
    }
