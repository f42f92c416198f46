"""Build a model pack of MedCAT 2 from names of concepts.

A pack is one zip archive: what MedCAT saves, and `rocov2.json`, which says of what and how it was made.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataset_builder.concepts.concept_names import ConceptName, ready
from dataset_builder.concepts.plurals import with_plurals
from dataset_builder.concepts.semantic_types import type_name
from rocov2_eval import __version__
from rocov2_eval.concept_extraction import import_medcat
from rocov2_eval.errors import UsageFault
from rocov2_eval.rendering.document import Column, Document, Section, Table
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.words import counted

DESCRIPTION = "rocov2.json"

_ERROR = 40  # log level
_FOLDER = "pack"
_COLUMNS = ("cui", "name", "ontologies", "name_status", "type_ids", "description")
_BETWEEN_NAMES = "|"  # MedCAT's: must not stand in a name
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


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
class PackSummary:
    """What a pack holds; `rocov2.json` in the pack.

    Attributes:
        concepts: Number of concepts.
        names: Number of names, plurals included.
        nameless: CUIs of concepts that were left without a name, so that they are not in the pack.
        untyped: Number of concepts without a semantic type.
        sources: Name and SHA-256 of each file that the names come from.
        settings: How names are looked for.
        versions: Version of this program and of MedCAT, by name.
    """

    concepts: int
    names: int
    nameless: tuple[str, ...]
    untyped: int
    sources: tuple[Mapping[str, str], ...] = ()
    settings: PackSettings = DEFAULT_SETTINGS
    versions: Mapping[str, str] = field(default_factory=dict)


def build_pack(
    rows: Iterable[ConceptName],
    out: Path,
    settings: PackSettings = DEFAULT_SETTINGS,
    *,
    sources: Iterable[Path] = (),
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
    names = ready(with_plurals(given) if settings.plurals else given)
    if not names:
        raise UsageFault("no concept name for a model pack")
    named = {row.cui for row in names}
    summary = PackSummary(
        concepts=len(named),
        names=len(names),
        nameless=tuple(sorted({row.cui for row in given} - named)),
        untyped=len({row.cui for row in names if not row.types}),
        sources=tuple({"name": path.name, "sha256": file_digest(path)} for path in sources),
        settings=settings,
        versions={"rocov2-eval": __version__, "medcat": version("medcat")},
    )
    _write(_model(names, settings), summary, out)
    return summary


def pack_document(summary: PackSummary, identity: str) -> Document:
    """Return what a model pack holds."""
    rows = (
        (
            len(summary.nameless),
            f"concepts without a remaining name; {DESCRIPTION} in the pack lists them",
        ),
        (summary.untyped, "concepts without a semantic type"),
    )
    columns = (Column(title="", key="number", kind="count"), Column(title="", key="what"))
    return Document(
        title=f"{identity}: {counted(summary.concepts, 'concept')}, {counted(summary.names, 'name')}",
        sections=[Section(tables=[Table(columns=columns, rows=rows)])],
        data=asdict(summary),
    )


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
