import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import write_columns

from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import ExitCode
from rocov2_eval.findings import RULES
from rocov2_eval.metrics import METRICS
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.schemas import schema

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *(path for path in [ROOT / "README.md"] if path.is_file())]
OUTPUTS = [*(output for metric in METRICS.values() for output in metric.outputs), *DERIVED]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def write_findings(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools/write_findings.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    kept = [re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(page.read_text("utf-8"))]
    return {title.replace(" ", "-") for title in kept}


def test_the_table_of_findings_is_current() -> None:
    answer = write_findings("--check")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_changed_table_of_findings_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "findings.md"
    assert write_findings("--out", str(page)).returncode == 0
    page.write_text(page.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    answer = write_findings("--check", "--out", str(page))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"{page}: stale")


def test_the_tables_of_what_is_computed_are_current() -> None:
    assert write_columns.main(["--check"]) == 0


def test_a_changed_table_of_what_is_computed_is_noticed_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before {write_columns.START} old {write_columns.END} after", encoding="utf-8")
    monkeypatch.setattr(write_columns, "PAGES", (page,))
    assert [write_columns.main(words) for words in (["--check"], [], ["--check"])] == [1, 0, 0]
    assert page.read_text(encoding="utf-8").startswith("before ")
    assert page.read_text(encoding="utf-8").endswith(" after")


@pytest.mark.parametrize("name", EDITIONS)
def test_every_edition_is_in_the_table_with_its_source(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*$", read("editions.md"), re.MULTILINE)
    edition = EDITIONS[name]
    assert f"| {edition.concepts.most or 'not known'} |" in row
    assert name == "rocov2" or edition.source in row
    manual = edition.concepts.manual_cuis
    assert (f"| {len(manual)} CUIs |" in row) is bool(manual)
    assert ("| BLEU" in row) is (edition.primary("captions") == "bleu")


def test_every_scored_manual_cui_is_named() -> None:
    cuis = {cui for edition in EDITIONS.values() for cui in edition.concepts.manual_cuis}
    assert {cui for cui in cuis if cui not in read("editions.md")} == set()


def test_every_metric_that_an_edition_lacks_here_is_named() -> None:
    lacking = {name for edition in EDITIONS.values() for name in edition.captions.excluded}
    assert {name for name in lacking if name not in read("editions.md")} == set()


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_score_is_defined(output: str) -> None:
    assert f"`{output}`" in read("metrics.md")


@pytest.mark.parametrize("name", METRICS)
def test_every_option_of_a_metric_is_in_its_table(name: str) -> None:
    fields = METRICS[name].options.__dataclass_fields__
    assert [field for field in fields if f"| `{field}` |" not in read("metrics.md")] == []


@pytest.mark.parametrize("name", ["result", "submission"])
def test_every_field_of_a_document_is_described(name: str) -> None:
    text = read("formats.md")
    assert [field for field in schema(name)["properties"] if f"`{field}`" not in text] == []


def test_every_exit_code_is_described() -> None:
    _, _, table = read("formats.md").partition("## Streams and exit codes")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == sorted(ExitCode)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_code_that_a_page_names_is_a_rule(page: Path) -> None:
    codes = re.findall(r"\bR\d{3}\b", page.read_text(encoding="utf-8"))
    assert set(codes) <= set(RULES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_points_to_a_file_and_a_heading_of_it(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        is_there = target.exists() and (not anchor or anchor in anchors(target))
        broken += [] if is_there else [link]
    assert broken == []
