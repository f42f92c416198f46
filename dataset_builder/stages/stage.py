"""What a stage is: a pure function from records to records and drops, with what its result depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dataset_builder.earlier import Earlier
from dataset_builder.figure_tables import FigureTable
from dataset_builder.gates import share_text
from dataset_builder.records import Drop, Figure, StageCount
from dataset_builder.sources import Source, read_figure
from dataset_builder.store import Store
from rocov2_eval.shelf.progress import Progress, silent


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An article to look at, before its source was asked."""

    pmcid: str

    @property
    def key(self) -> str:
        """What `Drop.key` names."""
        return self.pmcid


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a stage may ask for besides its records.

    Attributes:
        tables: Options of the stage, by table of build.toml.
        open_source: Returns the source of articles, opened once a process.
        store: The files of the build.
        earlier: Assignments of images to splits in an earlier edition.
        counts: What the stages before took and dropped; empty for a stage that sees one shard.
        statements: What the stages before did, in sentences; empty for a stage that sees one shard.
        provenance: How the records were made, by stage; empty for a stage that sees one shard.
        out: Folder of the finished dataset.
        progress: Called with how much is done and how much there is.
    """

    tables: Mapping[str, Any]
    open_source: Callable[[], Source]
    store: Store
    out: Path
    earlier: Earlier = field(default_factory=Earlier)
    counts: Sequence[StageCount] = ()
    statements: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = silent

    def read(self, figure: Figure) -> bytes:
        """Return the file of a figure; of a panel, the part of it, as PNG.

        Raises:
            RejectedInput: The source had it, and has it no more.
        """
        return read_figure(self.open_source(), figure)


@dataclass(frozen=True, kw_only=True)
class Product:
    """A file that a stage wrote outside the store: if it is gone or another, the stage runs again.

    Attributes:
        path: Path of the file that the stage wrote.
        size: Size of the file in bytes.
        sha256: Digest of its content; empty where the size must do.
    """

    path: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a stage makes of its records.

    Attributes:
        kept: Records that go on to the next stage.
        drops: One for each record that does not go on.
        products: Files that were written outside the store.
    """

    kept: Sequence[Any]
    drops: Sequence[Drop] = ()
    products: Sequence[Product] = ()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step from articles to a dataset.

    Attributes:
        name: Name of the stage in the store, in build.toml and in messages.
        revision: Number to raise whenever the stage makes something else of the same records and options:
            builds that are done run it again then. A golden test tells when.
        title: What the stage does, for people.
        own_title: What it does with images of the user's own, where that is something else.
        tables: Tables of build.toml that the stage reads.
        takes: Type of the records that go in.
        gives: Type of the records that come out; where it differs from `takes`, several may come of one.
        run: The function from records to result.
        scope: `shard` if every shard can be done by itself; `all` if the records must be seen together,
            in the order of articles and figures.
        libraries: Distributions whose version can move the result.
        says: Returns what the stage did to the figures, in a sentence or two for the card of the dataset,
            from its options and what it took and dropped; None where there is nothing to say.
        figure_tables: Returns the tables about figures that the options name, by their key in build.toml.
        splits: Whether several figures may come of one, as panels.
        inputs: Returns the files that can move the result besides those that the options name, and raises
            RocoError if anything in the options cannot work: called before the first stage runs.
    """

    name: str
    revision: int
    title: str
    tables: tuple[str, ...]
    takes: type
    gives: type
    run: Callable[[Sequence[Any], Context], Result]
    scope: Literal["shard", "all"] = "shard"
    libraries: tuple[str, ...] = ()
    says: Callable[[Mapping[str, Any], StageCount], str] | None = None
    figure_tables: Callable[[Mapping[str, Any]], Mapping[str, FigureTable[Any]]] = lambda _tables: {}
    splits: bool = False
    own_title: str = ""
    inputs: Callable[[Mapping[str, Any]], tuple[Path, ...]] = lambda _tables: ()

    def title_of(self, *, is_own: bool) -> str:
        """Return what the stage does with articles, or with images of the user's own."""
        return self.own_title if is_own and self.own_title else self.title


def share_dropped(count: StageCount) -> str:
    """Return how much a stage dropped, such as `3 of 40 figures (7.5 %)`."""
    dropped = count.taken - count.kept
    share = f" ({share_text(dropped / count.taken)})" if count.taken else ""
    return f"{dropped:,} of {count.taken:,} {count.unit}{share}"
