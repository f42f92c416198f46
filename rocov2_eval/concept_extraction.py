"""UMLS concepts in a text, found by MedCAT 2: one protocol for the builder's concepts and for `umls_f1`."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Protocol

from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.archives import UNREADABLE
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.progress import Progress, silent

# Read when medcat is imported: it would ask the package index for a newer version and write to a cache.
_NO_VERSION_CHECK = "MEDCAT_DISABLE_VERSION_CHECK"
_DATABASE = "cdb"  # the part that every model pack has
_DATABASE_OF_1 = "cdb.dat"  # and that of MedCAT 1
_TEXTS_AT_ONCE = 200  # between two reports of progress


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A concept where a text names it.

    Attributes:
        start: Index of the first character of the mention.
        end: The character after the last one.
        text: What stands there, `text[start:end]`.
        cui: CUI of the concept.
        name: Preferred name of the concept in the model pack.
        types: Semantic types of the concept, such as `T047`, sorted; empty where the pack tells none.
        accuracy: What MedCAT trusts the link with, in [0, 1]; 1 for a name that only one concept has.
    """

    start: int
    end: int
    text: str
    cui: str
    name: str
    types: tuple[str, ...]
    accuracy: float


class ConceptExtractor(Protocol):
    """Finds concepts in texts."""

    @property
    def identity(self) -> str:
        """Tell one from another by name and digest, for signatures and reports."""
        ...

    def extract(self, texts: Sequence[str]) -> list[tuple[Mention, ...]]:
        """Return the mentions of each text in their order, each text by itself: the same at every call."""
        ...


@dataclass(frozen=True, kw_only=True)
class MedcatExtractor:
    """A MedCAT model pack.

    Attributes:
        cat: The loaded `medcat.cat.CAT`.
        identity: `name@digest` of the pack.
        nested: Keep a mention that lies within a longer one, or overlaps it.
        progress: Called with the texts read so far and in all.
    """

    cat: Any
    identity: str
    nested: bool = False
    progress: Progress = silent

    def extract(self, texts: Sequence[str]) -> list[tuple[Mention, ...]]:
        """Return the mentions of each text, by start, then end."""
        mentions: list[tuple[Mention, ...]] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            mentions += (self._of(text) for text in texts[start : start + _TEXTS_AT_ONCE])
            self.progress(len(mentions), len(texts))
        return mentions

    def _of(self, text: str) -> tuple[Mention, ...]:
        # MedCAT answers a text without tokens with an empty dictionary.
        entities = self.cat.get_entities(text).get("entities", {}).values()
        mentions = [_mention(entity) for entity in entities]
        return tuple(sorted(mentions if self.nested else longest(mentions), key=place_of))


@contextmanager
def open_pack(
    path: Path, *, types: Iterable[str] = (), nested: bool = False, progress: Progress = silent
) -> Iterator[MedcatExtractor]:
    """Load a model pack of MedCAT 2.

    A pack holds pickled objects: loading one runs what it says. Load only packs you trust.

    Args:
        path: The folder of the pack, or its zip archive.
        types: Semantic types to find, whatever filter the pack brings; empty for what the pack itself finds.
            A concept without a type is then left out.
        nested: Keep mentions within longer ones.
        progress: Called with the texts read so far and in all, at every call of `extract`.

    Raises:
        MissingResource: medcat or a library that the pack asks for is not installed, or there is no such
            pack.
        RejectedInput: It is no pack of MedCAT 2, or has none of the types.
    """
    medcat_version()  # before a large pack is read
    identity = pack_identity(path)
    with _unpacked(path) as folder:
        cat = _load(folder, path)
    cat.config.general.usage_monitor.enabled = False  # a pack may ask for a log of what it is shown
    wanted = tuple(types)
    if wanted:
        known = cat.cdb.type_id2info
        cuis = {cui for name in wanted if name in known for cui in known[name].cuis}
        if not cuis:
            raise RejectedInput(
                f"{path}: this model pack contains no concept of the types {', '.join(wanted)}"
            )
        cat.config.components.linking.filters.cuis = cuis
    yield MedcatExtractor(cat=cat, identity=identity, nested=nested, progress=progress)


