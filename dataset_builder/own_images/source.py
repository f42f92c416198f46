"""Images of the user's own as a source: a table names them; a group is what an article of PMC would be."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from dataset_builder.concepts.identifiers import cuis_of_cell
from dataset_builder.dataset_tables import PICTURE_SUFFIXES
from dataset_builder.facets import FACETS, MANUAL_NAMES, MODALITY, UNSURE, value_of
from dataset_builder.own_images.dicom import (
    DicomFacts,
    decoders,
    frame_as_png,
    is_dicom,
    read_facts,
)
from dataset_builder.own_images.table import ImageRow, read_image_table
from dataset_builder.pmc.eligibility import NOT_THERE, dropped
from dataset_builder.pmc.jats import STAGE as FIGURES
from dataset_builder.records import (
    ArticleFacts,
    Drop,
    Entry,
    Figure,
    FigureConcepts,
    FigureLicence,
    FigureText,
    Graphic,
    LicenceStatement,
    Media,
    kept_and_drops,
    own_key,
)
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.pictures import DAMAGED, FORMATS
from rocov2_eval.shelf.words import shorten

NOT_UNDERSTOOD = "row not understood"
WITHOUT = "row without {}"
NO_FILE = "file not at the source"
OUTSIDE = "image outside the folder of the table"
NO_PICTURE = "file without a picture"
STANDS_TWICE = "same image in an earlier row of its group"
UNKNOWN_VALUE = "value not understood"


class RowFault(RejectedInput):
    """What is wrong with one row, so that it makes no figure.

    Attributes:
        reason: The same words for all faults of a kind, so that they can be counted.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


