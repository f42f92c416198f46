"""What a second run of a build does when something has changed since, or was damaged."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from dataset_builder.cli import run
from dataset_builder.stages import STAGES

from made_articles import PICTURE_NAME, TABLES, article, png
from real_build import write_inputs
from s3_server import Bucket, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a finished build of three articles, `pmc/` in it."""
    lay_out(tmp_path, dict.fromkeys(("PMC1", "PMC2", "PMC3"), article()))
    rows = [
        {"PMCID": f"PMC{number}", "file": PICTURE_NAME, "concepts": "C0024109", "concepts_manual": ""}
        for number in (1, 2, 3)
    ]
    write_inputs(tmp_path, rows)
    (tmp_path / "build.toml").write_text(f'[source]\nkind = "folder"\npath = "pmc"\n{TABLES}')
    assert build(tmp_path) == 0
    return tmp_path


def lay_out(folder: Path, articles: dict[str, bytes]) -> None:
    """Write articles in the layout of the service, each with a picture of its own."""
    bucket = Bucket()
    for pmcid, text in articles.items():
        bucket.add_article(pmcid, 1, {PICTURE_NAME: png(seed=int(pmcid[3:]))}, xml=text)
    bucket.write(folder / "pmc")


def build(folder: Path, *options: str) -> int:
    return run(["run", str(folder / "build.toml"), "--workers", "1", "--quiet", *options])


def images(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "dataset/train").iterdir())


def append(folder: Path, text: str) -> None:
    path = folder / "build.toml"
    path.write_text(path.read_text() + text)


def accounts(folder: Path) -> dict[str, int]:
    """Return when each stage was last done."""
    paths = (folder / "work/stages").rglob("*.done.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in paths}


def run_again(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name, time in after.items() if time != before[name]}


@pytest.mark.slow
def test_a_changed_sentence_of_the_program_runs_no_stage_again(folder: Path, tmp_path: Path) -> None:
    before = accounts(folder)
    for package in ("dataset_builder", "rocov2_eval"):
        source = Path(str(resources.files(package)))
        shutil.copytree(source, tmp_path / "changed" / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "changed/rocov2_eval/findings.py"
    path.write_text(path.read_text().replace("UTF-8", "the encoding UTF-8"))
    command = [sys.executable, "-m", "dataset_builder.cli", "run", folder / "build.toml", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "changed")}

    done = subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)

    assert (run_again(before, accounts(folder)), "1/1" in done.stdout) == (set(), True)


def test_a_raised_revision_runs_the_stage_and_what_depends_on_it_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = accounts(folder)
    raised = tuple(
        replace(stage, revision=stage.revision + 1) if stage.name == "captions" else stage for stage in STAGES
    )
    monkeypatch.setattr("dataset_builder.running.runner.STAGES", raised)

    assert build(folder) == 0
    # The records are the same, so that no picture is judged again; the manifest tells the revision.
    wholes = {stage.name for stage in STAGES if stage.scope == "all"}
    assert {"captions", *wholes} == run_again(before, accounts(folder))
    manifest = json.loads((folder / "dataset/manifest.json").read_text())
    assert manifest["stages"]["captions"]["revision"] == 2


def test_a_stage_is_run_again_where_that_is_asked_for(folder: Path) -> None:
    before = accounts(folder)

    assert build(folder, "--until", "captions", "--again") == 0
    assert {"captions"} == run_again(before, accounts(folder))


def test_again_needs_a_stage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(folder, "--again") == 2
    assert "--again needs --until" in capsys.readouterr().err


def test_an_article_retracted_in_a_folder_goes(folder: Path) -> None:
    path = folder / "pmc/metadata/PMC2.1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"is_retracted": True}))

    assert (build(folder), len(images(folder))) == (0, 2)


def test_a_text_changed_in_a_folder_is_read_again(folder: Path) -> None:
    text = article(caption="Coronal image of the pelvis of a child.")
    lay_out(folder, {"PMC2": text})

    assert build(folder) == 0
    assert "Coronal image of the pelvis" in (folder / "dataset/train_captions.csv").read_text()


