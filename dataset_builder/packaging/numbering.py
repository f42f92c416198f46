"""Give every image its id."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from dataset_builder.records import SPLITS, Assignment, Figure
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.words import shorten

FEWEST_SALT = 16  # bytes: fewer can be guessed, and with them the order of the articles
_SAFE_ID = re.compile(r"(?=.{1,128}\Z)(?!.*(?:ID|PMC))[A-Za-z0-9][A-Za-z0-9_.-]*")
_NUMBERED = re.compile(r".*_(train|valid|test)_([0-9]{1,18})")


def numbered(
    figures: Sequence[Figure], prefix: str, held_out: str, salt: bytes, earlier: Mapping[str, str]
) -> tuple[Figure, ...]:
    """Return the figures with their ids: the splits in their order, within each by id.

    Open splits are numbered by article and figure. The held-out one is numbered in the order of a keyed hash:
    from an id nobody can tell the article, nor which images come from one.

    Args:
        figures: Figures with a split, no key twice.
        prefix: First part of every new id.
        held_out: The split whose articles nobody may tell; empty for none.
        salt: Key of the hash.
        earlier: Ids of an earlier edition by `Figure.key`. They are kept, and the numbers of images that are
            gone are not given again.

    Raises:
        RejectedInput: A key stands twice, or an earlier id is unfit or belongs to another split.
        UsageFault: The salt is too short.
    """
    _refuse_repeated([figure.key for figure in figures], "figures")
    _check_earlier(figures, earlier)
    if held_out and len(salt) < FEWEST_SALT:
        raise UsageFault(f"salt: {len(salt)} bytes, expected at least {FEWEST_SALT}, chosen at random")
    done: list[Figure] = []
    for split in SPLITS:
        mine = [figure for figure in figures if figure.assignment.split == split]
        new = [figure for figure in mine if figure.key not in earlier]
        new.sort(key=lambda figure: figure.place)
        if split == held_out:
            new.sort(key=lambda figure: hmac.new(salt, figure.key.encode(), hashlib.sha256).digest())
        start = 1 + _largest(earlier.values(), split)
        ids = {figure.key: earlier[figure.key] for figure in mine if figure.key in earlier}
        ids |= {figure.key: f"{prefix}_{split}_{number:06d}" for number, figure in enumerate(new, start)}
        mine.sort(key=lambda figure: ids[figure.key])
        done += [
            replace(figure, assignment=Assignment(split=split, image_id=ids[figure.key])) for figure in mine
        ]
    _refuse_repeated([figure.assignment.image_id for figure in done], "image ids")
    return tuple(done)


def _refuse_repeated(names: Iterable[str], what: str) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise RejectedInput(f"{what}: {shorten(name)!r} occurs {times} times, expected once")


def _check_earlier(figures: Sequence[Figure], earlier: Mapping[str, str]) -> None:
    for key, image_id in earlier.items():
        if not _SAFE_ID.fullmatch(image_id):
            raise RejectedInput(
                f"earlier ids: {shorten(key)} has {shorten(image_id)!r}, expected letters, digits, '.', '_' "
                f"and '-', neither ID nor PMC among them"
            )
    _refuse_repeated(earlier.values(), "earlier ids")
    for figure in figures:
        match = _NUMBERED.fullmatch(earlier.get(figure.key, ""))
        split = figure.assignment.split
        if match and match[1] != split:
            raise RejectedInput(
                f"{figure.key} was {match[0]} in the earlier edition and is in {split} now; hand the "
                f"earlier assignments to the split as well, so that no image moves"
            )


def _largest(image_ids: Iterable[str], split: str) -> int:
    matches = (_NUMBERED.fullmatch(image_id) for image_id in image_ids)
    return max((int(match[2]) for match in matches if match and match[1] == split), default=0)