class TableSource:
    """The images that a table names, below the folder that the table lies in."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def candidates(self) -> tuple[str, ...]:
        """Return the keys of the groups, ascending; a row that tells no group stands for itself."""
        return tuple(sorted(self._groups))

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return the images of a group, or why its one row is left out."""
        rows = self._groups.get(pmcid, ())
        if not rows:
            return dropped(pmcid, NOT_THERE)
        if all(_key_of(row) is None for row in rows):
            reason = NOT_UNDERSTOOD if rows[0].fault else WITHOUT.format("group")
            detail = rows[0].fault or "expected a patient or study"
            return dropped(pmcid, reason, f"{rows[0].place}: {detail}")
        seen: dict[str, str] = {}
        figures, drops = kept_and_drops(self._figure(pmcid, row, seen) for row in rows)
        return Entry(pmcid=pmcid, xml=None, media=(), figures=tuple(figures), drops=tuple(drops))

    def read(self, media: Media) -> bytes | None:
        """Return a picture file, None if it is not there; of DICOM, and of later frames, a PNG.

        Raises:
            MissingResource: DICOM, and pydicom is not installed.
            RejectedInput: It is damaged, cannot be decoded, or lies outside the folder.
        """
        path = self._place(media.key)
        try:
            if not path.is_file():
                return None
            content = path.read_bytes()
            if is_dicom(path):
                return frame_as_png(content, media.frame or 1)
        except OSError as error:
            raise RejectedInput(f"{media.key}: {error.strerror}") from None
        except RejectedInput as error:
            raise RejectedInput(f"{media.key}: {error}") from None
        return content if media.frame is None else _frame(content, media)

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the digest of the rows of groups, and of names, sizes and times of change of their files."""
        facts = hashlib.sha256()
        for row in (row for pmcid in sorted(pmcids) for row in self._groups.get(pmcid, ())):
            facts.update(f"{row.place}\0{row.fault}\0{sorted(row.cells.items())}\n".encode())
            try:
                status = self._place(_slashes(row.cells["image"])).stat()
                facts.update(f"{status.st_size}\0{status.st_mtime_ns}\n".encode())
            except (OSError, ValueError, RejectedInput):  # a drop of its own, told when the row is read
                facts.update(b"-\n")
            if not row.cells["image"].lower().endswith(PICTURE_SUFFIXES):  # DICOM needs no suffix
                facts.update(decoders().encode())
        return facts.hexdigest()

    @cached_property
    def _groups(self) -> Mapping[str, tuple[ImageRow, ...]]:
        groups: dict[str, list[ImageRow]] = {}
        for row in read_image_table(self._path):
            groups.setdefault(_key_of(row) or own_key(row.place), []).append(row)
        return {key: tuple(rows) for key, rows in groups.items()}

    @cached_property
    def _folder(self) -> Path:
        return self._path.parent.resolve()

    def _figure(self, pmcid: str, row: ImageRow, seen: dict[str, str]) -> Figure | Drop:
        """Return the figure of a row; `seen` has the images of the group so far, with their rows."""
        try:
            return self._read(pmcid, row, seen)
        except RowFault as fault:
            name = _slashes(row.cells["image"]) or f"line {row.line}"
            detail = f"{row.place}: {fault}" if str(fault) else row.place
            return Drop(stage=FIGURES, key=f"{pmcid}/{name}", reason=fault.reason, detail=detail)

    def _read(self, pmcid: str, row: ImageRow, seen: dict[str, str]) -> Figure:
        cells = row.cells
        for column in ("image", "caption", "licence"):
            if not cells[column]:
                raise RowFault(WITHOUT.format(column))
        try:
            frame = _frame_number(cells["frame"])
            concepts = _concepts(cells)
        except RejectedInput as error:
            raise RowFault(UNKNOWN_VALUE, str(error)) from None
        path, facts = self._file(_slashes(cells["image"]))
        name = path.relative_to(self._folder).as_posix()
        shown = f"{name}#{frame}" if frame else name
        if shown in seen:
            raise RowFault(STANDS_TWICE, f"{shorten(shown)} is also in {seen[shown]}")
        seen[shown] = row.place
        return Figure(
            pmcid=pmcid,
            number=row.line,
            graphic=Graphic(name=shown),
            text=FigureText(caption=cells["caption"]),
            article=ArticleFacts(credit=" ".join(cells["attribution"].split())),
            licence=FigureLicence(article=(LicenceStatement(source="table", text=cells["licence"]),)),
            media=Media(key=name, name=f"{path.name}.png" if facts or frame else path.name, frame=frame),
            concepts=concepts,
            warnings=facts.warnings if facts else (),
        )

    def _file(self, name: str) -> tuple[Path, DicomFacts | None]:
        """Return where an image is, and what its header says if it is DICOM."""
        try:
            path = self._place(name)
            return path, read_facts(path) if is_dicom(path) else None
        except OSError as error:
            raise RowFault(
                NO_FILE, f"{shorten(name)}: {error.strerror}, below the folder of the table"
            ) from None
        except RowFault:
            raise
        except RejectedInput as error:
            raise RowFault(NO_PICTURE, f"{shorten(name)}: {error}") from None

    def _place(self, name: str) -> Path:
        """Return where an image is or would be, whatever links lead there.

        Raises:
            RejectedInput: That is outside the folder.
        """
        if "\0" in name:
            raise RowFault(NO_FILE, f"{name!r} is no name of a file")
        path = Path(os.path.realpath(self._folder / name))
        if not path.is_relative_to(self._folder):
            raise RowFault(OUTSIDE, f"{shorten(name)}, expected a path relative to the table")
        return path


def _key_of(row: ImageRow) -> str | None:
    """Return what stands for the article of an image; None where the row does not tell its group."""
    group = " ".join(row.cells["group"].split())
    return own_key(group) if group and not row.fault else None


def _slashes(name: str) -> str:
    """Return a name with the separators of this system: tables from Windows have others."""
    return name.replace("\\", "/")


def _frame_number(cell: str) -> int | None:
    if not cell:
        return None
    digits = cell.removesuffix(".0")  # as spreadsheets and pandas write a column with gaps
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) < 1 << 31):
        raise RejectedInput(f"frame is {shorten(cell)!r}, expected a whole number from 1")
    return int(digits)


def _concepts(cells: Mapping[str, str]) -> FigureConcepts:
    """Return the concepts that a row gives; words such as `none` have no CUI."""
    answers = [value_of(facet, cells[name], name) for name, facet in FACETS.items() if cells[name]]
    manual = tuple(answer for answer in answers if answer in MANUAL_NAMES)
    said = bool(cells["modality"]) and value_of(MODALITY, cells["modality"], "modality") != UNSURE
    automatic = cuis_of_cell(cells["concepts"], "concepts")
    return FigureConcepts(manual=manual, is_annotated=said, automatic=automatic)


def _frame(content: bytes, media: Media) -> bytes:
    """Return one picture of a file of several, such as a TIFF of pages, as PNG."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.seek((media.frame or 1) - 1)
            file = io.BytesIO()
            image.save(file, "PNG")
            return file.getvalue()
    except EOFError:
        raise RejectedInput(f"{media.key}: no frame {media.frame}") from None
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise RejectedInput(f"{media.key}: {shorten(str(error), 100)}") from None
