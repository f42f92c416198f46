from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.schemas import check_document

Submit = Callable[..., Path]
Publish = Callable[..., tuple[int, str, str, Path]]


def hashes(site: Path) -> dict[str, str]:
    return {
        path.relative_to(site).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in site.rglob("*")
        if path.is_file()
    }


def test_a_site_has_a_front_page_pages_of_runs_and_teams_and_four_files(
    submit: Submit, publish: Publish
) -> None:
    submit("alpha", "one", right=20)
    submit("beta", "two", right=10)
    code, out, _, site = publish()
    assert code == ExitCode.OK
    assert sorted(hashes(site)) == [
        "index.html",
        "leaderboard.csv",
        "leaderboard.json",
        "leaderboard.md",
        "leaderboard.tex",
        "runs/alpha/one.html",
        "runs/beta/two.html",
        "teams/alpha.html",
        "teams/beta.html",
    ]
    assert [line for line in out.splitlines() if not line.startswith("truth")] == [
        "concepts: 2 ranked by concept_f1, first alpha/one",
        "scored 2, already scored 0",
        str(site / "index.html"),
    ]


def test_the_same_submissions_give_the_same_bytes(submit: Submit, publish: Publish) -> None:
    submit("alpha", "one", right=20)
    submit("beta", "bad", "ID,CUIs\nx,y\n")
    first = hashes(publish()[3])
    assert first == hashes(publish()[3]) == hashes(publish(site="other")[3])


def test_the_page_of_a_run_that_is_no_more_goes_and_other_files_stay(
    root: Path, submit: Submit, publish: Publish
) -> None:
    submit("alpha", "one")
    submit("beta", "two")
    site = publish()[3]
    assert (site / "teams/beta.html").exists()
    (site / "CNAME").write_text("board.example.org", encoding="utf-8")
    shutil.rmtree(root / "beta")
    publish()
    assert [path.name for path in (site / "runs").iterdir()] == ["alpha"]
    assert [path.name for path in (site / "teams").iterdir()] == ["alpha.html"]
    assert (site / "CNAME").exists()


