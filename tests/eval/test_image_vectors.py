from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rocov2_eval.errors import UsageFault
from rocov2_eval.image_vectors import read_vectors, write_vectors

VECTORS = {"b": np.array([3.0, 4.0], np.float32), "a": np.array([0.0, 2.0], np.float32)}


def test_vectors_come_back_in_the_order_asked_for_scaled_to_length_1(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.npz", VECTORS)

    rows = read_vectors(tmp_path / "v.npz", ["a", "b"])

    np.testing.assert_allclose(rows, [[0, 1], [0.6, 0.8]], atol=1e-7)


def test_the_same_vectors_make_the_same_bytes(tmp_path: Path) -> None:
    write_vectors(tmp_path / "one.npz", VECTORS)
    write_vectors(tmp_path / "two.npz", dict(reversed(VECTORS.items())))

    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_row_in_an_array_of_its_own_is_a_vector_as_numpy_saves_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", a=np.array([[0.0, 2.0]], np.float16))

    np.testing.assert_allclose(read_vectors(tmp_path / "v.npz", ["a"]), [[0, 1]])


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        (
            {"x": np.ones(2)},
            r"2 of 2 images have no vector, such as a; it contains ids such as x: use",
        ),
        ({}, "2 of 2 images have no vector, such as a; it is empty"),
        ({"a": np.ones(2), "b": np.ones(3)}, r"b is float64 of shape \[3\], expected 2 floats"),
        ({"a": np.ones((2, 2)), "b": np.ones((2, 2))}, r"a is float64 of shape \[2, 2\]"),
        ({"a": np.ones(2, np.int64), "b": np.ones(2)}, "a is int64"),
        ({"a": np.zeros(2), "b": np.ones(2)}, "the vector of a is zero or not finite"),
        ({"a": np.ones(2), "b": np.array([1, np.nan])}, "the vector of b is zero or not finite"),
        (
            {"a": np.array([{}, {}], object), "b": np.ones(2)},
            r"not an archive of image vectors \(Object arrays",
        ),
    ],
)
def test_vectors_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], told: str
) -> None:
    np.savez(tmp_path / "v.npz", **arrays)

    with pytest.raises(UsageFault, match=told):
        read_vectors(tmp_path / "v.npz", ["a", "b"])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off", b"\x80\x04}."])
def test_a_foreign_file_is_refused_with_the_command_that_writes_a_right_one(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "v.npz").write_bytes(content)

    with pytest.raises(
        UsageFault, match=r"not an archive of image vectors .*embed-images DIR -o vectors\.npz"
    ):
        read_vectors(tmp_path / "v.npz", ["a"])


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "v.npz").open("wb") as file:
        np.save(file, np.ones(3))

    with pytest.raises(UsageFault, match="not an archive of image vectors"):
        read_vectors(tmp_path / "v.npz", ["a"])
