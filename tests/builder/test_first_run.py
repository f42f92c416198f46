"""The first run: the lines of the README, and what `init` makes of whatever lies there."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_dicom import dicom

from dataset_builder.cli import run
from dataset_builder.running.config import read_build
from dataset_builder.running.worker import source_of
from dataset_builder.sample_articles import write_sample

from made_articles import article, png

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
BLOCK = README[README.index("\n## Build a dataset\n") :].split("```bash\n")[1].split("```")[0]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def init(capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str]]:
    """Return a function that runs `init` and returns exit code and messages."""

    def call(source: str) -> tuple[int, str]:
        code = run(["init", source])
        streams = capsys.readouterr()
        return code, streams.out + streams.err

    return call


def candidates() -> list[str]:
    """Return what the build.toml that stands here would look at."""
    return list(source_of(read_build(Path("build.toml")), 1).candidates())


def test_the_lines_of_the_readme_make_a_dataset_of_a_clone(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [shlex.split(line, comments=True) for line in BLOCK.splitlines()]
    assert [line[1] for line in lines] == ["sample", "init", "run", "drops", "verify", "leaks"]
    for line in lines:
        assert run(line[1:]) == 0, capsys.readouterr().err
    capsys.readouterr()
    run(["drops", "build.toml", "--format", "csv"])
    dropped = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert {row["stage"] for row in dropped} == {
        *("figures", "licence", "captions", "images", "compound", "radiology", "duplicates")
    }
    with Path("dataset/train_concepts.csv").open(encoding="utf-8", newline="") as file:
        assert all(row["CUIs"] for row in csv.DictReader(file))
    assert "no model read the captions" in Path("dataset/README.md").read_text()
    assert "datePublished" in json.loads(Path("dataset/croissant.json").read_text())
    assert "no model read the captions" in Path("dataset/report.html").read_text()


def test_every_message_on_the_way_names_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for line in (["sample", "articles"], ["init", "articles"], ["run", "build.toml", "--until", "figures"]):
        assert run(line) == 0
        streams = capsys.readouterr()
        said.append(re.findall(r"rocov2-build \w+ [\w./]+", streams.out + streams.err))
    assert [commands[0] for commands in said] == [
        "rocov2-build init articles",
        "rocov2-build run build.toml",
        "rocov2-build run build.toml",
    ]


def test_articles_are_found_in_every_arrangement_of_files(init: Callable[[str], tuple[int, str]]) -> None:
    for xml, picture in (
        ("in/a.xml", "in/a.png"),
        ("in/b.nxml", "in/b/a.png"),
        ("in/PMC12/main.nxml", "in/PMC12/a.png"),
        ("in/deep/PMC0034.xml", "in/deep/media/x/a.png"),
        ("in/.hidden/c.xml", "in/.hidden/a.png"),
    ):
        Path(xml).parent.mkdir(parents=True, exist_ok=True)
        Path(picture).parent.mkdir(parents=True, exist_ok=True)
        Path(xml).write_bytes(article())
        Path(picture).write_bytes(png(seed=len(xml)))
    code, said = init("in")
    assert code == 0, said
    assert sorted(candidates()) == ["PMC12", "PMC34", "own:a", "own:b"]
    source = source_of(read_build(Path("build.toml")), 1)
    media = {key: source.entry(key).media[0].key for key in candidates()}  # type: ignore[union-attr]
    assert media == {
        "own:a": "a.png",
        "own:b": "b/a.png",
        "PMC12": "PMC12/a.png",
        "PMC34": "deep/media/x/a.png",
    }


@pytest.mark.parametrize(
    ("href", "file"),
    [
        ("info:doi/10.1/j.p.1.g001", "j.p.1.g001.PNG"),
        ("figs/j.p.1.g001.tif", "j.p.1.g001.PNG"),
        ("a &amp; b", "a & b.png"),
    ],
)
def test_a_file_is_found_however_the_text_spells_it(
    href: str, file: str, init: Callable[[str], tuple[int, str]]
) -> None:
    Path("in").mkdir()
    Path("in/a.xml").write_bytes(article().replace(b'"a.png"', f'"{href}"'.encode()))
    for name in ("j.p.1.g001.PNG", "a & b.png", "j.p.1.png"):
        Path("in", name).write_bytes(png())
    assert init("in")[0] == 0
    assert run(["run", "build.toml", "--until", "figures", "--quiet", "--workers", "1"]) == 0
    (line,) = Path("work/stages/figures/00000-of-00001.jsonl").read_text().splitlines()
    assert json.loads(line)["media"]["name"] == file


def test_a_build_in_the_folder_of_its_articles_has_nothing_to_do_again() -> None:
    write_sample(Path("in"))
    assert run(["init", "in", "in/build.toml"]) == 0
    account = Path("in", "work", "stages/figures/00000-of-00001.done.json")
    times = []
    for _ in range(2):
        assert run(["run", "in/build.toml", "--until", "figures", "--quiet", "--workers", "1"]) == 0
        times.append(account.stat().st_mtime_ns)
        for name in ("dataset/SHA256SUMS", "dataset/a.jpg", "dataset-truth.zip"):
            Path("in", name).parent.mkdir(exist_ok=True)
            Path("in", name).write_bytes(b"made by the build")
    assert times[0] == times[1]


def test_packages_are_read_where_they_lie(init: Callable[[str], tuple[int, str]]) -> None:
    path = Path("in/08/e0/PMC13900.tar.gz")
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (("a.nxml", article()), ("a.png", png()), ("../../evil.png", png())):
            info = tarfile.TarInfo(f"PMC13900/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    Path("in/PMC7.tar.gz").write_bytes(b"no package")
    assert init("in")[0] == 0
    assert candidates() == ["PMC7", "PMC13900"]
    assert run(["run", "build.toml", "--until", "figures", "--quiet", "--workers", "1"]) == 0
    assert sorted(path.name for path in Path("in").rglob("*.png")) == []
    assert run(["drops", "build.toml", "PMC13900/a.png"]) == 0


def test_the_layout_of_the_service_a_list_and_a_table_are_recognised(
    init: Callable[[str], tuple[int, str]],
) -> None:
    Path("in/PMC12.1").mkdir(parents=True)
    Path("pmcids.csv").write_text("PMCID\nPMC12\nPMC13\n")
    Path("pmcids.txt").write_text("PMC12\n")
    Path("own.csv").write_text("image,caption,group,licence\na.png,b,c,CC BY\n")
    kinds = {}
    for name in ("in", "pmcids.csv", "pmcids.txt", "own.csv"):
        Path("build.toml").unlink(missing_ok=True)
        assert init(name)[0] == 0
        kinds[name] = read_build(Path("build.toml")).tables["source"].kind
    assert kinds == {"in": "folder", "pmcids.csv": "s3", "pmcids.txt": "s3", "own.csv": "table"}


def test_a_folder_of_pictures_goes_by_the_table_in_it(init: Callable[[str], tuple[int, str]]) -> None:
    Path("in").mkdir()
    Path("in/a.png").write_bytes(png())
    Path("in/list.csv").write_text("image,caption,group,licence\na.png,b,c,CC BY\n")
    assert init("in")[0] == 0
    assert candidates() == ["own:c"]


def test_for_pictures_without_a_table_one_is_begun_that_names_no_patient(
    init: Callable[[str], tuple[int, str]],
) -> None:
    Path("in").mkdir()
    for number, patient in enumerate(("Eve", "Adam", "Eve")):
        content = dicom(np.full((9, 9), number, np.uint8), PatientID=patient, Modality="MR")
        Path(f"in/{number}.dcm").write_bytes(content)
    code, said = init("in")
    assert code == 0, said
    assert "fill in caption, group (patient or study) and licence" in said
    with Path("in/images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["group"], row["modality"]) for row in rows] == [
        ("patient-1", "MRI"),
        ("patient-2", "MRI"),
        ("patient-1", "MRI"),
    ]
    assert run(["run", "build.toml", "--quiet", "--workers", "1"]) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "no such file or folder"),
        ("empty", "found nothing to build from"),
        ("a.pdf", "expected a folder"),
    ],
)
def test_what_is_nothing_to_build_from_is_told(
    name: str, message: str, init: Callable[[str], tuple[int, str]]
) -> None:
    Path("empty").mkdir()
    Path("a.pdf").write_bytes(b"%PDF")
    code, said = init(name)
    assert code == 1
    assert message in said
    assert not Path("build.toml").exists()


def test_init_replaces_nothing_and_says_what_to_do(init: Callable[[str], tuple[int, str]]) -> None:
    Path("in").mkdir()
    write_sample(Path("in"))
    Path("build.toml").write_text("mine")
    code, said = init("in")
    assert code == 2
    assert "run it with rocov2-build run build.toml, or name another file" in said
    assert Path("build.toml").read_text() == "mine"


def test_a_table_with_a_column_twice_is_refused_with_its_place(
    init: Callable[[str], tuple[int, str]],
) -> None:
    Path("own.csv").write_text("image,caption,group,licence,License\n")
    assert init("own.csv") == (1, "Error: own.csv:1: column licence occurs twice, expected once\n")
