"""Whole builds through the real command: real articles and hand-made radiology ones, see real_build.py."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from dataset_builder.cli import run
from dataset_builder.pmc.client import ClientOptions
from rocov2_eval.cli import invoke as evaluate

from real_build import MadeArticle, fill_bucket, radiology_articles, real_articles, write_inputs
from s3_server import Bucket, serving

pytestmark = pytest.mark.slow

MADE = 24
TABLES = """
[radiology]
model = "radiology.onnx"
[concepts]
table = "concepts.csv"
names = "cui_names.csv"
min_images = 1
"""
FOLDER = '[source]\nkind = "folder"\npath = "../pmc"\n' + TABLES
SALT = b"a salt of the tests, of 32 bytes"


@pytest.fixture(scope="module")
def material(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the articles as a folder in PMC's layout, and the inputs of a build."""
    folder = tmp_path_factory.mktemp("material")
    made, rows = radiology_articles(shared, MADE)
    bucket = Bucket()
    fill_bucket(bucket, [*real_articles(shared), *made])
    bucket.write(folder / "pmc")
    write_inputs(folder, rows)
    return folder


@pytest.fixture
def prepare(material: Path) -> Iterator[Callable[..., Path]]:
    """Return a function that makes the folder of a build beside the articles, with a salt of its own."""
    folders = []

    def make(text: str = FOLDER, *, shards: int = 1) -> Path:
        folder = material / f"build{random.getrandbits(40)}"
        folders.append(folder)
        (folder / "work").mkdir(parents=True)
        (folder / "work/salt").write_bytes(SALT)
        for path in material.iterdir():
            if path.is_file():
                shutil.copy(path, folder)
        (folder / "build.toml").write_text(f"[build]\nshards = {shards}\n{text}")
        return folder

    yield make
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def reference(material: Path) -> Path:
    """Return the folder of a build that nothing disturbed."""
    folder = material / "reference"
    (folder / "work").mkdir(parents=True)
    (folder / "work/salt").write_bytes(SALT)
    for path in list(material.iterdir()):
        if path.is_file():
            shutil.copy(path, folder)
    (folder / "build.toml").write_text(f"[build]\nshards = 1\n{FOLDER}")
    assert run(["run", str(folder / "build.toml"), "--workers", "1", "--quiet"]) == 0
    return folder


