"""The pictures of a dataset: where they lie, whether all are there, and what they hold as RGB."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.archives import UNREADABLE
from rocov2_eval.shelf.pictures import PixelArray, Unreadable, look, opaque
from rocov2_eval.shelf.words import shorten

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

ImageFile = Path | zipfile.Path

SUFFIXES = (".jpg", ".jpeg", ".png")
_SPLITS = ("train", "valid", "test")
_AS_THEY_ARE = ("RGB", "L", "LA")  # the modes that the official code takes


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Where the images of a dataset lie.

    Attributes:
        path: A dataset folder: `<split>/<ID>.jpg`, `<ID>.jpg`, or either within `<split>_images.zip`. The
            ending may be `.jpeg` or `.png` too.
        split: The split that the images belong to, None where it is unknown.
    """

    path: Path
    split: str | None = None

    def find(self, image_id: str) -> ImageFile | None:
        """Return the file of an image, None where it has none or the id is no file name.

        Raises:
            MissingResource: The archive of the split is damaged.
        """
        if not image_id or PurePosixPath(image_id).name != image_id or image_id.startswith("."):
            return None
        candidates = (place / f"{image_id}{suffix}" for place in self._places() for suffix in SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def files(self, image_ids: Sequence[str]) -> list[ImageFile]:
        """Return the files of images, all of which are there.

        Raises:
            MissingResource: An image has no file.
        """
        files = [self.find(image_id) for image_id in image_ids]
        if not all(files):
            raise MissingResource(self.missing(image_ids) or "")
        return [file for file in files if file is not None]

    def missing(self, image_ids: Sequence[str]) -> str | None:
        """Say which images have no file and how another folder is named, None where all have one."""
        lacking = [image_id for image_id in image_ids if self.find(image_id) is None]
        if not lacking:
            return None
        return (
            f"needs the images: {len(lacking):,} of {len(image_ids):,} have no file in {self.path}, such as "
            f"{shorten(lacking[0])}.jpg; name their folder with --images DIR"
        )

    def identity(self, image_ids: Sequence[str]) -> str:
        """Return `files@` and 12 hexadecimal digits of the SHA-256 of the files in this order.

        Raises:
            MissingResource: An image has no file, or one that cannot be read.
        """
        files = self.files(image_ids)
        return f"files@{_digest(self, tuple(image_ids), tuple(map(_state, files)))[:12]}"

    def _places(self) -> Iterator[ImageFile]:
        if self.split is not None:
            yield self.path / self.split
        yield self.path
        archive = self.path / f"{self.split}_images.zip"
        if self.split is not None and archive.is_file():
            root = _archive(archive, archive.stat().st_mtime_ns)
            yield from (root / self.split, root)


def all_images(folder: Path) -> dict[str, Path]:
    """Return every image file of a folder, and of its folders `train`, `valid` and `test`, by id.

    Raises:
        MissingResource: There is none, or an id has two files.
    """
    images: dict[str, Path] = {}
    for place in (folder, *(folder / split for split in _SPLITS)):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.suffix not in SUFFIXES:
                continue
            if path.stem in images:
                raise MissingResource(
                    f"{path} and {images[path.stem]} are files of the same image {path.stem!r}: keep one"
                )
            images[path.stem] = path
    if not images:
        raise MissingResource(f"no image in {folder}, expected files such as <ID>.jpg or train/<ID>.jpg")
    return images


def read_image(file: ImageFile) -> bytes:
    """Return the content of an image file.

    Raises:
        MissingResource: The file, or the archive that it is in, cannot be read.
    """
    try:
        return file.read_bytes()
    except UNREADABLE as error:
        raise MissingResource(f"{file} cannot be read: {error}") from None


def rgb_pixels(file: ImageFile, resize: Callable[[Picture], Picture]) -> PixelArray | Unreadable:
    """Return the pixels of an image file as RGB, shape (height, width, 3).

    Grey pictures are repeated in three channels and lose their transparency, as in the official code. It
    refuses all other modes than RGB; here, palette, CMYK, 16 bits and transparent colours are converted as
    `shelf.pictures.opaque` says.

    Args:
        file: A file of the dataset.
        resize: Brings an RGB picture to the size that a model takes.
    """

    def pixels(image: Picture) -> PixelArray:
        plain = image if image.mode in _AS_THEY_ARE else opaque(image)
        return np.asarray(resize(plain.convert("RGB")), np.uint8)

    return look(read_image(file), pixels)


@lru_cache(maxsize=4)
def _archive(path: Path, _changed: int) -> zipfile.Path:
    """Open an archive once, as listing its members takes a while."""
    try:
        return zipfile.Path(path)
    except UNREADABLE as error:
        raise MissingResource(f"{path} cannot be read ({error}): copy it again, or unpack it") from None


def _state(file: ImageFile) -> tuple[int, int]:
    """Return size and time of change of a file, of the archive for a member of one."""
    facts = (Path(str(file.root.filename)) if isinstance(file, zipfile.Path) else file).stat()
    return facts.st_size, facts.st_mtime_ns


@lru_cache(maxsize=4)
def _digest(folder: ImageFolder, image_ids: tuple[str, ...], _states: object) -> str:
    """Return the digest of files as they were when they had these sizes and times."""
    digest = hashlib.sha256()
    for file in folder.files(image_ids):
        digest.update(hashlib.sha256(read_image(file)).digest())
    return digest.hexdigest()
