"""How all exchange formats read answers, raters, images and times, and what a file of theirs says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dataset_builder.curation.annotations import Annotation
from dataset_builder.curation.facets import Facet, choice_named
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten


@dataclass(frozen=True, kw_only=True)
class Export:
    """What a file of a tool says.

    Attributes:
        annotations: The answers, in the order of the file.
        left_out: What of the file is no answer, such as cancelled annotations, with its number.
        format: Name of the format; empty until the file has been read to the end.
        warnings: What to mind about the file, in sentences that name it.
    """

    annotations: tuple[Annotation, ...]
    left_out: Mapping[str, int]
    format: str = ""
    warnings: tuple[str, ...] = ()


def value_of(facet: Facet, text: object, place: str) -> str:
    """Return the value of an answer, which may be written as value, label or canonical name.

    Raises:
        RejectedInput: It is no answer to the facet.
    """
    choice = choice_named(facet, str(text)) if isinstance(text, str | int) else None
    if choice is None:
        offered = ", ".join(choice.label for choice in facet.choices)
        raise RejectedInput(
            f"{place}: {shorten(str(text))!r} is no {facet.name}, expected a CUI of it or one of: {offered}"
        )
    return choice.value


def utc_time(text: object, place: str) -> str:
    """Return a time as ISO 8601 in UTC with microseconds, so that times sort as text; empty for none.

    Args:
        text: ISO 8601, or seconds since 1970; without a zone, it is UTC.
        place: For the message.

    Raises:
        RejectedInput: It is no time.
    """
    if text is None or text == "":
        return ""
    try:
        if isinstance(text, int | float):
            moment = datetime.fromtimestamp(text, UTC)
        else:
            moment = datetime.fromisoformat(str(text).strip())
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise RejectedInput(
            f"{place}: {shorten(str(text))!r} is no time, expected one such as 2026-01-31T12:00:00Z"
        ) from None
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def named_rater(found: object, rater: str, place: str) -> str:
    """Return who answered.

    Args:
        found: What the file tells: a name, a number, or an object with an address or a number; or nothing.
        rater: Who answered where the file does not tell.
        place: For the message.

    Raises:
        RejectedInput: Nobody knows.
    """
    if isinstance(found, Mapping):
        found = next((found[key] for key in ("email", "username", "id") if found.get(key)), None)
    name = _name(found, place)
    if not (name or rater):
        raise RejectedInput(f"{place}: it is not told who answered; name the rater with --rater")
    return name or rater


def named_image(found: object, place: str) -> str:
    """Return the key of an image.

    Raises:
        RejectedInput: It is empty, or no text that a file could hold.
    """
    name = _name(found, place)
    if not name:
        raise RejectedInput(f"{place}: it does not tell the image, expected its key")
    return name


def _name(found: object, place: str) -> str:
    """Return a name that may be written as a number; empty for anything else."""
    name = str(found).strip() if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if any("\ud800" <= letter <= "\udfff" for letter in name):  # JSON can hold half a character
        raise RejectedInput(f"{place}: {shorten(ascii(name))} is no text that a file could hold")
    return name
