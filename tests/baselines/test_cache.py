"""The picture cache: every kind of file, broken ones, interruptions, changes, archives."""

from __future__ import annotations

import errno
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.data import cache
from baselines.data.cache import LEDGER, PIXELS, open_cache
from baselines.data.decoding import decode
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.pictures import Unreadable

Files = list[tuple[str, Path]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return ten grey pictures of 20x10 pixels, each of its own level."""
    return [(f"p{i}", _saved(Image.new("L", (20, 10), 20 * i), tmp_path / f"p{i}.png")) for i in range(10)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode four pictures at a time."""
    monkeypatch.setattr(cache, "BLOCK", 4)


def test_a_cache_has_a_row_for_each_picture_in_order(files: Files, tmp_path: Path) -> None:
    cached = open_cache(files, tmp_path / "cache", 8)
    assert cached.images.shape == (10, 8, 8, 3)
    assert [20 * i for i in range(10)] == cached.images[:, 4, 4, 0].tolist()
    assert tuple(f"p{i}" for i in range(10)) == cached.ids


def test_a_letterboxed_picture_keeps_its_proportions_on_black(tmp_path: Path) -> None:
    wide = _bytes(Image.new("L", (20, 10), 200), tmp_path)
    assert _decoded(wide, 8)[:, 4, 0].tolist() == [0, 0, 200, 200, 200, 200, 0, 0]


def test_a_squashed_picture_fills_the_square(tmp_path: Path) -> None:
    wide = _bytes(Image.new("L", (20, 10), 200), tmp_path)
    assert {200} == set(np.unique(decode(wide, 8, "squash")))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (8, 8), 90), (90, 90, 90)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("RGB", (8, 8), (10, 20, 30)), (10, 20, 30)),
        (Image.new("RGB", (8, 8), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE), (10, 20, 30)),
        (Image.new("RGBA", (8, 8), (10, 20, 30, 0)), (255, 255, 255)),
        (Image.new("LA", (8, 8), (10, 0)), (255, 255, 255)),
        (Image.new("CMYK", (8, 8), (0, 0, 0, 255)), (0, 0, 0)),
    ],
    ids=["grey", "bit", "colour", "palette", "transparent", "transparent grey", "print"],
)
def test_every_kind_of_picture_becomes_rgb(
    image: Image.Image, expected: tuple[int, ...], tmp_path: Path
) -> None:
    content = _bytes(image, tmp_path, "tiff" if image.mode == "CMYK" else "png")
    assert expected == tuple(_decoded(content, 8)[4, 4].tolist())


def test_sixteen_bits_are_stretched_and_not_cut_off(tmp_path: Path) -> None:
    levels = np.tile(np.array([1000, 3000], np.uint16).repeat(4), (8, 1))
    content = _bytes(Image.fromarray(levels), tmp_path)
    assert (_decoded(content, 8)[4, 0, 0], _decoded(content, 8)[4, 7, 0]) == (0, 255)


