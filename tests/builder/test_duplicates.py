from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy.fft import dctn

from dataset_builder.fingerprints import clusters, examine, first_of_each, near_pairs
from dataset_builder.records import Figure, ImageFacts, StageCount
from dataset_builder.stages.duplicates import (
    NEAR_DUPLICATE,
    SAME_BYTES,
    SAME_PIXELS,
    DuplicateOptions,
    says,
    select,
)
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.pictures import Unreadable

from made_figures import made_figure

hashes_with_neighbours = st.lists(
    st.tuples(st.sampled_from([0, 0x0123456789ABCDEF, 2**64 - 1]), st.sets(st.integers(0, 63), max_size=9)),
    max_size=30,
).map(lambda drawn: np.array([base ^ sum(1 << bit for bit in bits) for base, bits in drawn], np.uint64))


def picture(seed: int = 0, size: tuple[int, int] = (200, 160)) -> Image.Image:
    """Return bright ellipses of random places on a dark ground."""
    chance = np.random.default_rng(seed)
    image = Image.new("L", size, 10)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = chance.integers(0, size[0]), chance.integers(0, size[1])
        across, down = chance.integers(10, 60, 2)
        draw.ellipse((x, y, x + across, y + down), fill=int(chance.integers(40, 255)))
    return image


def saved(image: Image.Image, style: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, style, **options)
    return buffer.getvalue()


def found_in(content: bytes) -> ImageFacts:
    found = examine(content)
    assert isinstance(found, ImageFacts)
    return found


def distance(first: bytes, second: bytes) -> int:
    hashes = [found_in(content).perceptual for content in (first, second)]
    assert hashes[0] is not None
    assert hashes[1] is not None
    return (hashes[0] ^ hashes[1]).bit_count()


def made(sha256: str, pixels: str, perceptual: int | None) -> ImageFacts:
    return ImageFacts(sha256=sha256, pixels=pixels, perceptual=perceptual, width=9, height=9)


def figures(*images: ImageFacts) -> list[Figure]:
    """Return figures `PMC0/a`, `PMC1/b` and so on, each in an article of its own."""
    return [made_figure(f"PMC{i}", "abcdefghijklmnopqrst"[i], image=image) for i, image in enumerate(images)]


def brute_force(n: int, together: Callable[[int, int], bool]) -> list[int]:
    """Return the smallest index that each is connected with, by comparing all pairs again and again."""
    firsts = list(range(n))
    changed = True
    while changed:
        changed = False
        for i, j in combinations(range(n), 2):
            if together(i, j) and firsts[i] != firsts[j]:
                firsts[i] = firsts[j] = min(firsts[i], firsts[j])
                changed = True
    return firsts


@settings(max_examples=150, deadline=None)
@given(hashes=hashes_with_neighbours, most=st.integers(0, 10))
def test_clusters_of_hashes_are_those_of_comparing_all_pairs(hashes: np.ndarray, most: int) -> None:
    values = [int(value) for value in hashes]
    expected = brute_force(len(values), lambda i, j: (values[i] ^ values[j]).bit_count() <= most)
    assert expected == first_of_each(len(values), near_pairs(hashes, most)).tolist()


@settings(max_examples=100, deadline=None)
@given(hashes=hashes_with_neighbours, most=st.integers(0, 10))
def test_pairs_of_distinct_hashes_are_all_that_are_near(hashes: np.ndarray, most: int) -> None:
    distinct = np.unique(hashes)
    expected = [
        [i, j]
        for i, j in combinations(range(len(distinct)), 2)
        if (int(distinct[i]) ^ int(distinct[j])).bit_count() <= most
    ]
    assert expected == near_pairs(distinct, most).tolist()


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=25))
def test_connected_things_get_their_smallest_index(pairs: list[tuple[int, int]]) -> None:
    expected = brute_force(20, lambda i, j: (i, j) in pairs or (j, i) in pairs)
    assert expected == first_of_each(20, np.array(pairs, np.int64).reshape(-1, 2)).tolist()


