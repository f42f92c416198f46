"""What raters are shown and what they answer: the values that every annotation tool's files are read into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import is_formula
from rocov2_eval.shelf.words import shorten


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One answer of one rater about one image.

    Attributes:
        image: Key of the image: `PMCID/file` in a build, the image id in a dataset, the item in an audit.
        facet: Name of the facet that was asked.
        cui: Value of the choice: a CUI, or a word such as `combined`, `none`, `unsure`.
        rater: Name of the rater, as the tool writes it.
        time: Time of the answer as ISO 8601 in UTC; empty where the tool does not write it.
        file: Path of the file that it was read from; empty where all answers are of one.
        is_named: The user said who the rater of the file is.
    """

    image: str
    facet: str
    cui: str
    rater: str
    time: str = ""
    file: str = field(default="", compare=False)
    is_named: bool = field(default=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class RatingTask:
    """What a rater is shown.

    Attributes:
        image: Key of the image, or of an item of an audit.
        picture: File of the picture; None where raters judge a text alone.
        facets: Names of the facets that are asked.
        text: Text beside the picture, such as a caption; empty for none.
    """

    image: str
    picture: Path | None
    facets: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Export:
    """The content of a file of an annotation tool.

    Attributes:
        annotations: Answers, in the order of the file.
        left_out: Number of entries that are no answer, such as cancelled annotations, by reason.
        format: Name of the exchange format; empty until the file has been read to the end.
    """

    annotations: tuple[Annotation, ...]
    left_out: Mapping[str, int]
    format: str = ""


def utc_time(text: object, place: str) -> str:
    """Return a time as ISO 8601 in UTC with microseconds, so that times sort as text; empty for none.

    Args:
        text: Time as ISO 8601; without a zone it is UTC.
        place: Start of the message of a fault, such as a file and its line.

    Raises:
        RejectedInput: It is no time.
    """
    if text is None or text == "":
        return ""
    try:
        moment = datetime.fromisoformat(str(text).strip())
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RejectedInput(
            f"{place}: {shorten(str(text))!r} is no time, expected one such as 2026-01-31T12:00:00Z"
        ) from None
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def named_rater(entry: object, rater: str, place: str) -> str:
    """Return who answered.

    Args:
        entry: The rater in the file: a name, a number, or an object with an address or a number; or nothing.
        rater: Name of the rater of files that name none.
        place: Start of the message of a fault.

    Raises:
        RejectedInput: Neither names a rater.
    """
    if isinstance(entry, Mapping):
        entry = next((entry[key] for key in ("email", "username", "id") if entry.get(key)), None)
    name = _name(entry, place) or rater
    if not name:
        raise RejectedInput(f"{place}: the file does not name the rater; name the rater with --rater")
    return name


def named_image(entry: object, place: str) -> str:
    """Return the key of an image.

    Raises:
        RejectedInput: It is empty, or no text that a file could hold.
    """
    name = _name(entry, place)
    if not name:
        raise RejectedInput(f"{place}: the file does not name the image, expected its key")
    return name


def refuse_formulas(images: Iterable[str] = (), raters: Iterable[str] = ()) -> None:
    """Refuse names that a spreadsheet would run; an apostrophe would make another name of them.

    Raises:
        RejectedInput: A name begins like a formula.
    """
    for kind, names, remedy in (
        ("image", images, "rename its file before the export"),
        ("rater", raters, "rename the rater with curate import --rename MAP.csv"),
    ):
        name = next(filter(is_formula, names), None)
        if name is not None:
            raise RejectedInput(
                f"the {kind} {shorten(repr(name), 60)} begins with one of = + - @, which a spreadsheet takes "
                f"for a formula: {remedy}"
            )


def _name(entry: object, place: str) -> str:
    """Return a name that may be written as a number; empty for anything else."""
    name = str(entry).strip() if isinstance(entry, str | int) and not isinstance(entry, bool) else ""
    if any("\ud800" <= letter <= "\udfff" for letter in name):  # JSON can hold half a character
        raise RejectedInput(f"{place}: {shorten(ascii(name))} cannot be written to a file")
    return name
