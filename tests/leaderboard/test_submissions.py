from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import RejectedInput
from rocov2_eval.leaderboard.submissions import find_submissions, load_run

Submit = Callable[..., Path]


def codes(root: Path) -> dict[str, list[str]]:
    """Return the codes of the findings of each rejected folder."""
    _, rejections = find_submissions(root)
    return {f"{item.team}/{item.run}": [found.code for found in item.findings] for item in rejections}


def test_submissions_come_by_name_with_their_metadata(root: Path, submit: Submit) -> None:
    submit("beta", "one")
    submit("alpha", "two", method="Trees.")
    submissions, rejections = find_submissions(root)
    assert [(item.place, item.metadata["method"]) for item in submissions] == [
        ("alpha/two/run.csv", "Trees."),
        ("beta/one/run.csv", "Guesses."),
    ]
    assert rejections == []


def test_files_beside_the_folders_and_hidden_entries_are_passed_over(root: Path, submit: Submit) -> None:
    submit("alpha", "one")
    (root / "README.md").write_text("hello", encoding="utf-8")
    (root / ".git").mkdir()
    (root / "alpha/notes.txt").write_text("hello", encoding="utf-8")
    (root / "alpha/one/result.json").write_text("{}", encoding="utf-8")
    submissions, rejections = find_submissions(root)
    assert (len(submissions), rejections) == (1, [])


@pytest.mark.parametrize(
    ("missing", "message"), [("run.csv", "found neither"), ("submission.json", "no submission.json")]
)
def test_a_folder_that_lacks_a_file_says_which(
    root: Path, submit: Submit, missing: str, message: str
) -> None:
    (submit("alpha", "one") / missing).unlink()
    _, rejections = find_submissions(root)
    assert [found.code for found in rejections[0].findings] == ["R602"]
    assert message in rejections[0].findings[0].message


def test_two_run_files_are_one_too_many(root: Path, submit: Submit) -> None:
    (submit("alpha", "one") / "run.zip").write_bytes(b"PK")
    assert codes(root) == {"alpha/one": ["R602"]}


@pytest.mark.parametrize("name", ["-rf", "a b", "x" * 65, "é", "<b>", "=1+1"])
def test_a_name_that_is_not_fit_for_a_file_is_refused(root: Path, submit: Submit, name: str) -> None:
    submit(name, "one")
    submit("alpha", name)
    assert list(codes(root).values()) == [["R602"], ["R602"]]