def test_a_long_chain_is_one_cluster() -> None:
    chain = np.stack([np.arange(1, 5000), np.arange(4999)], axis=1)
    assert {0} == set(first_of_each(5000, np.random.default_rng(1).permutation(chain)).tolist())


@pytest.mark.parametrize("most", [-1, 13])
def test_a_distance_out_of_range_is_refused(most: int) -> None:
    with pytest.raises(UsageFault, match=f"distance: {most}, expected 0 to 12"):
        near_pairs(np.zeros(2, np.uint64), most)


def test_eighty_thousand_hashes_are_clustered_in_seconds() -> None:
    chance = np.random.default_rng(5)
    hashes = chance.integers(0, 1 << 64, 80_000, dtype=np.uint64)
    hashes[-2000:] = hashes[:2000] ^ np.uint64(0b1011)
    start = time.perf_counter()
    firsts = first_of_each(len(hashes), near_pairs(hashes, 4))
    took = time.perf_counter() - start
    assert [*range(78_000), *range(2000)] == firsts.tolist()
    assert took < 3


def test_the_first_of_each_cluster_is_kept_and_the_drops_say_why() -> None:
    images = [
        *(made("1", "p", 0b0), made("1", "p", 0b0), made("2", "p", 0b0)),
        *(made("3", "q", 0b111), made("4", "r", 2**64 - 1)),
    ]
    kept, drops = select(figures(*images), DuplicateOptions(distance=3))
    assert [(each.key, each.duplicate_articles) for each in kept] == [
        ("PMC0/a", ("PMC1", "PMC2", "PMC3")),
        ("PMC4/e", ()),
    ]
    assert [(drop.key, drop.reason, drop.detail) for drop in drops] == [
        ("PMC1/b", SAME_BYTES, "kept PMC0/a: SHA-256 1"),
        ("PMC2/c", SAME_PIXELS, "kept PMC0/a: SHA-256 of the pixels p"),
        ("PMC3/d", NEAR_DUPLICATE, "kept PMC0/a: 3 of 64 bits differ"),
    ]


def test_that_equal_hashes_are_enough_is_said_where_no_bit_may_differ() -> None:
    count = StageCount(stage="duplicates", title="shown once", unit="images", taken=9, kept=8, dropped=())
    said = {most: says({"duplicates": DuplicateOptions(distance=most)}, count) for most in (0, 4)}
    assert "with the same pixels, or whose hashes are equal, one was kept. Dropped: 1 of 9 images" in said[0]
    assert "whose hashes differ in at most 4 of 64 bits" in said[4]


def test_an_image_far_from_the_kept_one_says_by_what_it_hangs_together() -> None:
    images = (made("1", "p", 0), made("2", "q", 1), made("2", "r", None))
    _, drops = select(figures(*images), DuplicateOptions())
    assert [drop.detail for drop in drops] == [
        "kept PMC0/a: 1 of 64 bits differ",
        "kept PMC0/a: by way of others between them",
    ]


def test_every_image_is_either_kept_or_dropped() -> None:
    kept, drops = select(figures(*(found_in(saved(picture(i % 7))) for i in range(20))), DuplicateOptions())
    assert [each.pmcid for each in kept] == [f"PMC{i}" for i in range(7)]
    assert [drop.key.partition("/")[0] for drop in drops] == [f"PMC{i}" for i in range(7, 20)]


def test_images_too_flat_for_a_hash_are_told_apart_by_their_pixels() -> None:
    flat = [found_in(saved(Image.new("L", (50, 50), level))) for level in (0, 0, 255)]
    assert [found.perceptual for found in flat] == [None, None, None]
    assert clusters(flat).tolist() == [0, 0, 2]


