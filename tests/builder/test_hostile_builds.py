"""What a build makes of articles and files that mean harm or are broken: a counted drop, or a clear error."""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_builder.cli import run
from rocov2_eval.shelf import files

from made_articles import PICTURE_NAME, TABLES, article, bomb, png
from real_build import write_inputs
from s3_server import Bucket

BOMB = (
    '<!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "&{a};&{a};&{a};&{a};">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., int]:
    """Return a function that lays out articles by PMCID, as XML and picture, and builds a dataset of them."""

    def make(articles: dict[str, tuple[bytes, bytes]], source: str | None = None) -> int:
        bucket = Bucket()
        for pmcid, (xml, picture) in articles.items():
            bucket.add_article(pmcid, 1, {PICTURE_NAME: picture}, xml=xml)
        bucket.write(tmp_path / "pmc")
        rows = [
            {"PMCID": pmcid, "file": PICTURE_NAME, "concepts": "C0024109", "concepts_manual": ""}
            for pmcid in (*articles, "PMC2", "PMC3")
        ]
        write_inputs(tmp_path, list({row["PMCID"]: row for row in rows}.values()))
        head = source or '[source]\nkind = "folder"\npath = "pmc"\n'
        (tmp_path / "build.toml").write_text(head + TABLES)
        return run(["run", str(tmp_path / "build.toml"), "--workers", "1", "--quiet"])

    return make


@pytest.fixture
def drops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, tuple[str, str]]]:
    """Return a function that tells what was left out, by key: reason and detail."""

    def read() -> dict[str, tuple[str, str]]:
        capsys.readouterr()
        run(["drops", str(tmp_path / "build.toml"), "--format", "csv"])
        rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
        return {row["key"]: (row["reason"], row["detail"]) for row in rows}

    return read


GOOD = {"PMC1": (article(), png(seed=1)), "PMC9": (article(), png(seed=5))}


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        (article(BOMB, "&i;"), "entit"),
        (article(OUTSIDE, "&x;"), "entit"),
        (article()[:-30], ""),
        (b"", ""),
    ],
)
def test_a_hostile_or_broken_text_is_a_counted_drop(
    build: Callable[..., int], drops: Callable[[], dict[str, tuple[str, str]]], xml: bytes, told: str
) -> None:
    code = build(GOOD | {"PMC2": (xml, png(seed=2))})

    reason, detail = drops()["PMC2"]
    assert (code, reason) == (0, "full text cannot be read")
    assert told in detail
    assert "root:" not in detail


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (png()[:-200], ""),
        (bomb(), "pixels"),
        (b"GIF89a, or so it says", ""),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) run", "known format"),
    ],
)
def test_a_broken_picture_is_a_counted_drop(
    build: Callable[..., int], drops: Callable[[], dict[str, tuple[str, str]]], picture: bytes, told: str
) -> None:
    code = build(GOOD | {"PMC2": (article(), picture)})

    reason, detail = drops()[f"PMC2/{PICTURE_NAME}"]
    assert (code, reason) == (0, "image cannot be read")
    assert told in detail


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    build: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(GOOD)
    (tmp_path / "concepts.csv").unlink()

    code = run(["run", str(tmp_path / "build.toml"), "--quiet"])

    assert code == 3
    assert "concepts.csv: No such file" in capsys.readouterr().err


def test_a_full_disk_is_told_and_the_next_run_finishes(
    build: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = files.write_bytes

    def fail(path: Path, content: bytes) -> None:
        if path.name == "00000-of-00001.jsonl" and path.parent.name == "images":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("dataset_builder.store.write_bytes", fail)
        first = build(GOOD)
    told = capsys.readouterr().err

    assert (first, (tmp_path / "dataset").exists()) == (3, False)
    assert "No space left on device: make room" in told
    assert run(["run", str(tmp_path / "build.toml"), "--quiet"]) == 0
    assert run(["verify", str(tmp_path / "dataset")]) == 0
