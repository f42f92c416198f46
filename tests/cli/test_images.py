"""Scores that look at images, and the file of their vectors, through the command."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sysconfig
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dual_models import clip_folder, medimageinsight_folder
from PIL import Image

from rocov2_eval.cache import FILE_NAME
from rocov2_eval.dual_encoder import DualEncoder
from rocov2_eval.errors import ExitCode
from rocov2_eval.image_vectors import read_vectors, write_vectors

COMMAND = Path(sysconfig.get_path("scripts")) / "rocov2-eval"

pytestmark = pytest.mark.encoder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of tiny models by kind."""
    return {
        "similarity": medimageinsight_folder(tmp_path_factory.mktemp("similarity")),
        "clip": clip_folder(tmp_path_factory.mktemp("clip")),
    }


@pytest.fixture
def result(
    call: Callable[..., Any], caption_run: Path, sample: Path, weights: dict[str, Path]
) -> Callable[..., dict[str, Any]]:
    """Return a function that scores the captions of the sample by a metric and returns the JSON result."""

    def score(metric: str, *options: object, edition: str = "imageclef-2026") -> dict[str, Any]:
        chosen = [word for kind, path in weights.items() for word in ("--weights", f"{kind}={path}")]
        run = (caption_run, "--truth", sample, "--edition", edition, "--metric", metric)
        answer = call("score", *run, *chosen, "--no-ci", "--format", "json", *options)
        assert answer.code == ExitCode.OK, answer.err
        found: dict[str, Any] = json.loads(answer.out)
        return found

    return score


def valid_ids(sample: Path) -> list[str]:
    lines = (sample / "valid_captions.csv").read_text(encoding="utf-8").splitlines()
    return [line.partition(",")[0] for line in lines[1:]]


def test_similarity_is_scored_with_the_pictures_beside_the_truth(result: Callable[..., Any]) -> None:
    found = result("similarity")

    metric = found["metrics"]["similarity"]
    assert 0 < metric["mean"] <= 2.5
    assert "|images:files@" in metric["signature"]
    assert "|convert:yes|" in metric["signature"]
    assert any("drawn at random" in note for note in found["official"]["notes"])


def test_clipscore_is_scored_and_said_not_to_be_official(result: Callable[..., Any]) -> None:
    found = result("clipscore", edition="imageclef-2024")

    assert found["metrics"].keys() == {"clipscore", "refclipscore"}
    assert any("not official" in note for note in found["official"]["notes"])


@pytest.mark.slow
def test_vectors_of_embed_images_score_as_the_pictures_do(
    result: Callable[..., Any],
    call: Callable[..., Any],
    sample: Path,
    weights: dict[str, Path],
    tmp_path: Path,
) -> None:
    out = tmp_path / "vectors.npz"

    answer = call("embed-images", sample / "valid", "-o", out, "--weights", weights["similarity"])

    assert answer.code == ExitCode.OK, answer.err
    assert f"{len(valid_ids(sample))} vectors by similarity" in answer.err
    by_file, by_vector = result("similarity"), result("similarity", "--image-vectors", out)
    means = [found["metrics"]["similarity"]["mean"] for found in (by_file, by_vector)]
    assert means[0] == pytest.approx(means[1], abs=1e-6)
    assert "|images:vectors.npz@" in by_vector["metrics"]["similarity"]["signature"]
    assert not any("drawn at random" in note for note in by_vector["official"]["notes"])


def test_images_of_another_folder_are_taken_and_named_by_content(
    result: Callable[..., Any], sample: Path, tmp_path: Path
) -> None:
    shutil.copytree(sample / "valid", tmp_path / "elsewhere")
    first, second = result("similarity"), result("similarity", "--images", tmp_path / "elsewhere")
    Image.new("CMYK", (90, 70)).save(tmp_path / "elsewhere" / f"{valid_ids(sample)[0]}.jpg")
    third = result("similarity", "--images", tmp_path / "elsewhere")

    signatures = [found["metrics"]["similarity"]["signature"] for found in (first, second, third)]
    assert signatures[0] == signatures[1]
    assert signatures[1] != signatures[2]