def test_an_interrupted_board_leaves_the_old_site_as_it_was(
    submit: Submit, publish: Publish, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    submit("alpha", "one")
    before = hashes(publish()[3])
    submit("beta", "two", right=10)

    def stopped(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rocov2_eval.leaderboard.site.index_page", stopped)  # the last file
        code, _, _, site = publish()
    assert (code, hashes(site)) == (ExitCode.INTERRUPTED, before)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    assert publish()[0] == ExitCode.OK
    assert (site / "runs/beta/two.html").exists()


def test_the_remains_of_a_killed_process_are_no_foreign_files(
    submit: Submit, publish: Publish, tmp_path: Path
) -> None:
    submit("alpha", "one")
    (tmp_path / "site").mkdir()
    (tmp_path / ".site.building-abc/content").mkdir(parents=True)
    (tmp_path / "site/.leaderboard.json.ab12_xyz").touch()
    code, _, _, site = publish()
    assert (code, [name for name in hashes(site) if "/." in f"/{name}"]) == (ExitCode.OK, [])
    assert not (tmp_path / ".site.building-abc").exists()


def test_json_follows_its_schema_and_tells_what_the_command_tells(submit: Submit, publish: Publish) -> None:
    submit("alpha", "one", right=20)
    submit("beta", "two", right=10)
    submit("beta", "bad", "ID,CUIs\nx,y\n")
    for option in ("--public", "--truth-retired", "--private"):
        document = json.loads((publish(option)[3] / "leaderboard.json").read_text(encoding="utf-8"))
        assert check_document("leaderboard.json", document, "leaderboard") == []
    board = document["boards"][0]
    assert [(item["team"], item["rank"]) for item in board["standings"]] == [("alpha", 1), ("beta", 2)]
    assert board["pairs"][0]["difference"] == pytest.approx(-1 / 3)
    assert [item["findings"][0]["code"] for item in document["rejected"]] == ["R104"]


def test_csv_has_a_row_a_submission_rounded_for_the_public_alone(submit: Submit, publish: Publish) -> None:
    submit("alpha", "one", right=20)
    submit("beta", "bad", "ID,CUIs\nx,y\n")
    text = (publish()[3] / "leaderboard.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["team"], row["status"], row["rank"]) for row in rows] == [
        ("alpha", "scored", "1"),
        ("beta", "rejected", ""),
    ]
    assert (rows[0]["concept_f1"], rows[1]["concept_f1"]) == ("0.7", "")
    text = (publish("--private")[3] / "leaderboard.csv").read_text(encoding="utf-8")
    assert float(next(csv.DictReader(io.StringIO(text)))["concept_f1"]) == 20 / 30
    assert rows[1]["findings"] == "R104 R204 R105"


def test_the_organiser_may_name_the_decimals_and_is_told_what_they_tell(
    submit: Submit, publish: Publish
) -> None:
    submit("alpha", "one", right=20)
    code, _, err, site = publish("--decimals", "4")
    row = next(csv.DictReader(io.StringIO((site / "leaderboard.csv").read_text(encoding="utf-8"))))
    assert (code, row["concept_f1"]) == (ExitCode.OK, "0.6667")
    assert "with 4 decimals one submission may tell the score of an image, with 1 decimal it does not" in err
    assert publish("--decimals", "4", "--private")[0] == ExitCode.USAGE


@pytest.mark.parametrize("words", [("--private", "--truth-retired"), ("--truth-retired", "--decimals", "2")])
def test_boards_that_show_everything_take_no_option_of_public_ones(
    words: tuple[str, ...], submit: Submit, publish: Publish
) -> None:
    submit("alpha", "one")
    assert publish(*words)[0] == ExitCode.USAGE


def test_a_retired_truth_is_public_but_for_contacts_and_the_organisers_files(
    submit: Submit, publish: Publish, tmp_path: Path
) -> None:
    submit("alpha", "one", right=20)
    submit("beta", "two", right=10)
    site = publish("--truth-retired")[3]
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(site.rglob("*")) if path.is_file())
    for words in ("The truth is no longer in use", "rank_shares", "By modality", "Worst images", "p_holm"):
        assert words in text
    for words in ("team@example.org", str(tmp_path), "Contains the truth"):
        assert words not in text


def test_no_name_becomes_a_formula_or_a_mention(root: Path, submit: Submit, publish: Publish) -> None:
    submit("alpha", "one")
    for name in ("=HYPERLINK(1)", "@everyone", "a|b", "`tick`", "\uff1d1"):
        (root / name / "run").mkdir(parents=True)
    site = publish()[3]
    rows = list(csv.reader(io.StringIO((site / "leaderboard.csv").read_text(encoding="utf-8"))))
    assert [row[3] for row in rows[2:]] == ["'=HYPERLINK(1)", "'@everyone", "`tick`", "a|b", "'\uff1d1"]
    lines = (site / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    names = [line.split(" | ")[0] for line in lines if line.startswith("| `")]
    assert names == ["| `=HYPERLINK(1)`", "| `@everyone`", "| `?tick?`", "| `a?b`", "| `\uff1d1`"]


def test_a_site_among_the_submissions_is_refused(
    root: Path, submit: Submit, publish: Publish, tmp_path: Path
) -> None:
    submit("alpha", "one")
    assert publish(site="submissions/site")[0] == ExitCode.USAGE
    assert publish(site="submissions")[0] == ExitCode.USAGE
    assert sorted(path.name for path in root.iterdir()) == ["alpha"]
    assert not (tmp_path / "site").exists()


def test_a_folder_that_holds_something_else_is_left_alone(
    submit: Submit, publish: Publish, tmp_path: Path
) -> None:
    submit("alpha", "one")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/thesis.txt").write_text("mine", encoding="utf-8")
    code, _, err, site = publish()
    assert (code, [path.name for path in site.iterdir()]) == (ExitCode.USAGE, ["thesis.txt"])
    assert "is not empty" in err


def test_a_folder_without_submissions_says_what_is_expected(publish: Publish) -> None:
    code, _, err, _ = publish()
    assert (code, "<team>/<run>/" in err) == (ExitCode.USAGE, True)


def test_rejected_submissions_alone_make_a_board_too(root: Path, submit: Submit, publish: Publish) -> None:
    submit("beta", "bad", "ID,CUIs\nx,y\n")
    code, out, err, site = publish()
    assert code == ExitCode.OK
    assert "rejected: 1" in out.splitlines()
    assert "beta/bad: R104" in err
    assert "No run has been scored" in (site / "index.html").read_text(encoding="utf-8")
    assert root.exists()


def test_pictures_are_for_organisers_alone(
    submit: Submit, publish: Publish, tmp_path: Path, sample: Path
) -> None:
    submit("alpha", "one", right=20)
    images = tmp_path / "images"
    images.mkdir()
    shutil.copy(sample / "test/sample_test_000001.jpg", images / "picture_029.jpg")
    code, _, _, site = publish("--images", images)
    assert (code, (site / "images").exists()) == (ExitCode.OK, False)
    code, _, err, site = publish("--private", "--images", images)
    page = (site / "runs/alpha/one.html").read_text(encoding="utf-8")
    assert (code, "contains the truth: do not publish it" in err) == (ExitCode.OK, True)
    assert 'src="../../images/picture_029.jpg"' in page
    assert (site / "images/picture_029.jpg").exists()
    publish("--public")
    assert not (site / "images").exists()


def test_a_store_may_lie_elsewhere(submit: Submit, publish: Publish, root: Path, tmp_path: Path) -> None:
    submit("alpha", "one")
    publish("--store", tmp_path / "known.sqlite3")
    assert ((tmp_path / "known.sqlite3").exists(), (root / "scores.sqlite3").exists()) == (True, False)


def test_ranking_by_another_score_is_said(submit: Submit, publish: Publish) -> None:
    submit("alpha", "one")
    site = publish("--rank-by", "concept_recall")[3]
    assert "ranked by concept_recall, not by concept_f1" in (site / "index.html").read_text(encoding="utf-8")
    assert publish("--rank-by", "nonsense")[0] == ExitCode.USAGE


def test_without_the_official_weights_captions_name_the_commands(submit: Submit, publish: Publish) -> None:
    rows = "".join(f"picture_{i:03},Lung\n" for i in range(30))
    submit("alpha", "one", f"ID,Caption\n{rows}", task="captions")
    code, _, err, _ = publish()
    assert code == ExitCode.MISSING_RESOURCE
    assert "models fetch deberta-xlarge-mnli" in err or "pip install" in err


@pytest.mark.parametrize(
    "words", [("--task", "captions", "--metric", "rouge"), ("--edition", "imageclef-2025")]
)
def test_an_option_that_fits_no_submission_leaves_the_site_as_it_was(
    submit: Submit, publish: Publish, words: tuple[str, ...]
) -> None:
    submit("alpha", "one")
    before = hashes(publish()[3])
    code, _, err, site = publish(*words)
    assert (code, hashes(site)) == (ExitCode.USAGE, before)
    assert "found concepts of rocov2 (1)" in err


@pytest.mark.slow
def test_two_hundred_runs_of_one_team_make_a_board(submit: Submit, publish: Publish) -> None:
    for i in range(200):
        submit("alpha", f"run-{i:03}", right=i % 30)
    code, _, _, site = publish()
    assert code == ExitCode.OK
    assert (site / "leaderboard.json").stat().st_size < 300_000
    _, _, err, site = publish("--private")
    assert "concepts: No trials were drawn: of 200 runs" in err
    text = (site / "index.html").read_text(encoding="utf-8")
    assert "The pictures below show the first 60 runs" in text
    assert "No trials were drawn: of 200 runs no two can differ significantly" in text
    assert "Which run beats which" not in text
    assert len(text) < 3_000_000
    document = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))
    assert check_document("leaderboard.json", document, "leaderboard") == []
    assert (document["boards"][0]["pairs"], document["boards"][0]["options"]["trials"]) == ([], 0)


