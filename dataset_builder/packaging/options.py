"""What an organiser decides about the finished dataset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

HeldOut = Literal["test", ""]
Images = Literal["folders", "archives"]
Credits = Literal["with truth", "collective"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, kw_only=True)
class PackageOptions:
    """How a dataset is named and what of it is public.

    Attributes:
        name: Short name, for file formats: letters, digits, `.`, `_`, `-`.
        title: For people.
        prefix: Image ids are `<prefix>_<split>_000001` and so on.
        version: Of the dataset.
        description: A few sentences.
        url: Where the dataset is or will be found.
        creators: Whom to name as its authors: people or institutions.
        citation: How to cite it; BibTeX or a sentence.
        published: Day of publication, as 2026-11-24. Nothing is taken from the clock.
        held_out: The split whose truth is kept apart; empty for none.
        images: `folders` of JPEG files, or `archives`, one zip file a split.
        parquet: Also write the dataset in the Hugging Face convention.
        credits: When the authors of held-out images are named: `with truth`, in the archive that is published
            later, or at once and `collective`, in a list that does not tell who made which image.
    """

    name: str = "rocov2"
    title: str = "A dataset in the layout of ROCOv2"
    prefix: str = "ROCOv2"
    version: str = "1.0.0"
    description: str = ""
    url: str = ""
    creators: tuple[str, ...] = ()
    citation: str = ""
    published: str = ""
    held_out: HeldOut = "test"
    images: Images = "folders"
    parquet: bool = True
    credits: Credits = "with truth"

    def __post_init__(self) -> None:
        for field, value in (("name", self.name), ("prefix", self.prefix)):
            if not _NAME.fullmatch(value):
                raise UsageFault(
                    f"{field}: {shorten(value)!r}, expected up to 64 letters, digits, '.', '_' and '-', "
                    f"the first a letter or digit"
                )
        if "ID" in self.prefix:
            raise UsageFault(
                f"prefix: {self.prefix!r} holds the letters ID, and the official evaluators skip every row "
                f"whose image id does; write it in another way, such as {self.prefix.replace('ID', 'Id')!r}"
            )
        for field, value in (("title", self.title), ("version", self.version)):
            if not value.strip() or not value.isprintable():
                raise UsageFault(f"{field}: {shorten(value)!r}, expected one line without control characters")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise UsageFault(f"url: {shorten(self.url)!r}, expected an address that starts with https://")
        if self.published and not _DATE.fullmatch(self.published):
            raise UsageFault(f"published: {shorten(self.published)!r}, expected a day such as 2026-11-24")
        for field, value, kind in (
            ("held_out", self.held_out, HeldOut),
            ("images", self.images, Images),
            ("credits", self.credits, Credits),
        ):
            if value not in get_args(kind):
                wanted = " or ".join(map(repr, get_args(kind)))
                raise UsageFault(f"{field}: {shorten(str(value))!r}, expected {wanted}")