def test_a_name_that_is_no_text_is_refused(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe/one")).mkdir(parents=True)
    assert list(codes(root).values()) == [["R602"]]


def test_a_team_cannot_speak_for_another(root: Path, submit: Submit) -> None:
    submit("beta", "one").rename(root / "beta/two")
    submit("beta", "three")
    (root / "alpha").mkdir()
    (root / "beta/three").rename(root / "alpha/three")
    assert codes(root) == {"alpha/three": ["R603"], "beta/two": ["R603"]}


@pytest.mark.parametrize("name", ["run.csv", "submission.json"])
def test_a_link_is_not_followed(root: Path, submit: Submit, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("ID,CUIs\n", encoding="utf-8")
    path = submit("alpha", "one") / name
    path.unlink()
    path.symlink_to(secret)
    assert codes(root) == {"alpha/one": ["R604"]}


def test_a_link_in_the_place_of_a_folder_is_not_followed(root: Path, submit: Submit) -> None:
    folder = submit("alpha", "one")
    (root / "beta").symlink_to(root / "alpha")
    (root / "alpha/two").symlink_to(folder)
    assert codes(root) == {"alpha/two": ["R604"], "beta/": ["R604"]}


def test_a_pipe_is_not_opened(root: Path, submit: Submit) -> None:
    path = submit("alpha", "one") / "run.csv"
    path.unlink()
    os.mkfifo(path)
    os.mkfifo(root / "pipe")
    assert codes(root) == {"alpha/one": ["R604"], "pipe/": ["R604"]}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"text"', '{"metrics": {}}', "[" * 10_000 + "]" * 10_000, "1" * 5000, "\ufeff{}"],
)
def test_metadata_that_is_no_submission_is_a_finding(root: Path, submit: Submit, text: str) -> None:
    (submit("alpha", "one") / "submission.json").write_text(text, encoding="utf-8")
    assert set(codes(root)["alpha/one"]) == {"R601"}


@pytest.mark.parametrize("depth", range(960, 1010, 5))
def test_nesting_just_short_of_the_interpreter_s_limit_is_a_finding(
    root: Path, submit: Submit, depth: int
) -> None:
    text = '{"team":' + "[" * depth + "]" * depth + "}"
    (submit("alpha", "one") / "submission.json").write_text(text, encoding="utf-8")
    assert codes(root) == {"alpha/one": ["R601"]}


def test_metadata_of_a_megabyte_is_not_read(root: Path, submit: Submit) -> None:
    (submit("alpha", "one") / "submission.json").write_bytes(b" " * (1 << 20) + b"{}")
    assert codes(root) == {"alpha/one": ["R601"]}


def test_findings_name_the_place_among_the_submissions(root: Path, submit: Submit) -> None:
    (submit("alpha", "one") / "submission.json").write_bytes(b"\xff")
    _, rejections = find_submissions(root)
    assert [(found.code, found.path) for found in rejections[0].findings] == [
        ("R002", "alpha/one/submission.json")
    ]


@pytest.mark.parametrize(
    ("metadata", "split", "message"),
    [
        ({"task": "captions"}, None, "the file holds concepts"),
        ({"split": "valid"}, "test", "says split valid, the board ranks test"),
    ],
)
def test_a_run_that_is_not_what_its_metadata_says_is_rejected(
    root: Path, submit: Submit, metadata: dict[str, Any], split: str | None, message: str
) -> None:
    submit("alpha", "one", **metadata)
    submissions, _ = find_submissions(root)
    with pytest.raises(RejectedInput, match=message) as caught:
        load_run(submissions[0], split=split)
    assert [found.code for found in caught.value.findings] == ["R605"]


def test_a_run_that_says_nothing_of_its_split_is_read(root: Path, submit: Submit) -> None:
    submit("alpha", "one")
    submissions, _ = find_submissions(root)
    assert load_run(submissions[0], split="test").path == "alpha/one/run.csv"


def test_a_run_one_level_too_high_is_rejected_and_not_passed_over(root: Path, submit: Submit) -> None:
    for path in submit("flat", "run").iterdir():
        path.rename(root / "flat" / path.name)
    (root / "flat/run").rmdir()
    (root / "empty").mkdir()
    (root / "team.zip").write_bytes(b"PK")
    assert codes(root) == {"empty/": ["R602"], "flat/": ["R602"], "team.zip/": ["R602"]}


@pytest.mark.parametrize("name", ["con", "NUL.txt", "lpt1", "dot."])
def test_a_name_that_windows_has_not_is_refused(root: Path, submit: Submit, name: str) -> None:
    submit("alpha", name)
    assert codes(root) == {f"alpha/{name}": ["R602"]}


@pytest.mark.parametrize("place", ["alpha", "alpha/one", "alpha/one/run.csv", "alpha/one/submission.json"])
def test_what_may_not_be_read_is_rejected(root: Path, submit: Submit, place: str) -> None:
    submit("alpha", "one")
    submit("beta", "two")
    (root / place).chmod(0)
    program = (
        "import sys; from pathlib import Path; from rocov2_eval.leaderboard import submissions as s\n"
        "found, rejections = s.find_submissions(Path(sys.argv[1]))\n"
        "for item in found:\n"
        "    try:\n        s.load_run(item, split=None); print(item.place)\n"
        "    except s.RejectedInput as error:\n        print([f.code for f in error.findings])\n"
        "print([[f.code for f in r.findings] for r in rejections])"
    )
    rights = "-dac_override,-dac_read_search"  # else root may read everything
    without = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    done = subprocess.run([*without, sys.executable, "-c", program, root], capture_output=True, text=True)
    (root / place).chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    assert "beta/two/run.csv" in done.stdout
    assert done.stdout.count("R001") == 1