class TestSecrecy:
    """No public file tells what the organisers alone may know."""

    @pytest.fixture
    def told(self, submit: Submit, publish: Publish, truth: Path) -> Callable[[str], str]:
        """Return the text of all files of a public or private board, rejected runs and warnings included."""
        concepts = (truth / "test_concepts.csv").read_text(encoding="utf-8")
        broken = concepts.replace("picture_003,C0040405;C0000003", "picture_003,")
        (truth / "test_concepts.csv").write_text(broken, encoding="utf-8")
        captions = "".join(f"picture_{i:03},A chest picture {i}\n" for i in range(30))
        submit("alpha", "one", right=20)
        submit("alpha", "copy", right=7)
        submit("beta", "words", f"ID,Caption\n{captions}", task="captions")
        submit("gamma", "short", "ID,CUIs\npicture_000,C0040405\n")
        submit("gamma", "zero", "ID,Caption\n" + captions.replace("chest", ""), task="captions")

        def publish_and_read(option: str) -> str:
            words = ("--metric", "concept_f1", "--metric", "rouge", "--rank-by", "rouge1")
            site = publish(option, *words, site=option)[3]
            return "\n".join(
                f"=== {path}\n{path.read_text(encoding='utf-8')}"
                for path in sorted(site.rglob("*"))
                if path.is_file()
            )

        return publish_and_read

    def test_truth_captions_are_in_no_public_file(self, told: Callable[[str], str]) -> None:
        assert "secret caption" not in told("--public")
        assert "secret caption" in told("--private")  # else the test above could not fail

    def test_no_image_stands_beside_concepts_of_the_truth(
        self, told: Callable[[str], str], truth: Path
    ) -> None:
        lines = (truth / "test_concepts.csv").read_text(encoding="utf-8").splitlines()[1:]
        cuis = {cui for line in lines for cui in line.partition(",")[2].split(";")} - {""}
        public, private = told("--public"), told("--private")
        assert {cui for cui in cuis if cui in private}
        named = {cui for cui in cuis if cui in public}
        # Signatures and the methods of teams may name CUIs; those of single images nobody but the truth has.
        assert not {cui for cui in named if cui.startswith("C00000")}

    def test_no_image_is_named_but_where_a_run_lacks_it(self, told: Callable[[str], str]) -> None:
        public = told("--public")
        ids = set(re.findall(r"picture_\d{3}", public))
        assert ids <= {"picture_000", "picture_001", "picture_002", "picture_003"}
        assert ("Worst images" in public, "Worst images" in told("--private")) == (False, True)

    def test_the_mean_of_a_rare_modality_is_the_score_of_an_image_and_is_withheld(
        self, told: Callable[[str], str], truth: Path
    ) -> None:
        path = truth / "test_concepts_manual.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        # One image of ultrasound, whose score no other group has: right in one concept of seven.
        lines[8] = "picture_007,C0041618"
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        concepts = truth / "test_concepts.csv"
        rare = ";".join(["C0000007", *(f"C01000{i:02}" for i in range(11))])
        text = concepts.read_text(encoding="utf-8").replace("C1306645;C0000007", rare)
        concepts.write_text(text, encoding="utf-8")
        score = 2 / 14  # of alpha/one on it
        shown = f"{score:.4f}"
        assert shown in told("--private")
        assert shown not in told("--public")

    def test_public_scores_are_too_coarse_to_tell_which_images_a_run_is_right_for(
        self, told: Callable[[str], str]
    ) -> None:
        """Unrounded, a mean of reciprocals of distinct primes has one solution only."""
        public = re.sub(r"sha256[^,<]*|\|[a-z_]+:[^ ]*|sha256-[^']*'", "", told("--public"))
        assert re.findall(r"\d\.\d{5,}", public) == []
        assert re.findall(r"\d\.\d{5,}", told("--private"))

    def test_no_path_of_the_organisers_machine_is_in_a_public_file(
        self, told: Callable[[str], str], tmp_path: Path
    ) -> None:
        public = re.sub(r"^=== .*$", "", told("--public"), flags=re.MULTILINE)
        assert str(tmp_path) not in public

    def test_findings_about_the_truth_are_not_public(self, told: Callable[[str], str]) -> None:
        assert "R502" not in told("--public")
        assert "R502" in told("--private")

    def test_contacts_are_not_public(self, told: Callable[[str], str]) -> None:
        assert "team@example.org" not in told("--public")
        assert "team@example.org" in told("--private")


@pytest.mark.parametrize("below", ["", "/site"])
def test_a_place_that_leads_in_a_circle_is_a_message(
    tmp_path: Path, submit: Submit, publish: Publish, below: str
) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    submit("alice", "run1")
    code, _, err, _ = publish(site=f"one{below}")
    assert code in {ExitCode.USAGE, ExitCode.MISSING_RESOURCE}  # earlier versions of Python resolve it before
    assert "Too many levels of symbolic links" in err
    assert "Traceback" not in err
