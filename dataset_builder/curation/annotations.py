"""One answer of one rater about one image: what every annotation tool's export is read into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """An answer.

    Attributes:
        image: Key of the image: `PMCID/file` in a build, the image id in a dataset, or of an audit's item.
        facet: Name of the facet.
        cui: Value of the choice: a CUI, or a word such as `combined`, `none`, `unsure`.
        rater: Who answered, as the tool names them.
        time: When, as ISO 8601 in UTC; empty where the tool does not tell.
        tool: The exchange format that it came in, such as `label-studio`.
    """

    image: str
    facet: str
    cui: str
    rater: str
    time: str = ""
    tool: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a rater is shown.

    Attributes:
        image: Key of the image, or of an audit's item.
        picture: Its file; None where only text is judged.
        facets: Names of the facets that are asked.
        text: What stands beside the picture, such as a caption; empty for none.
    """

    image: str
    picture: Path | None
    facets: tuple[str, ...]
    text: str = ""


def answered(
    image: str, answers: Iterable[tuple[str, str]], *, rater: str, time: str, tool: str
) -> list[Annotation]:
    """Return what one person answered about an image at one time, from names of facets and values."""
    return [
        Annotation(image=image, facet=facet, cui=cui, rater=rater, time=time, tool=tool)
        for facet, cui in answers
    ]
