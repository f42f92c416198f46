from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rocov2_eval.errors import MissingResource
from rocov2_eval.images import ImageFolder, all_images, read_image, rgb_pixels
from rocov2_eval.shelf.pictures import Unreadable

RED = (200, 30, 40)


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = Image.new("RGB", size, RED)
    (colour.quantize() if mode == "P" else colour.convert(mode)).save(path)
    return path


def as_it_is(image: Image.Image) -> Image.Image:
    return image


@pytest.mark.parametrize("image_id", ["", "../a", "b/a", ".a", "other"])
def test_an_id_that_is_no_file_of_the_folder_has_no_image(tmp_path: Path, image_id: str) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b/a.jpg")

    assert ImageFolder(path=tmp_path).find(image_id) is None


def test_an_image_is_found_in_the_folder_of_its_split_first(tmp_path: Path) -> None:
    picture(tmp_path / "test/a.jpg")
    picture(tmp_path / "a.png")

    assert ImageFolder(path=tmp_path, split="test").find("a") == tmp_path / "test/a.jpg"
    assert ImageFolder(path=tmp_path).find("a") == tmp_path / "a.png"


def test_an_image_is_found_in_the_archive_of_its_split(tmp_path: Path) -> None:
    content = picture(tmp_path / "made/a.jpg").read_bytes()
    with zipfile.ZipFile(tmp_path / "valid_images.zip", "w") as archive:
        archive.writestr("valid/a.jpg", content)

    file = ImageFolder(path=tmp_path, split="valid").find("a")

    assert file is not None
    assert read_image(file) == content
    assert ImageFolder(path=tmp_path, split="test").find("a") is None


def test_a_damaged_archive_of_images_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "test_images.zip").write_bytes(b"PK no")

    with pytest.raises(MissingResource, match=r"test_images\.zip cannot be read .*: copy it again"):
        ImageFolder(path=tmp_path, split="test").find("a")


def test_missing_images_are_counted_with_the_option_that_names_another_folder(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    folder = ImageFolder(path=tmp_path)

    assert folder.missing(["a"]) is None
    expected = f"needs the images: 2 of 3 have no file in {tmp_path}, such as b.jpg; name their folder with "
    assert folder.missing(["a", "b", "c"]) == f"{expected}--images DIR"


def test_the_identity_of_images_follows_their_content_and_order(tmp_path: Path) -> None:
    for place in ("one", "two"):
        picture(tmp_path / place / "a.png")
        picture(tmp_path / place / "b.png", size=(7, 7))
    first, second = (ImageFolder(path=tmp_path / place) for place in ("one", "two"))

    identity = first.identity(["a", "b"])
    assert identity == second.identity(["a", "b"])
    assert identity != first.identity(["b", "a"])
    picture(tmp_path / "one/b.png", size=(8, 8))
    assert identity != first.identity(["a", "b"])


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        *((mode, "a.png") for mode in ("RGB", "L", "LA", "P", "RGBA", "1", "I;16")),
        ("CMYK", "a.jpg"),
        ("I", "a.tif"),
    ],
)
def test_pictures_of_every_mode_become_rgb(tmp_path: Path, mode: str, name: str) -> None:
    if mode == "I;16":
        Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000).save(tmp_path / name)
    else:
        picture(tmp_path / name, mode)

    pixels = rgb_pixels(tmp_path / name, as_it_is)

    assert isinstance(pixels, np.ndarray)
    assert pixels.shape == (4, 6, 3)
    if mode in {"RGB", "P", "RGBA", "CMYK"}:
        assert np.abs(pixels.astype(int) - RED).max() <= 8
    if mode == "I;16":
        assert pixels.min() == 0
        assert pixels.max() >= 254


def test_transparency_is_white_but_for_grey_pictures_which_lose_it(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (*RED, 0)).save(tmp_path / "colour.png")
    Image.new("LA", (2, 2), (50, 0)).save(tmp_path / "grey.png")

    colour, grey = (rgb_pixels(tmp_path / name, as_it_is) for name in ("colour.png", "grey.png"))

    assert (np.unique(colour).tolist(), np.unique(grey).tolist()) == ([255], [50])


def test_a_damaged_picture_is_unreadable(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", size=(300, 300))
    path.write_bytes(path.read_bytes()[:400])

    assert isinstance(rgb_pixels(path, as_it_is), Unreadable)


def test_all_images_of_a_dataset_are_listed_by_id(tmp_path: Path) -> None:
    files = [picture(tmp_path / name) for name in ("b.png", "test/a.jpg")]
    (tmp_path / "test/notes.txt").write_text("no image")

    assert all_images(tmp_path) == {"b": files[0], "a": files[1]}


@pytest.mark.parametrize(
    ("names", "told"), [([], "no image in"), (["a.png", "train/a.jpg"], "same image 'a'")]
)
def test_a_folder_without_images_or_with_an_id_twice_is_refused(
    tmp_path: Path, names: list[str], told: str
) -> None:
    for name in names:
        picture(tmp_path / name)

    with pytest.raises(MissingResource, match=told):
        all_images(tmp_path)