def digest(folder: Path, but: tuple[str, ...] = ()) -> str:
    """Return one hash over every byte and name of a dataset and its truth, but for some files."""
    files = [*sorted((folder / "dataset").rglob("*")), folder / "dataset-truth.zip"]
    lines = [
        f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in files
        if path.is_file() and path.name not in but
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def build(folder: Path, *options: str) -> int:
    return run(["run", str(folder / "build.toml"), "--quiet", *options])


def test_a_build_ends_in_a_dataset_that_passes_its_own_checks(
    reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["verify", str(reference / "dataset")])

    assert (code, capsys.readouterr().out.count("  ok  ")) == (0, 10)


def test_the_dataset_has_no_leaks(reference: Path) -> None:
    assert run(["leaks", str(reference / "dataset"), "--quiet"]) == 0


def test_the_scorer_takes_the_truth_and_gives_the_truth_full_marks(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.unpack_archive(reference / "dataset-truth.zip", tmp_path / "truth")
    with (tmp_path / "truth/test_concepts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    with (tmp_path / "run.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)

    code = evaluate(["score", str(tmp_path / "run.csv"), "--truth", str(tmp_path / "truth")])

    answer = capsys.readouterr().out
    assert code == 0
    assert f"test split, {len(rows)} images" in answer
    assert "concept_f1         1.0000" in answer


def test_the_107_real_articles_give_402_figures_and_each_is_accounted_for(
    reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["drops", str(reference / "build.toml"), "--stage", "figures", "--format", "csv"])
    lost = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    run(["drops", str(reference / "build.toml"), "PMC9500001"])

    real = [row for row in lost if row["key"].startswith("PMC90") and "/" in row["key"]]
    with_file = 402 - len(real)
    assert (sum(row["reason"] == "in a sub-article" for row in real), with_file) == (9, 12)


def test_a_second_run_does_nothing_and_leaves_every_byte(reference: Path) -> None:
    before = digest(reference), (reference / "dataset/SHA256SUMS").stat().st_mtime_ns

    assert build(reference, "--workers", "1") == 0
    assert before == (digest(reference), (reference / "dataset/SHA256SUMS").stat().st_mtime_ns)


def test_a_failing_service_gives_the_same_dataset(
    prepare: Callable[..., Path], reference: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = partial(ClientOptions, timeout=0.5, retries=3, backoff=0.001)
    monkeypatch.setattr("dataset_builder.opening.ClientOptions", hasty)
    made, _ = radiology_articles(shared, MADE)
    articles = [*real_articles(shared), *made]
    bucket = Bucket()
    fill_bucket(bucket, articles)
    _break(bucket)
    with serving(bucket):
        folder = prepare(
            f'[source]\nkind = "s3"\nbase_url = "{bucket.url}"\nlist = "pmcids.txt"\n'
            f"per_second = 5000\n{TABLES}"
        )
        _write_list(folder, articles)
        code = build(folder, "--workers", "1")

    assert code == 0
    # The manifest tells the sources apart, and with it the list of sums.
    assert digest(reference, but=("manifest.json", "SHA256SUMS")) == digest(
        folder, but=("manifest.json", "SHA256SUMS")
    )
    assert not [key for key, left in bucket.faults.items() if left], "every fault was met"


def _break(bucket: Bucket) -> None:
    """Let a share of the objects fail once or twice, in every way that the server knows."""
    keys = sorted(bucket.objects)
    ways = ([500], ["cut"], [429], [503, "cut"], [b"something else"], ["stall"], [500, 502])
    fetched = [key for key in keys if key.startswith("metadata/") or key.endswith((".xml", ".jpg"))]
    for index, key in enumerate(fetched[:: len(fetched) // 20]):
        way = ways[index % len(ways)]
        if key.endswith(".json") and isinstance(way[0], bytes):
            continue  # metadata come without a sum: other metadata in their place stop the build
        bucket.faults[key] += way


def _write_list(folder: Path, articles: list[MadeArticle]) -> None:
    (folder / "pmcids.txt").write_text("".join(f"{article.pmcid}\n" for article in articles))


@pytest.mark.parametrize(("shards", "workers"), [(4, "2"), (8, "1")])
def test_neither_shards_nor_workers_change_a_byte(
    prepare: Callable[..., Path], reference: Path, shards: int, workers: str
) -> None:
    folder = prepare(shards=shards)

    assert build(folder, "--workers", workers) == 0
    assert digest(reference) == digest(folder)


def test_ray_gives_the_same_bytes(prepare: Callable[..., Path], reference: Path) -> None:
    pytest.importorskip("ray")
    folder = prepare(shards=4)

    assert build(folder, "--ray", "local", "--workers", "2") == 0
    assert digest(reference) == digest(folder)


def test_storage_behind_fsspec_gives_the_same_bytes(prepare: Callable[..., Path], reference: Path) -> None:
    pytest.importorskip("fsspec")
    folder = prepare()
    store = folder / "remote"
    shutil.copytree(folder / "work", store)
    text = (folder / "build.toml").read_text()
    (folder / "build.toml").write_text(text.replace("[build]", f'[build]\nwork = "local://{store}"'))

    assert build(folder, "--workers", "1") == 0
    assert digest(reference) == digest(folder)
    assert (store / "stages/split/all.jsonl").is_file()


def test_a_build_killed_at_any_of_20_moments_ends_in_the_same_bytes(
    prepare: Callable[..., Path], reference: Path
) -> None:
    started = time.monotonic()
    first = prepare(shards=4)
    _command(first).wait()
    whole = time.monotonic() - started
    moments = random.Random(4)
    wanted = digest(reference)
    killed = 0

    for _ in range(20):
        folder = prepare(shards=4)
        process = _command(folder)
        time.sleep(moments.uniform(0.3, 0.95) * whole)
        killed += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        assert _command(folder).wait() == 0
        assert wanted == digest(folder)
        shutil.rmtree(folder)

    assert killed >= 10, "most moments must fall within the run"


def _command(folder: Path) -> subprocess.Popen[bytes]:
    script = "from dataset_builder.cli import main; main()"
    words = [sys.executable, "-c", script, "run", str(folder / "build.toml"), "--quiet", "--workers", "2"]
    return subprocess.Popen(words, start_new_session=True)


def test_a_growing_dataset_moves_no_image_and_renames_none(shared: Path, tmp_path: Path) -> None:
    made, rows = radiology_articles(shared, 90)
    (tmp_path / "pmc").mkdir()
    first = tmp_path / "first"
    second = tmp_path / "second"
    for folder, articles, more in ((first, made[:60], ""), (second, made, 'earlier = "assignments.csv"\n')):
        folder.mkdir()
        bucket = Bucket()
        fill_bucket(bucket, articles)
        bucket.write(tmp_path / "pmc")
        write_inputs(folder, rows)
        (folder / "build.toml").write_text(f"[build]\n{more}{FOLDER}")
        if more:
            shutil.unpack_archive(first / "dataset-truth.zip", tmp_path / "truth")
            shutil.copy(tmp_path / "truth/assignments.csv", folder)
        assert build(folder, "--workers", "1") == 0

    shutil.unpack_archive(second / "dataset-truth.zip", tmp_path / "later")
    before = _assignments(tmp_path / "truth/assignments.csv")
    after = _assignments(tmp_path / "later/assignments.csv")
    assert before == {key: after[key] for key in before}
    assert len(after) > len(before)


def _assignments(path: Path) -> dict[str, tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {f"{row['PMCID']}/{row['file']}": (row["split"], row["ID"]) for row in csv.DictReader(file)}


def test_a_changed_option_runs_again_only_what_it_can_move(
    prepare: Callable[..., Path],
) -> None:
    folder = prepare()
    build(folder, "--workers", "1")
    accounts = {path: path.stat().st_mtime_ns for path in (folder / "work/stages").rglob("*.done.json")}
    with (folder / "build.toml").open("a") as file:
        file.write("[split]\nseed = 7\n")

    build(folder, "--workers", "1")

    moved = {path.parent.name for path, time_ns in accounts.items() if path.stat().st_mtime_ns != time_ns}
    assert {"split", "package"} == moved


def test_two_runs_at_once_are_refused(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    folder = prepare()
    with (folder / "work/.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code = build(folder, "--workers", "1")

    assert (code, "another run uses this build" in capsys.readouterr().err) == (3, True)
