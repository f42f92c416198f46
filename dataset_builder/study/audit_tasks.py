"""Write a blind audit: a folder for each rater, and one that no rater may see.

out/
  raters/rater-1/concepts/    tasks and pictures of concepts
  raters/rater-1/missed/      tasks and pictures of images that are searched for missed concepts
  raters/rater-2/…
  secret/key.json             which item is which

`raters` holds nothing else: a tool may serve all of it.

Pictures are named after items, and every item has a copy of its own: the name of an image would tell raters
where to look its concepts up, and two items with one picture that the other is about the same image.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from dataset_builder.concepts.semantic_types import type_name
from dataset_builder.facets import MANUAL_NAMES, UNSURE, Choice, Facet
from dataset_builder.study import formats
from dataset_builder.study.annotations import RatingTask
from dataset_builder.study.audit_sample import AuditedImage, Item, Key, Kind
from dataset_builder.study.tasks import deal
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.files import write_bytes
from rocov2_eval.shelf.folders import all_is_ours, publishing
from rocov2_eval.shelf.parsing import Malformed, json_as, json_bytes, read_plain
from rocov2_eval.shelf.words import shorten

YES, NO = "yes", "no"
MOST_MISSED = 3  # the last answer to how many are missed stands for so many and more
OVERLAP = 0.2  # of the items are shown to all raters, so that their agreement can be measured
_UNSURE = Choice(value=UNSURE, label="cannot tell")

CONCEPT = Facet(
    name="concept",
    title="Does the image show the concept?",
    choices=(Choice(value=YES, label="yes"), Choice(value=NO, label="no"), _UNSURE),
)
# The two parts of an audit, each with questions and a folder of its own.
PARTS: Mapping[str, tuple[Kind, ...]] = {"concepts": ("automatic", "decoy"), "missed": ("missed",)}


def missed_facet(tui: str) -> Facet:
    """Return the question how many visible concepts of a semantic type are missing from the list."""
    labels = ["none", *map(str, range(1, MOST_MISSED)), f"{MOST_MISSED} or more"]
    return Facet(
        name=f"missed_{tui}",
        title=f"{type_name(tui)} ({tui}): how many does the image show that are not in the list?".lstrip(),
        choices=(
            *(Choice(value=str(number), label=label) for number, label in enumerate(labels)),
            _UNSURE,
        ),
    )


def facets_of(key: Key, part: str) -> dict[str, Facet]:
    """Return the questions of a part of the audit, by name."""
    facets = [CONCEPT] if part == "concepts" else [missed_facet(tui) for tui in key.asked]
    return {facet.name: facet for facet in facets}


def questions_of(key: Key) -> list[tuple[str, str]]:
    """Return item and facet of each question of an audit."""
    facets = {kind: facets_of(key, part) for part, kinds in PARTS.items() for kind in kinds}
    return [(item.item, name) for item in key.items for name in facets[item.kind]]


def write_audit(
    out: Path,
    key: Key,
    *,
    images: Mapping[str, AuditedImage],
    names: Mapping[str, str],
    pictures: Mapping[str, Callable[[], bytes]],
    raters: int,
    tool: str,
) -> None:
    """Write an audit, all of it or nothing.

    Args:
        out: Folder to make; it must not be there yet.
        key: What the audit has drawn, with the place of the decoys.
        images: Images of the dataset by id.
        names: Names of concepts by CUI.
        pictures: Readers of the pictures, JPEG files, by image id.
        raters: Number of raters.
        tool: Name of the exchange format of the tasks.

    Raises:
        UsageFault: The folder is there, a concept has no name, or an image no picture.
        RejectedInput: A picture cannot be read.
    """
    texts = _texts(key, images, {**MANUAL_NAMES, **names})
    _refuse_bare(key, pictures)
    if out.exists():
        raise UsageFault(f"{out} exists already; name another folder")
    with (
        publishing(out, all_is_ours) as building,
        tempfile.TemporaryDirectory(prefix=".pictures.", dir=building.parent) as folder,
    ):
        tasks = {
            item.item: _task(item, key, texts[item.item], pictures[item.image](), Path(folder))
            for item in key.items
        }
        for part, kinds in PARTS.items():
            # In order of their ids, which is no order at all.
            asked = [tasks[item.item] for item in key.items if item.kind in kinds]
            _write_part(building / "raters", part, key, deal(asked, raters, OVERLAP, key.seed), tool)
        _write_key(building / "secret", key)


def read_key(path: Path) -> Key:
    """Return the key of an audit.

    Raises:
        RejectedInput: The file is no key, or damaged.
    """
    try:
        return json_as(read_plain(path), Key)
    except (OSError, Malformed) as error:
        raise RejectedInput(f"{path}: {error}; expected the key.json that `audit sample` wrote") from None


def _texts(key: Key, images: Mapping[str, AuditedImage], names: Mapping[str, str]) -> dict[str, str]:
    """Return what stands beside the picture of each item: the concept, or all concepts of the image."""
    cuis = {
        item.item: (item.cui,) if item.cui else (*images[item.image].manual, *images[item.image].automatic)
        for item in key.items
    }
    nameless = sorted({cui for shown in cuis.values() for cui in shown if not names.get(cui)})
    if nameless:
        raise UsageFault(
            f"{len(nameless):,} of the drawn concepts have no name, such as {nameless[0]}: "
            "give it in the column name of --types, or in cui_mapping.csv of the dataset"
        )
    return {
        item.item: f"Concept: {names[item.cui]} ({item.cui})"
        if item.cui
        else "Concepts in the list: " + ("; ".join(names[cui] for cui in cuis[item.item]) or "none")
        for item in key.items
    }


def _refuse_bare(key: Key, pictures: Collection[str]) -> None:
    drawn = {item.image for item in key.items}
    bare = sorted(drawn.difference(pictures))
    if bare:
        raise UsageFault(
            f"{len(bare):,} of {len(drawn):,} drawn images have no picture, such as {shorten(bare[0])}: "
            "put the images, or their archives, into the folder of the dataset"
        )


def _task(item: Item, key: Key, text: str, picture: bytes, folder: Path) -> RatingTask:
    """Return the task of an item, whose picture is written into a folder under the item's id."""
    path = folder / f"{item.item}.jpg"
    path.write_bytes(picture)
    part = next(part for part, kinds in PARTS.items() if item.kind in kinds)
    return RatingTask(image=item.item, picture=path, facets=tuple(facets_of(key, part)), text=text)


def _write_part(folder: Path, part: str, key: Key, shares: Mapping[str, list[RatingTask]], tool: str) -> None:
    for rater, tasks in shares.items():
        if tasks:
            place = f"{rater}/{part}"
            formats.write(tasks, facets_of(key, part), folder / place, name=tool, place=place)


def _write_key(folder: Path, key: Key) -> None:
    """Write the key into a folder that only its owner may open."""
    folder.mkdir(mode=0o700)
    path = folder / "key.json"
    write_bytes(path, msgspec.json.format(json_bytes(key), indent=1) + b"\n")
    path.chmod(0o600)
