"""Build a model pack of MedCAT 2 from names of concepts.

A pack is one zip archive: what MedCAT saves, and `rocov2.json`, which says of what and how it was made.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataset_builder.concepts.concept_names import ConceptName, Nameless, name_key, ready
from dataset_builder.concepts.plurals import with_plurals
from dataset_builder.concepts.semantic_types import type_name
from rocov2_eval import __version__
from rocov2_eval.concept_extraction import import_medcat
from rocov2_eval.errors import UsageFault
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table
from rocov2_eval.shelf.words import shorten

DESCRIPTION = "rocov2.json"

_ERROR = 40  # log level
_FOLDER = "pack"
_COLUMNS = ("cui", "name", "ontologies", "name_status", "type_ids", "description")
_BETWEEN_NAMES = "|"  # MedCAT's: must not stand in a name
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_MOST_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """How names are looked for; the defaults are ours, and benchmarks/RESULTS.md says what each is worth.

    Attributes:
        min_name_len: Least length of a name that is looked for. MedCAT's 3 loses CT, US and MR.
        upper_case_limit_len: Length below which names must stand in capitals. MedCAT's 4 loses hip, rib, arm
            and leg.
        check_upper_case_names: Whether a name in capitals must stand in capitals. MedCAT's is False.
        disamb_length_limit: Length below which names must be told by their context. MedCAT's 3 loses CT.
        spell_check: Whether MedCAT corrects words. It costs half the speed and does nothing without spaCy.
        plurals: Whether the names get plurals.
    """

    min_name_len: int = 2
    upper_case_limit_len: int = 3
    check_upper_case_names: bool = True
    disamb_length_limit: int = 2
    spell_check: bool = False
    plurals: bool = True


DEFAULT_SETTINGS = PackSettings()


@dataclass(frozen=True, kw_only=True)
class PackSource:
    """A file that a pack was made of.

    Attributes:
        name: Name of the file, without its folder.
        sha256: SHA-256 of the bytes of the file.
    """

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class PackSummary:
    """What a pack holds; `rocov2.json` in the pack.

    Attributes:
        concepts: Number of concepts.
        names: Number of names, plurals included.
        made: Number of names that are plurals made here.
        unseen: Number of names left out because MedCAT would drop letters of them.
        yielded: Number of names that went to another concept, as several had them.
        nameless: Concepts that were left without a name, so that they are not in the pack.
        untyped: Number of concepts without a semantic type.
        sources: Files that the names come from.
        settings: How names are looked for.
        versions: Version of this program and of MedCAT, by name.
    """

    concepts: int
    names: int
    made: int
    unseen: int
    yielded: int
    nameless: tuple[Nameless, ...]
    untyped: int
    sources: tuple[PackSource, ...] = ()
    settings: PackSettings = DEFAULT_SETTINGS
    versions: Mapping[str, str] = field(default_factory=dict)


def build_pack(
    rows: Iterable[ConceptName],
    out: Path,
    settings: PackSettings = DEFAULT_SETTINGS,
    *,
    sources: Sequence[PackSource] = (),
) -> PackSummary:
    """Write a model pack; an older one of the name is replaced when the new one is complete.

    The same input gives a pack that finds the same; its bytes differ, as they hold the time and sets in an
    order that Python draws.

    Args:
        rows: Names of concepts.
        out: The archive, with a name that ends in .zip.
        settings: How names are looked for.
        sources: Files that the names come from, for `rocov2.json`.

    Raises:
        MissingResource: medcat is not installed.
        UsageFault: There is no name, or `out` does not end in .zip.
    """
    if out.suffix.lower() != ".zip":
        raise UsageFault(f"{out}: a model pack is a zip archive, expected a name that ends in .zip")
    import_medcat()
    out.parent.mkdir(parents=True, exist_ok=True)  # before the work: it tells whether there is a place for it
    given = list(rows)
    readied = ready(with_plurals(given) if settings.plurals else given)
    if not readied.names:
        raise UsageFault("no name of a concept to make a model pack of")
    known = {(row.cui, name_key(row.name)) for row in given}
    summary = PackSummary(
        concepts=len({row.cui for row in readied.names}),
        names=len(readied.names),
        made=sum((row.cui, name_key(row.name)) not in known for row in readied.names),
        unseen=readied.unseen,
        yielded=readied.yielded,
        nameless=readied.nameless,
        untyped=len({row.cui for row in readied.names if not row.types}),
        sources=tuple(sources),
        settings=settings,
        versions={"rocov2-eval": __version__, "medcat": version("medcat")},
    )
    _write(_model(readied.names, settings), summary, out)
    return summary


def pack_document(summary: PackSummary, identity: str) -> Document:
    """Return what a model pack holds, with the first concepts that are left without a name."""
    rows = (
        (summary.made, "names made: plurals"),
        (summary.yielded, "names that went to another concept: it prefers them, or goes before"),
        (summary.unseen, "names left out: MedCAT would drop letters of them"),
        (len(summary.nameless), "concepts left without a name, so that they are not in the pack"),
        (summary.untyped, "concepts without a semantic type"),
    )
    notes = [Note(text=_nameless(each)) for each in summary.nameless[:_MOST_EXAMPLES]]
    n_more = len(summary.nameless) - _MOST_EXAMPLES
    if n_more > 0:
        notes.append(Note(text=f"… and {n_more:,} more; {DESCRIPTION} in the pack has all"))
    columns = (Column(title="", key="number", kind="count"), Column(title="", key="what"))
    return Document(
        title=f"{identity}: {summary.concepts:,} concepts, {summary.names:,} names",
        sections=[Section(tables=[Table(columns=columns, rows=rows)], notes=notes)],
        data=asdict(summary),
    )


def _nameless(concept: Nameless) -> str:
    reason = f"went to {concept.holder}" if concept.holder else "cannot be read by MedCAT"
    return f"{concept.cui}: {shorten(concept.name, 40)} {reason}"


def _model(names: Sequence[ConceptName], settings: PackSettings) -> Any:  # noqa: ANN401  an untyped library
    """Return the `medcat.cat.CAT` of names; its own reader of files would take the name `NA` for none."""
    import pandas as pd
    from medcat.cat import CAT
    from medcat.cdb import CDB
    from medcat.config import Config
    from medcat.model_creation.cdb_maker import CDBMaker
    from medcat.vocab import Vocab

    config = Config()
    config.general.log_level = _ERROR
    config.general.nlp.provider = "regex"
    config.general.spell_check = settings.spell_check
    config.components.ner.min_name_len = settings.min_name_len
    config.components.ner.upper_case_limit_len = settings.upper_case_limit_len
    config.components.ner.check_upper_case_names = settings.check_upper_case_names
    config.components.linking.disamb_length_limit = settings.disamb_length_limit
    database = CDB(config)
    database.add_types([(tui, type_name(tui)) for tui in sorted({tui for row in names for tui in row.types})])
    table = pd.DataFrame([_cells(row) for row in names], columns=list(_COLUMNS), dtype=str)
    cdb = CDBMaker(config, database).prepare_csvs([table], full_build=True)
    return CAT(cdb=cdb, vocab=Vocab(), config=config)  # MedCAT wants a vocabulary even if it is empty


def _cells(row: ConceptName) -> tuple[str, ...]:
    name = row.name.replace(_BETWEEN_NAMES, " ")
    source = row.source.replace(_BETWEEN_NAMES, " ")
    return row.cui, name, source, row.status, _BETWEEN_NAMES.join(row.types), ""


def _write(cat: Any, summary: PackSummary, out: Path) -> None:  # noqa: ANN401
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        folder = Path(name)
        cat.save_model_pack(str(folder), pack_name=_FOLDER, make_archive=False, add_hash_to_pack_name=False)
        text = json.dumps(asdict(summary), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / _FOLDER / DESCRIPTION).write_text(text, encoding="utf-8")
        archive = folder / out.name
        _zip(folder / _FOLDER, archive)
        umask = os.umask(0)
        os.umask(umask)
        archive.chmod(0o666 & ~umask)
        archive.replace(out)


def _zip(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                item = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_DATE)
                item.compress_type = zipfile.ZIP_DEFLATED
                with path.open("rb") as stream, target.open(item, "w") as member:
                    while block := stream.read(1 << 20):
                        member.write(block)
