"""Where articles come from: what every kind of source can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from dataset_builder.panels import cut_out
from dataset_builder.records import Drop, Entry, Figure, Media
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.pictures import Unreadable

STAGE = "articles"


class Source(Protocol):
    """Articles and their files."""

    def candidates(self) -> Iterable[str]:
        """Return the PMCIDs to look at, ascending by number, each once; the same ones when asked again.

        Raises:
            RocoError: The list, the folder or the service cannot be read.
        """
        ...

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the source offers of an article, or why it is left out."""
        ...

    def read(self, media: Media) -> bytes | None:
        """Return a file of an article, its sum checked; None if the source does not have it after all.

        Raises:
            FetchFailed: It could not be had in spite of every retry.
            RejectedInput: It is damaged.
        """
        ...

    def state(self, pmcids: Iterable[str]) -> str:
        """Return a digest that changes when files of these articles do, without reading them.

        Empty where a file never changes under its key.
        """
        ...


def read_figure(source: Source, figure: Figure) -> bytes:
    """Return the file of a figure; of a panel, the part of it, as PNG.

    Raises:
        RejectedInput: The source had it, and has it no more.
    """
    assert figure.media is not None, "stages that ask for files come after the one that looks them up"
    content = source.read(figure.media)
    if content is None:
        raise RejectedInput(f"{figure.media.key}: the source no longer has this file")
    if figure.panel is None:
        return content
    cut = cut_out(content, figure.panel.box)
    if isinstance(cut, Unreadable):
        raise RejectedInput(f"{figure.key}: the panel cannot be cut out: {cut.detail}")
    return cut
