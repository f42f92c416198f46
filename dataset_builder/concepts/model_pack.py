"""Build a model pack of MedCAT 2 from names of concepts.

A pack is one zip archive: what MedCAT saves, and `rocov2.json`, which says of what and how it was made.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataset_builder.concepts.concept_names import ConceptName, Nameless, name_key, ready
from dataset_builder.concepts.name_variants import with_joined, with_plurals
from dataset_builder.concepts.semantic_types import type_name
from rocov2_eval import __version__
from rocov2_eval.concept_extraction import import_medcat
from rocov2_eval.errors import UsageFault

DESCRIPTION = "rocov2.json"

_ERROR = 40  # log level
_FOLDER = "pack"
_COLUMNS = ("cui", "name", "ontologies", "name_status", "type_ids", "description")
_BETWEEN_NAMES = "|"  # MedCAT's: must not stand in a name
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """How names are made and looked for. Where our default is not MedCAT's, `MEDCAT_DEFAULTS` has that.

    Attributes:
        min_name_len: Shorter names are never looked for. MedCAT's 3 loses CT, US and MR.
        upper_case_limit_len: Shorter names must stand in capitals. MedCAT's 4 loses hip, rib, arm and leg.
        check_upper_case_names: A name in capitals must stand in capitals. MedCAT's is False.
        disamb_length_limit: Shorter names must be told by their context. MedCAT's 3 loses CT.
        max_skip_tokens: Punctuation marks that may stand between the words of a name.
        spell_check: Costs half the speed and does nothing in MedCAT 2.9 without spaCy.
        similarity_threshold: What a context must be alike to be taken, in [-1, 1].
        plurals: Make plurals of the names.
        joined: Make names without the hyphen of a prefix.
        preferred_wins: A name goes to the concept that prefers it, if one alone does.
        lowest_wins: Without training, a name of several concepts goes to the lowest CUI, or to a concept
            curated by hand. MedCAT finds none of them.
        epochs: Times that the captions are trained on.
        vector_size: Of a word vector.
        vector_window: Words on each side that count as neighbours.
        vector_words: Number of words that get a vector.
        vector_fewest: Times that a word with a vector stands in the captions.
        seed: Of vectors and training.
    """

    min_name_len: int = 2
    upper_case_limit_len: int = 3
    check_upper_case_names: bool = True
    disamb_length_limit: int = 2
    max_skip_tokens: int = 2
    spell_check: bool = False
    similarity_threshold: float = 0.25
    plurals: bool = True
    joined: bool = True
    preferred_wins: bool = True
    lowest_wins: bool = True
    epochs: int = 1
    vector_size: int = 50
    vector_window: int = 5
    vector_words: int = 4000
    vector_fewest: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        lowest = {
            "min_name_len": 1,
            "upper_case_limit_len": 0,
            "disamb_length_limit": 0,
            "max_skip_tokens": 0,
            "epochs": 1,
            "vector_size": 1,
            "vector_window": 1,
            "vector_words": 1,
            "vector_fewest": 1,
            "seed": 0,
        }
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise UsageFault(f"{name} = {getattr(self, name)}, expected at least {least}")
        if not -1 <= self.similarity_threshold <= 1:
            raise UsageFault(f"similarity_threshold = {self.similarity_threshold}, expected -1 to 1")


# Where MedCAT 2.9 does otherwise by itself; what it lacks is off.
MEDCAT_DEFAULTS: Mapping[str, Any] = {
    "min_name_len": 3,
    "upper_case_limit_len": 4,
    "check_upper_case_names": False,
    "disamb_length_limit": 3,
    "spell_check": True,
    "plurals": False,
    "joined": False,
    "preferred_wins": False,
    "lowest_wins": False,
}
DEFAULT_SETTINGS = PackSettings()


@dataclass(frozen=True, kw_only=True)
class PackSource:
    """A file that a pack was made of.

    Attributes:
        name: Of the file, without its folder.
        sha256: Of its bytes.
    """

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class PackSummary:
    """What a pack holds.

    Attributes:
        concepts: Number of concepts.
        names: Number of pairs of concept and name, made forms included.
        made: How many of the names are plurals and joined forms.
        unseen: Names left out because MedCAT would drop letters of them.
        yielded: Names left to another concept, to one that prefers them or goes before.
        nameless: Concepts that were left without a name.
        untyped: Concepts without a semantic type.
        trained_on: Number of captions.
        sources: Files it was made of.
        settings: How.
        versions: Of this program and of MedCAT.
    """

    concepts: int
    names: int
    made: int
    unseen: int
    yielded: int
    nameless: tuple[Nameless, ...]
    untyped: int
    trained_on: int
    sources: tuple[PackSource, ...] = ()
    settings: PackSettings = DEFAULT_SETTINGS
    versions: Mapping[str, str] = field(default_factory=dict)


def build_pack(
    rows: Iterable[ConceptName],
    out: Path,
    settings: PackSettings = DEFAULT_SETTINGS,
    *,
    captions: Iterable[str] | None = None,
    sources: Sequence[PackSource] = (),
    progress: Callable[[int, int], None] | None = None,
) -> PackSummary:
    """Write a model pack; an older one of the name is replaced when the new one is complete.

    The same input gives a pack that finds the same; its bytes differ, as they hold the time and sets in an
    order that Python draws.

    Args:
        rows: Names of concepts.
        out: The archive, a name that ends in .zip.
        settings: How names are made and looked for.
        captions: Texts to train on, so that names of several concepts can be told by their context; None
            for no training.
        sources: Files that the names and captions come from, for `rocov2.json`.
        progress: Told how many of how many captions are trained on.

    Raises:
        MissingResource: medcat is not installed.
        UsageFault: There is no name, or `out` does not end in .zip.
    """
    if out.suffix.lower() != ".zip":
        raise UsageFault(f"{out}: a model pack is a zip archive, expected a name that ends in .zip")
    import_medcat()
    out.parent.mkdir(parents=True, exist_ok=True)  # before the work: it tells whether there is a place for it
    given = list(rows)
    texts = None if captions is None else [text.strip() for text in captions if text.strip()]
    readied = ready(
        _varied(given, settings),
        preferred_wins=settings.preferred_wins,
        lowest_wins=settings.lowest_wins and not texts,
    )
    if not readied.names:
        raise UsageFault("no name of a concept to make a model pack of")
    known = {(row.cui, name_key(row.name)) for row in given}
    cat = _model(readied.names, texts, settings, progress)
    summary = PackSummary(
        concepts=len({row.cui for row in readied.names}),
        names=len(readied.names),
        made=sum((row.cui, name_key(row.name)) not in known for row in readied.names),
        unseen=readied.unseen,
        yielded=readied.yielded,
        nameless=readied.nameless,
        untyped=len({row.cui for row in readied.names if not row.types}),
        trained_on=len(texts or ()),
        sources=tuple(sources),
        settings=settings,
        versions={"rocov2-eval": __version__, "medcat": version("medcat")},
    )
    _write(cat, summary, out)
    return summary


def _varied(rows: list[ConceptName], settings: PackSettings) -> list[ConceptName]:
    """Return names with the forms that the settings ask for, their plurals included."""
    varied = with_joined(rows) if settings.joined else rows
    return with_plurals(varied) if settings.plurals else varied


def _model(
    names: Sequence[ConceptName],
    texts: Sequence[str] | None,
    settings: PackSettings,
    progress: Callable[[int, int], None] | None,
) -> Any:  # noqa: ANN401  an untyped library at the border
    """Return the `medcat.cat.CAT` of names, trained where there are texts."""
    from medcat.cat import CAT

    config = _config(settings)
    cat = CAT(cdb=_database(names, config), vocab=_vocabulary(texts, settings), config=config)
    if texts:
        with _seeded(settings.seed):
            cat.trainer.train_unsupervised(
                list(_told(list(texts) * settings.epochs, progress)), nepochs=1, progress_print=len(texts) + 1
            )
    return cat


def _config(settings: PackSettings) -> Any:  # noqa: ANN401
    from medcat.config import Config

    config = Config()
    config.general.log_level = _ERROR
    config.general.nlp.provider = "regex"
    config.general.spell_check = settings.spell_check
    for name in ("min_name_len", "upper_case_limit_len", "check_upper_case_names", "max_skip_tokens"):
        setattr(config.components.ner, name, getattr(settings, name))
    for name in ("disamb_length_limit", "similarity_threshold"):
        setattr(config.components.linking, name, getattr(settings, name))
    return config


def _database(names: Sequence[ConceptName], config: Any) -> Any:  # noqa: ANN401
    """Return the concept database; from rows, as the reader of files takes the name `NA` for none."""
    import pandas as pd
    from medcat.cdb import CDB
    from medcat.model_creation.cdb_maker import CDBMaker

    database = CDB(config)
    tuis = sorted({tui for row in names for tui in row.types})
    database.add_types([(tui, type_name(tui)) for tui in tuis])
    table = pd.DataFrame([_cells(row) for row in names], columns=list(_COLUMNS), dtype=str)
    return CDBMaker(config, database).prepare_csvs([table], full_build=True)


def _cells(row: ConceptName) -> tuple[str, ...]:
    name = row.name.replace(_BETWEEN_NAMES, " ")
    source = row.source.replace(_BETWEEN_NAMES, " ")
    return row.cui, name, source, row.status, _BETWEEN_NAMES.join(row.types), ""


def _vocabulary(texts: Sequence[str] | None, settings: PackSettings) -> Any:  # noqa: ANN401
    """Return the words with their vectors; MedCAT wants a vocabulary even if it is empty."""
    from medcat.vocab import Vocab

    vocabulary = Vocab()
    if texts:
        from dataset_builder.concepts.word_vectors import word_vectors

        words = word_vectors(
            texts,
            size=settings.vector_size,
            window=settings.vector_window,
            most_words=settings.vector_words,
            fewest=settings.vector_fewest,
            seed=settings.seed,
        )
        for (word, count), vector in zip(words.counts.items(), words.vectors, strict=True):
            vocabulary.add_word(word, count, vector)
        if words.counts:
            vocabulary.init_cumsums()
    return vocabulary


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the two generators of the process that MedCAT draws from, and give them back as they were."""
    import numpy as np

    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002  MedCAT uses it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _told(texts: Sequence[str], progress: Callable[[int, int], None] | None) -> Iterator[str]:
    for done, text in enumerate(texts, start=1):
        yield text
        if progress:
            progress(done, len(texts))


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