def test_bytes_pixels_and_hashes_lead_to_one_cluster() -> None:
    chain = [made("1", "p", None), made("2", "p", 0), made("3", "q", 1), made("3", "s", None)]
    assert clusters(chain, 1).tolist() == [0, 0, 0, 0]


def test_the_same_picture_in_another_format_has_the_same_pixels() -> None:
    image = picture()
    contents = [saved(image), saved(image, "BMP"), saved(image.convert("RGB")), saved(image, "TIFF")]
    assert len({found_in(content).pixels for content in contents}) == 1
    assert len({found_in(content).sha256 for content in contents}) == 4


def test_a_picture_turned_on_its_side_has_other_pixels() -> None:
    flat = [saved(Image.new("L", size, 9)) for size in ((20, 40), (40, 20))]
    assert found_in(flat[0]).pixels != found_in(flat[1]).pixels


@pytest.mark.parametrize("seed", range(8))
def test_half_the_size_and_strong_compression_is_a_near_duplicate(seed: int) -> None:
    image = picture(seed, (640, 480))
    assert distance(saved(image), saved(image.resize((320, 240)), "JPEG", quality=40)) <= 4


def test_other_pictures_are_no_near_duplicates() -> None:
    contents = [saved(picture(seed)) for seed in range(30)]
    assert min(distance(*pair) for pair in combinations(contents, 2)) > 4


def test_a_transparent_picture_is_hashed_on_white() -> None:
    image = picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (100, 0, 200, 160))
    white = picture().convert("RGB")
    white.paste("white", (100, 0, 200, 160))
    assert distance(saved(image), saved(white)) == 0


def test_a_picture_of_16_bits_is_hashed_like_the_one_of_8() -> None:
    image = picture()
    deep = Image.fromarray(np.asarray(image, np.uint16) * 257)
    assert distance(saved(image), saved(deep)) <= 2


def test_pictures_of_16_bits_that_differ_in_the_bright_have_other_pixels() -> None:
    levels = np.full((20, 20), 60_000, np.uint16)
    assert (
        found_in(saved(Image.fromarray(levels))).pixels != found_in(saved(Image.fromarray(levels + 9))).pixels
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_has_the_lowest_frequencies_above_their_median(seed: int) -> None:
    image = picture(seed)
    small = np.asarray(image.resize((32, 32), Image.Resampling.BOX), float)
    frequencies = dctn(small)[:8, :8].ravel()
    expected = "".join(str(int(value > np.median(frequencies))) for value in frequencies)
    assert f"{found_in(saved(image)).perceptual:064b}" == expected


@pytest.mark.parametrize("style", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_a_damaged_image_never_stops_the_program(style: str) -> None:
    content = saved(picture(size=(60, 50)), style)
    chance = np.random.default_rng(9)
    for _ in range(150):
        damaged = bytearray(content)
        for place in chance.integers(0, len(content), 4):
            damaged[place] = int(chance.integers(256))
        assert isinstance(examine(bytes(damaged)), ImageFacts | Unreadable)


@pytest.mark.parametrize("side", [10_000, 20_000, 60_000])
def test_a_decompression_bomb_is_unreadable_and_never_decoded(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    found = examine(content)
    assert isinstance(found, Unreadable)
    assert "more than 89,478,485 pixels" in found.detail


def test_x_rays_published_in_two_collections_are_found_and_no_other(shared: Path) -> None:
    # The files of both collections bear the same name behind their prefix where they are the same X-ray.
    files = shared / "data/images/files"
    paths = [*sorted(files.glob("hannover_*")), *sorted(files.glob("covid_*"))]
    firsts = clusters([found_in(path.read_bytes()) for path in paths]).tolist()
    found = {paths[i].stem: paths[first].stem for i, first in enumerate(firsts) if i != first}
    assert len(found) == 16
    assert [image_id.removeprefix("covid_") for image_id in found] == [
        image_id.removeprefix("hannover_") for image_id in found.values()
    ]