def test_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(np.vstack([np.full((8, 16), 250), np.full((8, 16), 5)]).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by half
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    decoded = _decoded((tmp_path / "turned.jpg").read_bytes(), 16)
    assert decoded[2].mean() < 20
    assert decoded[13].mean() > 200


def test_odd_exif_data_do_not_break_a_picture(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "odd.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert _decoded((tmp_path / "odd.jpg").read_bytes(), 8)[4, 4, 0] == 90


def test_a_decompression_bomb_is_broken_without_being_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")
    assert Unreadable(detail="10000x10000 is more than 89,478,485 pixels") == decode(content, 8, "squash")


@pytest.mark.parametrize("content", [b"", b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0"])
def test_what_is_no_picture_is_broken(content: bytes) -> None:
    assert Unreadable(detail="no image of a known format") == decode(content, 8, "squash")


def test_a_cut_off_picture_is_broken(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    content = _bytes(Image.fromarray(noise), tmp_path, "jpeg")
    assert isinstance(decode(content[: len(content) // 2], 8, "squash"), Unreadable)


def test_broken_pictures_are_refused_by_name(files: Files, tmp_path: Path) -> None:
    files[3][1].write_bytes(b"no picture")
    with pytest.raises(
        RejectedInput, match=r"1 of 10 pictures .*\n  p3  .*p3\.png: no image of a known format"
    ):
        open_cache(files, tmp_path / "cache", 8)


def test_an_allowed_broken_picture_is_black_and_left_out_of_training(files: Files, tmp_path: Path) -> None:
    files[3][1].write_bytes(b"no picture")
    cached = open_cache(files, tmp_path / "cache", 8, allow_broken=True)
    assert cached.images[3].max() == 0
    assert cached.intact.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_the_pictures_to_learn_from_are_chosen_among_those_of_a_split(files: Files, tmp_path: Path) -> None:
    files[3][1].write_bytes(b"no picture")
    cached = open_cache(files, tmp_path / "cache", 8, allow_broken=True)
    some, others = cached.choosing(np.array([1, 3, 8])), cached.choosing(np.array([1, 3, 9]))

    assert (some.intact.tolist(), some.folder, len(some)) == ([1, 8], cached.folder, 10)
    assert len({cached.digest, some.digest, others.digest}) == 3
    assert cached.choosing(np.arange(10)).digest == cached.digest


@pytest.mark.usefixtures("small_blocks")
def test_a_mended_picture_is_taken_without_decoding_the_other_blocks(
    files: Files, tmp_path: Path, decoded: list[int]
) -> None:
    good = files[9][1].read_bytes()
    files[9][1].write_bytes(b"no picture")
    with pytest.raises(RejectedInput):
        open_cache(files, tmp_path / "cache", 8)
    files[9][1].write_bytes(good)
    decoded.clear()
    assert not open_cache(files, tmp_path / "cache", 8).broken
    assert len(decoded) == 2


@pytest.mark.usefixtures("small_blocks")
def test_the_pixels_do_not_depend_on_the_number_of_workers(files: Files, tmp_path: Path) -> None:
    one = open_cache(files, tmp_path / "one", 8)
    two = open_cache(files, tmp_path / "two", 8, workers=2)
    assert (one.digest, one.images.tobytes()) == (two.digest, two.images.tobytes())


def test_a_full_cache_is_opened_without_reading_a_picture(
    files: Files, tmp_path: Path, decoded: list[int]
) -> None:
    open_cache(files, tmp_path / "cache", 8)
    decoded.clear()
    open_cache(files, tmp_path / "cache", 8)
    assert decoded == []


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_cache_goes_on_where_it_stopped(
    files: Files, tmp_path: Path, decoded: list[int]
) -> None:
    whole = open_cache(files, tmp_path / "whole", 8)
    with pytest.raises(KeyboardInterrupt):
        open_cache(files, tmp_path / "cache", 8, progress=_interrupt_at(8))
    decoded.clear()
    assert whole.images.tobytes() == open_cache(files, tmp_path / "cache", 8).images.tobytes()
    assert len(decoded) == 2


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("harm", ["torn ledger", "lost pixels", "short file", "no ledger", "strange ledger"])
def test_what_is_damaged_is_decoded_again(
    files: Files, tmp_path: Path, harm: str, decoded: list[int]
) -> None:
    whole = open_cache(files, tmp_path / "cache", 8)
    digest, expected = whole.digest, whole.images.tobytes()
    ledger, pixels = tmp_path / "cache" / LEDGER, tmp_path / "cache" / PIXELS
    if harm == "torn ledger":
        ledger.write_text(ledger.read_text()[:-40])
    elif harm == "lost pixels":
        with pixels.open("r+b") as file:
            file.write(bytes(4 * 8 * 8 * 3))
    elif harm == "short file":
        os.truncate(pixels, 100)
    elif harm == "no ledger":
        ledger.unlink()
    else:
        ledger.write_text('{"number": 99, "key": "", "faults": {}, "pixels": ""}\n[]\n')
    decoded.clear()
    mended = open_cache(files, tmp_path / "cache", 8)
    assert (digest, expected) == (mended.digest, mended.images.tobytes())
    assert len(decoded) == {"torn ledger": 2, "lost pixels": 4}.get(harm, 10)


def test_a_disk_without_room_is_an_error_before_the_work(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[int]
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        open_cache(files, tmp_path / "cache", 8)
    assert decoded == []


def test_a_changed_picture_is_noticed(files: Files, tmp_path: Path) -> None:
    before = open_cache(files, tmp_path / "cache", 8)
    _saved(Image.new("L", (20, 10), 255), files[2][1])
    after = open_cache(files, tmp_path / "cache", 8)
    assert after.images[2, 4, 4, 0] == 255
    assert before.digest != after.digest


@pytest.mark.parametrize("change", ["order", "side", "fit"])
def test_another_order_or_size_is_decoded_anew(files: Files, tmp_path: Path, change: str) -> None:
    open_cache(files, tmp_path / "cache", 8)
    wanted = files[::-1] if change == "order" else files
    side, fit = 16 if change == "side" else 8, "squash" if change == "fit" else "letterbox"
    anew = open_cache(wanted, tmp_path / "cache", side, fit=fit)  # type: ignore[arg-type]
    fresh = open_cache(wanted, tmp_path / "fresh", side, fit=fit)  # type: ignore[arg-type]
    assert (fresh.digest, fresh.images.tobytes()) == (anew.digest, anew.images.tobytes())


def test_pictures_are_read_from_an_archive(files: Files, tmp_path: Path) -> None:
    archive = tmp_path / "valid_images.zip"
    with zipfile.ZipFile(archive, "w") as members:
        for _, path in files:
            members.write(path, f"valid/{path.name}")
    cached = open_cache([(i, archive / "valid" / path.name) for i, path in files], tmp_path / "zipped", 8)
    assert open_cache(files, tmp_path / "cache", 8).digest == cached.digest


def test_a_picture_changed_inside_an_archive_is_noticed(files: Files, tmp_path: Path) -> None:
    archive = tmp_path / "valid_images.zip"
    levels = []
    for picture in files[1:3]:
        with zipfile.ZipFile(archive, "w") as members:
            members.write(picture[1], "a.png")
        levels.append(int(open_cache([("a", archive / "a.png")], tmp_path / "cache", 8).images[0, 4, 4, 0]))
    assert levels == [20, 40]


def test_a_missing_picture_is_named(files: Files, tmp_path: Path) -> None:
    files[4][1].unlink()
    with pytest.raises(RejectedInput, match=r"p4\.png: cannot be read"):
        open_cache(files, tmp_path / "cache", 8)


def test_an_id_that_stands_twice_is_refused(files: Files, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="'p0' appears 2 times"):
        open_cache([*files, files[0]], tmp_path / "cache", 8)


def test_progress_ends_at_the_number_of_pictures(files: Files, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    open_cache(files, tmp_path / "cache", 8, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (10, 10)


@pytest.mark.slow
def test_a_killed_cache_leaves_no_worker_and_goes_on(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    content = _bytes(Image.fromarray(noise), tmp_path, "png")
    files = []
    for i in range(600):
        files.append((f"p{i}", tmp_path / f"p{i}.png"))
        files[-1][1].write_bytes(content)
    program = (
        "import sys; from pathlib import Path; from baselines.data.cache import open_cache\n"
        "root = Path(sys.argv[1]); files = [(f'p{i}', root / f'p{i}.png') for i in range(600)]\n"
        "if __name__ == '__main__': open_cache(files, root / 'cache', 64, workers=2)\n"
    )
    (tmp_path / "decoding.py").write_text(program)
    killed = subprocess.Popen(
        [sys.executable, str(tmp_path / "decoding.py"), str(tmp_path)], start_new_session=True
    )
    ledger = tmp_path / "cache" / LEDGER
    _wait_until(lambda: ledger.is_file() and ledger.read_text().count("\n") >= 1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    _wait_until(lambda: not _group_lives(killed.pid))
    ready = ledger.read_text().count("\n")
    seen: list[int] = []
    cached = open_cache(files, tmp_path / "cache", 64, progress=lambda done, _: seen.append(done))
    assert 5 - ready == len(seen)
    assert len({row.tobytes() for row in cached.images}) == 1


@pytest.mark.slow
def test_a_script_that_its_workers_run_again_ends_with_a_message(files: Files, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from baselines.data import cache\n"
        "cache.BLOCK = 4; root = Path(sys.argv[1])\n"
        "cache.open_cache([(f'p{i}', root / f'p{i}.png') for i in range(10)], root / 'cache', 8, workers=2)\n"
    )
    assert len(files) == 10
    (tmp_path / "decoding.py").write_text(program)
    command = [sys.executable, str(tmp_path / "decoding.py"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "a script that decodes with workers must contain: if __name__ == '__main__':" in ended.stderr
    assert ended.returncode == 1


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every picture that is decoded."""
    seen: list[int] = []

    def counted(content: bytes, *options: object) -> object:
        seen.append(len(content))
        return decode(content, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "decode", counted)
    return seen


def _saved(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def _bytes(image: Image.Image, folder: Path, kind: str = "png") -> bytes:
    return _saved(image, folder / f"picture.{kind}").read_bytes()


def _decoded(content: bytes, side: int) -> np.ndarray:
    picture = decode(content, side, "letterbox")
    assert not isinstance(picture, Unreadable), picture
    return picture


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _interrupt_at(count: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return progress


def _wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def _group_lives(group: int) -> bool:
    stats: Sequence[Path] = list(Path("/proc").glob("[0-9]*/stat"))
    for path in stats:
        try:
            rest = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(rest[2]) == group and rest[0] != "Z":
            return True
    return False