def pack_identity(path: Path) -> str:
    """Return `name@digest` of a model pack, the same for its folder and for its archive.

    Raises:
        MissingResource: There is no such pack, or it cannot be read.
        RejectedInput: It is something else.
    """
    with _reading(path):
        digests = dict(_member_digests(path))
    _refuse_other(path, digests)
    lines = "".join(f"{name}\0{digests[name]}\n" for name in sorted(digests))
    name = path.resolve().name.removesuffix(".zip")
    return f"{name}@{hashlib.sha256(lines.encode()).hexdigest()[:12]}"


def require_pack(path: Path) -> None:
    """Refuse at once what `open_pack` would refuse after other work; the content of the pack is not read.

    Raises:
        MissingResource: medcat is not installed, or there is no such pack, or it cannot be read.
        RejectedInput: It is no pack of MedCAT 2.
    """
    medcat_version()
    with _reading(path):
        if path.is_dir():
            names = [item.name for item in path.iterdir()]
        else:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
    _refuse_other(path, names)


def medcat_version() -> str:
    """Return the version of medcat, without importing it.

    Raises:
        MissingResource: It is not installed.
    """
    try:
        return version("medcat")
    except PackageNotFoundError:
        raise MissingResource(_not_installed()) from None


def longest(mentions: Iterable[Mention]) -> list[Mention]:
    """Keep the longest of mentions that overlap; among equal ones the first, then the surest, then by CUI."""
    kept: list[Mention] = []
    ranked = sorted(mentions, key=lambda it: (it.start - it.end, it.start, -it.accuracy, it.cui))
    for mention in ranked:
        if all(mention.end <= other.start or other.end <= mention.start for other in kept):
            kept.append(mention)
    return kept


def import_medcat() -> None:
    """Import medcat quietly: no question to the package index, no log on stderr.

    Raises:
        MissingResource: It is not installed.
    """
    os.environ.setdefault(_NO_VERSION_CHECK, "True")
    try:
        import medcat  # noqa: F401  its import is what is wanted
    except ImportError:
        raise MissingResource(_not_installed()) from None
    logging.getLogger("medcat").setLevel(logging.ERROR)


def _mention(entity: Any) -> Mention:  # noqa: ANN401  what medcat hands out
    return Mention(
        start=int(entity["start"]),
        end=int(entity["end"]),
        text=str(entity["source_value"]),
        cui=str(entity["cui"]),
        name=str(entity["pretty_name"]),
        types=tuple(sorted(entity["type_ids"])),
        accuracy=float(entity["acc"]),
    )


def place_of(mention: Mention) -> tuple[int, int, str]:
    """Return what mentions are sorted by: where they stand, then the concept."""
    return mention.start, mention.end, mention.cui


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of a pack what keeps it from being read."""
    try:
        yield
    except OSError as error:
        raise MissingResource(f"model pack {path}: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise RejectedInput(f"{path}: neither a folder nor a zip archive of a model pack: {error}") from None


def _refuse_other(path: Path, names: Iterable[str]) -> None:
    """Refuse a pack whose members are not those of MedCAT 2."""
    tops = {name.split("/")[0] for name in names}
    if _DATABASE in tops:
        return
    if _DATABASE_OF_1 in tops:
        raise RejectedInput(
            f"{path}: found a model pack of MedCAT 1, expected one of MedCAT 2: unpack it and convert "
            "it with `python -m medcat.utils.legacy.legacy_converter OLD NEW --new-folder`"
        )
    raise RejectedInput(f"{path}: no folder {_DATABASE}/ at its top, expected a model pack of MedCAT 2")


def _member_digests(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        for file in path.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    yield file.relative_to(path).as_posix(), _digest(stream)
        return
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if not item.is_dir():
                with archive.open(item) as stream:
                    yield item.filename, _digest(stream)


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """Yield the folder of a pack; medcat itself would unpack beside the archive, in every process at once."""
    if path.is_dir():
        yield path
        return
    with TemporaryDirectory(prefix="rocov2-pack-") as folder, zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        yield Path(folder)


def _load(folder: Path, path: Path) -> Any:  # noqa: ANN401  an untyped library at the border
    import_medcat()
    from medcat.cat import CAT

    try:
        return CAT.load_model_pack(str(folder))
    except ImportError as error:
        raise MissingResource(f"{path}: this model pack needs another library: {error}") from error
    except Exception as error:
        # Unpickling what is not there or of another version fails in as many ways as there are classes.
        raise RejectedInput(f"{path}: MedCAT cannot load this model pack: {error!r}") from error


def _not_installed() -> str:
    return f"MedCAT is not installed: {install_command('concepts')}"