def test_missing_pictures_leave_similarity_not_computed_with_the_way_out(
    call: Callable[..., Any], caption_run: Path, sample: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    shutil.copytree(sample, truth)
    (truth / "valid" / f"{valid_ids(sample)[0]}.jpg").unlink()
    words = ("score", caption_run, "--truth", truth, "--edition", "imageclef-2026", "--no-ci")
    chosen = ("--weights", f"similarity={weights['similarity']}")

    answer = call(*words, *chosen)

    assert answer.code == ExitCode.OK
    assert "1 of 13 have no file in" in answer.out
    assert "--images DIR, or a file of their vectors with --image-vectors FILE.npz" in answer.out
    alone = call(*words, *chosen, "--metric", "similarity")
    assert alone.code == ExitCode.MISSING_RESOURCE
    assert "--image-vectors FILE.npz" in alone.err


def test_a_damaged_picture_is_named_and_nothing_is_scored(
    call: Callable[..., Any], caption_run: Path, sample: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(sample / "valid", tmp_path / "images")
    damaged = tmp_path / "images" / f"{valid_ids(sample)[3]}.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])

    answer = call(
        *("score", caption_run, "--truth", sample, "--edition", "imageclef-2026", "--metric", "similarity"),
        *("--weights", f"similarity={weights['similarity']}", "--images", tmp_path / "images"),
    )

    assert answer.code == ExitCode.MISSING_RESOURCE
    assert f"1 image cannot be read: {damaged}" in answer.err
    assert "similarity" not in answer.out


def test_vectors_of_other_images_or_another_model_are_refused(
    call: Callable[..., Any], caption_run: Path, sample: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    words = ("score", caption_run, "--truth", sample, "--edition", "imageclef-2026", "--metric", "similarity")
    chosen = ("--weights", f"similarity={weights['similarity']}", "--image-vectors", tmp_path / "v.npz")
    write_vectors(tmp_path / "v.npz", {"other": np.ones(16, np.float32)})

    answer = call(*words, *chosen)

    assert answer.code == ExitCode.USAGE
    assert "13 of 13 images have no vector" in answer.err
    write_vectors(tmp_path / "v.npz", {name: np.ones(3, np.float32) for name in valid_ids(sample)})
    answer = call(*words, *chosen)
    assert answer.code == ExitCode.USAGE
    assert "vectors have 3 numbers" in answer.err


def test_images_that_cannot_be_embedded_leave_no_file(
    call: Callable[..., Any], weights: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    words = (
        "embed-images",
        tmp_path / "images",
        "-o",
        tmp_path / "v.npz",
        "--weights",
        weights["similarity"],
    )
    assert "no image in" in call(*words).err
    (tmp_path / "images/a.jpg").write_bytes(b"no picture")

    answer = call(*words)

    assert answer.code == ExitCode.MISSING_RESOURCE
    assert "a.jpg (no image of a known format)" in answer.err
    assert not (tmp_path / "v.npz").exists()


@pytest.mark.slow
def test_images_are_embedded_on_from_where_a_kill_left_them(
    call: Callable[..., Any],
    weights: dict[str, Path],
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "images").mkdir()
    source = np.random.default_rng(4)
    ids = [f"image-{i:03}" for i in range(60)]
    for name in ids:
        pixels = source.integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{name}.png")
    out = tmp_path / "v.npz"
    words = ("embed-images", tmp_path / "images", "-o", out, "--weights", weights["similarity"])
    cache = home / ".cache/rocov2-eval" / FILE_NAME

    process = subprocess.Popen([COMMAND, *map(str, words)], stderr=subprocess.DEVNULL)
    while process.poll() is None and entries(cache) < 4:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = entries(cache)

    assert 4 <= kept < len(ids)
    assert not out.exists()
    embedded: list[int] = []
    embed = DualEncoder._embed_pixels
    monkeypatch.setattr(
        DualEncoder, "_embed_pixels", lambda self, rows: embedded.append(len(rows)) or embed(self, rows)
    )
    assert call(*words).code == ExitCode.OK
    assert sum(embedded) == len(ids) - kept
    assert read_vectors(out, ids).shape == (len(ids), 16)


def entries(cache: Path) -> int:
    """Return the number of entries of a cache that another process may be making."""
    if not cache.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM entries").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
