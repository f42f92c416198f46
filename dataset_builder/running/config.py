"""Read build.toml: one table for each stage, and [build] for the run as a whole."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.option_tables import read_options
from dataset_builder.stages import TABLES
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.findings import shorten

_MOST_SHARDS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The table [build].

    Attributes:
        out: Folder of the finished dataset.
        work: Where shards and fetched files are kept: a folder, or an address that fsspec knows.
        earlier: assignments.csv from the truth archive of an earlier edition: its images keep split and id.
        shards: Into how many parts the articles are cut; 0 for one in some 200 articles. It cannot change the
            result.
    """

    out: str = "dataset"
    work: str = "work"
    earlier: Path | None = None
    shards: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.shards <= _MOST_SHARDS:
            raise UsageFault(f"shards: {self.shards}, expected 0 to {_MOST_SHARDS:,}")
        if not self.out.strip() or not self.work.strip():
            raise UsageFault("out and work: expected both, found an empty one")


@dataclass(frozen=True, kw_only=True)
class Build:
    """What build.toml asks for.

    Attributes:
        path: The file.
        folder: The folder that it lies in.
        out: Folder of the finished dataset.
        work: Where shards and fetched files are kept.
        earlier: Assignments of an earlier edition, None without one.
        shards: Into how many parts the articles are cut; 0 where that is left to us.
        tables: Options by table.
    """

    path: Path
    folder: Path
    out: Path
    work: str
    earlier: Path | None
    shards: int
    tables: Mapping[str, Any]


def read_build(path: Path) -> Build:
    """Return what a file asks for.

    Raises:
        MissingResource: The file cannot be read.
        RejectedInput: It is no TOML.
        UsageFault: A table or key is unknown or missing, or a value is out of bounds.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingResource(
            f"{path}: {error.strerror}; `rocov2-build init` writes one to begin with"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
    return Build(
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
