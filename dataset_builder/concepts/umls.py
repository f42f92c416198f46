"""Names of concepts from the files of a UMLS release, MRCONSO.RRF and MRSTY.RRF, plain or gzipped.

Columns as NLM's reference manual lists them. Both files are sorted by CUI and read side by side, so that one
concept at a time is held.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO

from dataset_builder.concepts.concept_names import AUTOMATIC, PREFERRED, ConceptName, concept_name
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.shelf.words import shorten

NAMES_FILE = "MRCONSO.RRF"
TYPES_FILE = "MRSTY.RRF"
ENGLISH = "ENG"

_NAME_COLUMNS = 18
_CUI, _LAT, _TS, _STT, _ISPREF, _SAB, _STR, _SUPPRESS = 0, 1, 2, 4, 6, 11, 14, 16
_TYPE_COLUMNS = 6
_TUI = 1
_NOT_SUPPRESSED = "N"
_LONGEST_LINE = 1 << 20  # characters; names have a few thousand at most
_PREFERRED_ATOM = ("P", "PF", "Y")  # TS, STT, ISPREF

Cells = tuple[int, list[str]]


def read_umls(
    folder: Path, *, sources: Iterable[str] = (), types: Iterable[str] = ()
) -> Iterator[ConceptName]:
    """Yield the names of a release, concept by concept, the preferred one of each first.

    Suppressed names are left out. Of a concept the name with TS=P, STT=PF, ISPREF=Y is preferred; if a source
    list left it out, the first one that is there.

    Args:
        folder: Folder META of the release.
        sources: Abbreviations of the vocabularies to take, such as `SNOMEDCT_US`; all if empty.
        types: Semantic types to take, such as `T023`; all if empty.

    Raises:
        MissingResource: A file is not there, or cannot be read.
        RejectedInput: A line is not as NLM's manual says.
        UsageFault: No name is left.
    """
    taken, wanted = frozenset(sources), frozenset(types)
    names_path, types_path = release_files(folder)
    concept_types = _TypesInStep(types_path)
    found = False
    for cui, rows in groupby(_sorted_rows(names_path, _NAME_COLUMNS), key=lambda row: row[1][_CUI]):
        tuis = concept_types.of(cui)
        if wanted and wanted.isdisjoint(tuis):
            continue
        kept = [row for row in rows if _is_taken(row[1], taken)]
        for name in _names(kept, tuis, names_path):
            found = True
            yield name
    if not found:
        chosen = f" of the sources {', '.join(sorted(taken))}" if taken else ""
        raise UsageFault(f"{names_path}: no name in {ENGLISH}{chosen} that is not suppressed")


def release_files(folder: Path) -> tuple[Path, Path]:
    """Return the files of names and of types, plain or gzipped.

    Raises:
        MissingResource: One is not there.
    """
    return _file(folder, NAMES_FILE), _file(folder, TYPES_FILE)


class _TypesInStep:
    """The types of one concept after the other, as far as their file has been read."""

    def __init__(self, path: Path) -> None:
        rows = _sorted_rows(path, _TYPE_COLUMNS)
        self._groups = groupby(rows, key=lambda row: row[1][_CUI])
        self._cui = ""
        self._types: tuple[str, ...] = ()

    def of(self, cui: str) -> tuple[str, ...]:
        """Return the types of a concept; the concepts are asked for in order."""
        while self._cui < cui:
            following = next(self._groups, None)
            if following is None:
                return ()
            self._cui = following[0]
            self._types = tuple(sorted({row[1][_TUI] for row in following[1]}))
        return self._types if self._cui == cui else ()


def _is_taken(cells: list[str], sources: frozenset[str]) -> bool:
    return (
        cells[_LAT] == ENGLISH
        and cells[_SUPPRESS] == _NOT_SUPPRESSED
        and (not sources or cells[_SAB] in sources)
    )


def _names(rows: list[Cells], tuis: tuple[str, ...], path: Path) -> Iterator[ConceptName]:
    """Yield the distinct names of a concept, the preferred one first."""
    ranked = sorted(rows, key=lambda row: _atom(row[1]) != _PREFERRED_ATOM)
    seen: set[str] = set()
    for line, cells in ranked:
        text = cells[_STR]
        if text in seen or not text.strip():
            continue
        status = AUTOMATIC if seen else PREFERRED
        seen.add(text)
        yield concept_name(
            cells[_CUI],
            text,
            where=f"{path}:{line}",
            status=status,
            types="|".join(tuis),
            source=cells[_SAB],
        )


def _atom(cells: list[str]) -> tuple[str, str, str]:
    return cells[_TS], cells[_STT], cells[_ISPREF]


def _sorted_rows(path: Path, columns: int) -> Iterator[Cells]:
    """Yield lines as cells, with their number.

    Raises:
        RejectedInput: A line has another number of cells, or the CUIs are not in order.
    """
    last = ""
    for number, line in _lines(path):
        cells = line.split("|")
        # Every column ends with a bar, so that an empty cell follows the last one.
        if len(cells) != columns + 1 or cells[-1]:
            raise RejectedInput(
                f"{path}:{number}: {len(cells) - 1} cells that end with a bar, expected {columns} as in "
                f"{path.name.removesuffix('.gz')} of UMLS: {shorten(line)!r}"
            )
        if cells[_CUI] < last:
            raise RejectedInput(
                f"{path}:{number}: {shorten(cells[_CUI])} after {shorten(last)}, expected the CUIs in order: "
                f"sort the file, LC_ALL=C sort -o {path.name} {path.name}"
            )
        last = cells[_CUI]
        yield number, cells


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file, plain or gzipped, with their number."""
    number = 0
    try:
        with _open(path) as stream:
            while content := stream.readline(_LONGEST_LINE):
                number += 1
                if len(content) == _LONGEST_LINE:
                    raise RejectedInput(f"{path}:{number}: a line of over {_LONGEST_LINE:,} bytes")
                yield number, content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RejectedInput(f"{path}:{number}: not UTF-8 at byte {error.start} of the line") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RejectedInput(f"{path}:{number + 1}: a damaged gzip file: {error}") from None
    except OSError as error:
        raise MissingResource(f"{path}: {error.strerror or error}") from None


def _open(path: Path) -> IO[bytes]:
    # gzip.open has the same methods; its own base class hides them from the type checker.
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise MissingResource(f"{folder}: no {name} and no {name}.gz; --umls names the META folder of a release")
