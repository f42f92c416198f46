from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rocov2_eval.errors import MissingResource
from rocov2_eval.findings import finding
from rocov2_eval.leaderboard.store import Key, ScoreStore, truth_digest
from rocov2_eval.records import BoolArray, SampleScores
from rocov2_eval.report_document import result_data
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.scoring import Report
from rocov2_eval.truth import Truth

KEY = Key(run="r", truth="t", edition="rocov2", signature="s")
FACETS = ("modality", "region", "direction", "concepts")
ROWS = [("a", "C0040405;C0000001"), ("b", "C0032743"), ("c", ""), ("d", "C1306645;C0817096")]


@pytest.fixture
def known(
    scored: Callable[..., Report], read: Callable[..., Any], dataset: Callable[..., Path]
) -> tuple[Report, Truth]:
    """Return the report of a run with an unscored image and warnings, and its truth."""
    folder = dataset("test_", concepts=ROWS, concepts_manual=ROWS)
    text = "ID,CUIs\na,C0040405;nothing\nb,C0032743\nc,\nd,C0000001\n"
    report = scored(text, folder, bootstrap=Bootstrap(resamples=50), by=FACETS)
    _, truth = read(text, folder, facets=True)
    return report, truth


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.sqlite3"


def test_a_report_comes_back_as_it_was(path: Path, known: tuple[Report, Truth]) -> None:
    report, truth = known
    with ScoreStore(path) as store:
        store.write(KEY, report, place=report.run[0])
    with ScoreStore(path) as store:
        back = store.read(KEY, place=report.run[0], truth=truth)
    assert isinstance(back, Report)
    assert result_data(back)["findings"] == result_data(report)["findings"]
    expected = result_data(report) | {"inputs": None}
    assert expected == result_data(back) | {"inputs": None}
    for name, scores in report.samples.items():
        assert np.array_equal(scores.values, back.samples[name].values)
        assert np.array_equal(scores.scored, back.samples[name].scored)


def test_unscored_images_stay_unscored(path: Path, known: tuple[Report, Truth]) -> None:
    report, truth = known
    scored: BoolArray = np.array([True, False, True, False])
    samples = {
        name: SampleScores(values=np.where(scored, 0.5, 0.0), scored=scored) for name in report.samples
    }
    with ScoreStore(path) as store:
        store.write(KEY, replace(report, samples=samples), place="x")
        back = store.read(KEY, place="x", truth=truth)
    assert isinstance(back, Report)
    assert back.samples["concept_f1"].scored.tolist() == [True, False, True, False]


def test_a_run_that_moved_is_named_by_its_new_place(path: Path, known: tuple[Report, Truth]) -> None:
    report, truth = known
    with ScoreStore(path) as store:
        store.write(KEY, report, place=report.run[0])
        back = store.read(KEY, place="new/place/run.csv", truth=truth)
    assert isinstance(back, Report)
    own = {item.path for item in back.findings if item.code.startswith("R2")}
    assert (own, back.run[0]) == ({"new/place/run.csv"}, "new/place/run.csv")


def test_findings_of_a_rejected_run_come_back_and_those_of_the_truth_keep_their_path(
    path: Path, known: tuple[Report, Truth]
) -> None:
    found = (finding("R103", "a/b/run.csv", 3, "twice"), finding("R502", "truth.csv", None, "empty"))
    with ScoreStore(path) as store:
        store.write(KEY, found, place="a/b/run.csv")
        back = store.read(KEY, place="c/d/run.csv", truth=known[1])
    assert back == (replace(found[0], path="c/d/run.csv"), found[1])


@pytest.mark.parametrize("field", ["run", "truth", "edition", "signature"])
def test_another_key_is_not_known(path: Path, known: tuple[Report, Truth], field: str) -> None:
    with ScoreStore(path) as store:
        store.write(KEY, known[0], place="x")
        assert store.read(replace(KEY, **{field: "other"}), place="x", truth=known[1]) is None


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    with ScoreStore(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_truth_is_known_by_its_content_and_not_by_its_place(known: tuple[Report, Truth]) -> None:
    moved = replace(known[1], inputs=tuple((f"/elsewhere{path}", sha) for path, sha in known[1].inputs))
    changed = replace(known[1], inputs=((known[1].inputs[0][0], "0" * 64), *known[1].inputs[1:]))
    assert truth_digest(moved) == truth_digest(known[1]) != truth_digest(changed)


def test_a_file_that_is_no_store_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"this is no database, and long enough to be looked at as one" * 20)
    content = path.read_bytes()
    with pytest.raises(MissingResource, match="name another file with --store"):
        ScoreStore(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE scores (mine)")
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(MissingResource, match="no store of scores"):
        ScoreStore(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM scores").fetchone() == (0,)


@pytest.mark.slow
def test_a_fresh_store_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    """Where setting up and looking were two steps, one in ten openings met a locked file."""
    start = (
        "import sys; from pathlib import Path; from rocov2_eval.leaderboard.store import ScoreStore\n"
        "for i in range(60):\n    ScoreStore(Path(sys.argv[1], f'{i}.sqlite3')).__exit__(None, None, None)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", start, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4


@pytest.mark.parametrize(
    "damage",
    [
        "samples = substr(samples, 1, 40)",
        "samples = NULL",
        "samples = 7",
        "document = substr(document, 1, 40)",
        "document = x'ff00fe'",
        "document = 1",
        "document = replace(document, '\"mean\": 0', '\"mean\": 1')",
        'document = replace(document, \'"n": 3\', \'"n": "three"\')',
        "run = 'other'",
        "truth = 'other'",
        "edition = 'other'",
        "signature = 'other'",
        "checksum = 'other'",
    ],
)
def test_a_row_that_is_not_as_it_was_written_is_not_known_and_is_named(
    path: Path, known: tuple[Report, Truth], damage: str
) -> None:
    with ScoreStore(path) as store:
        store.write(KEY, known[0], place="x")
    with closing(sqlite3.connect(path)) as connection, connection:
        before = connection.execute("SELECT * FROM scores").fetchall()
        connection.execute(f"UPDATE scores SET {damage}")  # noqa: S608  words of this test
        assert before != connection.execute("SELECT * FROM scores").fetchall()
    column, _, value = damage.partition(" = ")
    key = replace(KEY, **{column: "other"}) if value == "'other'" and column != "checksum" else KEY
    with ScoreStore(path) as store:
        assert store.read(key, place="x", truth=known[1]) is None
        assert store.damaged == ["x"]
        store.write(key, known[0], place="x")
        assert isinstance(store.read(key, place="x", truth=known[1]), Report)


def test_what_was_ranked_is_known_by_edition(path: Path) -> None:
    with ScoreStore(path) as store:
        store.keep_ranked("rocov2", [("a", "b"), ("c", "d")])
        store.keep_ranked("rocov2", [("a", "b")])
        store.keep_ranked("imageclef-2026", [("e", "f")])
    with ScoreStore(path) as store:
        assert store.ranked("rocov2") == {("a", "b"), ("c", "d")}


def test_a_folder_that_cannot_be_written_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="--store"):
        ScoreStore(tmp_path / "absent/scores.sqlite3")


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious", encoding="utf-8")
    path.symlink_to(target)
    with pytest.raises(MissingResource):
        ScoreStore(path)
    assert target.read_text(encoding="utf-8") == "precious"


def test_rows_of_an_older_layout_are_dropped(path: Path, known: tuple[Report, Truth]) -> None:
    with ScoreStore(path) as store:
        store.write(KEY, known[0], place="x")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 999")
    with ScoreStore(path) as store:
        assert store.read(KEY, place="x", truth=known[1]) is None
