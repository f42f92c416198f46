"""Read build.toml: one table for each stage, and [build] for the run as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

from dataset_builder.stages import TABLES
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.shelf.options import read_options
from rocov2_eval.shelf.parsing import Malformed, read_plain, toml_of
from rocov2_eval.shelf.words import shorten


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The table [build].

    Attributes:
        out: Folder of the finished dataset.
        work: Where shards and fetched files are kept: a folder, or an address that fsspec knows.
        earlier: assignments.csv from the truth archive of an earlier edition: its images keep split and id.
        shards: Number of parts that the articles are cut into; 0 for one in some 200 articles. It cannot
            change the result.
    """

    out: str = "dataset"
    work: str = "work"
    earlier: Path | None = None
    shards: Annotated[int, Meta(ge=0, le=1 << 16)] = 0

    def __post_init__(self) -> None:
        for name, value in (("out", self.out), ("work", self.work)):
            if not value.strip() or not value.isprintable():
                raise UsageFault(f"{name}: {shorten(value)!r}, expected a folder")


@dataclass(frozen=True, kw_only=True)
class Build:
    """What build.toml asks for.

    Attributes:
        path: Path of build.toml, as the user named it.
        folder: Folder that the file lies in.
        out: Folder of the finished dataset.
        work: Where shards and fetched files are kept: a folder, or an address that fsspec knows.
        earlier: Assignments of an earlier edition, None without one.
        shards: Number of parts that the articles are cut into; 0 for one in some 200 articles.
        tables: Options by name of the table.
    """

    path: Path
    folder: Path
    out: Path
    work: str
    earlier: Path | None
    shards: int
    tables: Mapping[str, Any]

    @property
    def is_own(self) -> bool:
        """Whether it is made of a table of the user's own images, not of articles."""
        return bool(self.tables["source"].kind == "table")


def read_build(path: Path) -> Build:
    """Return what a file asks for.

    Raises:
        MissingResource: The file cannot be read.
        RejectedInput: It is no TOML.
        UsageFault: A table or key is unknown or missing, or a value is out of bounds.
    """
    try:
        document = toml_of(read_plain(path))
    except OSError as error:
        raise MissingResource(f"{path}: {error.strerror}; `rocov2-build init` writes one") from None
    except Malformed as error:
        raise RejectedInput(f"{path}: no TOML ({error})") from None
    folder = path.resolve().parent
    unknown = [name for name in document if name not in (*TABLES, "build")]
    if unknown:
        known = ", ".join(f"[{name}]" for name in ("build", *TABLES))
        raise UsageFault(f"{path}: unknown table [{shorten(unknown[0])}], expected some of {known}")
    for name, table in document.items():
        if not isinstance(table, dict):
            raise UsageFault(f"{path}: {name} = {shorten(repr(table), 40)}, expected a table [{name}]")
    options = read_options(BuildOptions, document.get("build", {}), f"{path} [build]", folder)
    work = options.work if "://" in options.work else str(folder / options.work)
    build = Build(
        path=path,
        folder=folder,
        out=folder / options.out,
        work=work,
        earlier=options.earlier,
        shards=options.shards,
        tables={
            name: read_options(kind, document.get(name, {}), f"{path} [{name}]", folder)
            for name, kind in TABLES.items()
        },
    )
    _require_apart(build)
    _require_held_out(build)
    return build


def _require_apart(build: Build) -> None:
    """Refuse a dataset folder with what a build reads or keeps: it is public, and replaced as a whole."""
    inside = {"this file": build.path.resolve()}
    if "://" not in build.work:
        inside["work"] = Path(build.work).resolve()
    if build.tables["source"].path:
        inside["[source] path"] = (build.folder / build.tables["source"].path).resolve()
    for table, options in build.tables.items():
        for name in get_type_hints(type(options)):
            value = getattr(options, name)
            if isinstance(value, Path):
                inside[f"[{table}] {name}"] = value.resolve()
    if build.earlier:
        inside["earlier"] = build.earlier.resolve()
    out = build.out.resolve()
    for name, path in inside.items():
        if path.is_relative_to(out):
            raise UsageFault(
                f"{build.path} [build] out: {out} is replaced as a whole when it is written, but contains "
                f"{name} ({path}); name another folder"
            )


def _require_held_out(build: Build) -> None:
    """Refuse to hold out a split that gets no image."""
    held_out, shares = build.tables["package"].held_out, build.tables["split"].shares
    if held_out and held_out not in shares:
        raise UsageFault(
            f"{build.path} [package] held_out: {held_out!r} has no share in [split]; give it one, or set "
            f'held_out = ""'
        )