@pytest.mark.slow
def test_an_article_retracted_at_the_service_goes_when_it_is_asked_anew(folder: Path) -> None:
    bucket = Bucket()
    for number in (1, 2, 3):
        bucket.add_article(f"PMC{number}", 1, {PICTURE_NAME: png(seed=number)}, xml=article())
    (folder / "pmcids.csv").write_text("PMC1\nPMC2\nPMC3\n")
    with serving(bucket):
        source = f'[source]\nkind = "s3"\nlist = "pmcids.csv"\nbase_url = "{bucket.url}"\nper_second = 1e6\n'
        (folder / "build.toml").write_text(source + TABLES)
        assert build(folder) == 0
        key = "metadata/PMC2.1.json"
        bucket.objects[key] = json.dumps(json.loads(bucket.objects[key]) | {"is_retracted": True}).encode()

        kept = [(build(folder, *options), len(images(folder))) for options in ((), ("--refresh",))]

    assert kept == [(0, 3), (0, 2)]


def test_a_file_lost_from_the_dataset_is_written_again(folder: Path) -> None:
    (lost, *_) = (folder / "dataset/train").iterdir()
    content = lost.read_bytes()
    lost.unlink()

    assert (0, content) == (build(folder), lost.read_bytes())


@pytest.mark.parametrize("place", ["thesis", "."])
def test_a_folder_that_is_no_dataset_is_never_replaced(folder: Path, place: str) -> None:
    (folder / "thesis").mkdir()
    (folder / "thesis/chapter.txt").write_text("years of work")
    append(folder, f'[build]\nout = "{place}"\n')

    assert (build(folder), (folder / "thesis/chapter.txt").read_text()) == (2, "years of work")


def test_another_salt_numbers_the_held_out_images_anew(folder: Path) -> None:
    before = (folder / "dataset/SHA256SUMS").read_bytes()
    account = folder / "work/stages/package/all.done.json"
    first = json.loads(account.read_text())["fingerprint"]
    (folder / "work/salt").write_bytes(bytes(32))

    assert build(folder) == 0
    assert first != json.loads(account.read_text())["fingerprint"]
    assert before == (folder / "dataset/SHA256SUMS").read_bytes()  # nothing is held out here


def test_the_salt_is_for_its_owner_alone(folder: Path) -> None:
    assert (folder / "work/salt").stat().st_mode & 0o077 == 0


def test_an_empty_salt_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "work/salt").write_bytes(b"")

    assert build(folder) == 1
    assert "salt in the work folder has 0 bytes, expected 16 or more" in capsys.readouterr().err


def test_drops_tell_nothing_of_another_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(folder, "[captions]\nmin_words = 400\n")
    assert build(folder, "--until", "captions") == 0
    capsys.readouterr()

    assert run(["drops", str(folder / "build.toml"), "PMC2"]) == 0
    told = capsys.readouterr().out
    assert ("captions" in told, "ROCOv2_train" in told) == (True, False)


def test_status_goes_without_the_inputs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "concepts.csv").unlink()
    capsys.readouterr()

    assert run(["status", str(folder / "build.toml")]) == 0
    rows = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines() if "/1" in line)
    assert (rows["captions"], rows["concepts"]) == ("1/1", "0/1")
    assert run(["status", str(folder / "build.toml"), "--format", "json"]) == 0
    stages = {stage["name"]: stage for stage in json.loads(capsys.readouterr().out)["stages"]}
    assert (stages["captions"]["done"], stages["concepts"]["done"]) == (1, 0)


def test_a_disk_that_fills_up_under_parquet_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet as pq

    class Full(pq.ParquetWriter):
        def write_table(self, *_: object, **__: object) -> None:
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

    path = folder / "build.toml"
    path.write_text(path.read_text().replace("parquet = false", "parquet = true"))
    with monkeypatch.context() as patch:
        patch.setattr(pq, "ParquetWriter", Full)
        assert build(folder) == 3
    assert "No space left on device: make room" in capsys.readouterr().err
    assert build(folder) == 0


def test_new_images_follow_their_article_though_none_of_its_earlier_ones_is_left(
    folder: Path,
) -> None:
    rows = "PMCID,file,split,ID,linked\n" + "".join(
        f"PMC{number},gone.jpg,test,ROCOv2_test_00000{number},\n" for number in (1, 2)
    )
    (folder / "earlier.csv").write_text(rows)
    path = folder / "build.toml"
    shares = 'shares = { train = "rest", test = 0.4 }'
    path.write_text(path.read_text().replace('shares = { train = "rest" }', shares))
    append(folder, '[build]\nearlier = "earlier.csv"\n')

    assert build(folder) == 0
    licences = (folder / "dataset/license_information.csv").read_text().splitlines()[1:]
    found = {row.split(",")[1]: row.split("_")[1] for row in licences}
    assert found == {"PMC1": "test", "PMC2": "test", "PMC3": "train"}
