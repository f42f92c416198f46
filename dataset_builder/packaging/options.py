"""What an organiser decides about the finished dataset."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class PackageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a dataset is named and what of it is public.

    Attributes:
        name: Short name, for file formats: up to 64 letters, digits, `.`, `_`, `-`.
        title: Name of the dataset for people, one line.
        prefix: Image ids are `<prefix>_<split>_000001` and so on.
        version: Version of the dataset.
        description: A few sentences about the dataset.
        url: Address where the dataset is or will be found.
        creators: Authors of the dataset: people or institutions.
        citation: How to cite it; BibTeX or a sentence.
        published: Day of publication, as 2026-11-24. Nothing is taken from the clock.
        held_out: The split whose truth is kept apart; empty for none.
        images: `folders` of JPEG files, or `archives`, one zip file a split.
        parquet: Also write the dataset in the Hugging Face convention.
        credits: When the authors of held-out images are named: `with truth`, in the archive that is published
            later, or at once and `collective`, in a list that does not tell who made which image.
    """

    name: Name = "rocov2"
    title: str = "A dataset in the layout of ROCOv2"
    prefix: Name = "ROCOv2"
    version: str = "1.0.0"
    description: str = ""
    url: Annotated[str, Meta(pattern=r"\A(https?://.*)?\Z")] = ""
    creators: tuple[str, ...] = ()
    citation: str = ""
    published: Annotated[str, Meta(pattern=r"\A([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z")] = ""
    held_out: Literal["test", ""] = "test"
    images: Literal["folders", "archives"] = "folders"
    parquet: bool = True
    credits: Literal["with truth", "collective"] = "with truth"

    def __post_init__(self) -> None:
        if "ID" in self.prefix:
            raise UsageFault(
                f"prefix: {self.prefix!r} contains the letters ID, and the official evaluators skip rows "
                f"with such image ids; write it in another way, such as {self.prefix.replace('ID', 'Id')!r}"
            )
        for field, value in (("title", self.title), ("version", self.version)):
            if not value.strip() or not value.isprintable():
                raise UsageFault(f"{field}: {shorten(value)!r}, expected one line without control characters")
