"""A site in a folder, made by the real command, and a browser that may open files and nothing else."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_socket

from rocov2_eval.cli import invoke
from rocov2_eval.errors import ExitCode
from rocov2_eval.truth import sample_folder

HOSTILE = '"><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\u202eevil\x07'
_MANUAL = (
    "C0040405",
    "C1306645;C0817096;C1999039",
    "C0024485",
    "C0041618",
    "C1306645;C0023216",
    "C0032743",
    "",
)


@dataclass
class Seen:
    """What a browser did behind the reader's back."""

    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@pytest.fixture(autouse=True)
def _pipes_only() -> Iterator[None]:
    """Let the driver of the browser have its pipe: asyncio wakes itself through a pair of Unix sockets."""
    pytest_socket.socket_allow_hosts([], allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return Chromium."""
    api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., tuple[Any, Seen]]]:
    """Return a function that opens a file and writes down requests, errors and console messages."""
    contexts = []

    def open_page(path: Path, **options: Any) -> tuple[Any, Seen]:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        seen = Seen()
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.faults.append(str(error)))
        page.on("console", lambda message: seen.faults.append(message.text))
        page.goto(path.as_uri())
        return page, seen

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Mapping[bool, Path]:
    """Return the folders of a site over the bundled sample, by whether it is private."""
    folder = tmp_path_factory.mktemp("small")
    return {private: sample_site(folder / str(private), private=private) for private in (False, True)}


@pytest.fixture(scope="session")
def large_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a site of fifty runs over 300 images of a truth that is no longer in use."""
    folder = tmp_path_factory.mktemp("large")
    return synthetic_site(folder, runs=50, images=300)


def sample_site(folder: Path, *, private: bool) -> Path:
    """Write a site with two boards over the sample, one hostile team and one rejected submission."""
    sample = sample_folder()
    for task in ("concepts", "captions"):
        lines = (sample / f"test_{task}.csv").read_text(encoding="utf-8").splitlines()
        for i, team in enumerate(("alpha", "beta", "gamma")):
            rows = [lines[0], *(_worsened(line, task, n, i) for n, line in enumerate(lines[1:]))]
            submit(folder / "in", team, task, rows, task=task)
    twice = [lines[0], lines[1], f"{lines[2]} <b>lung</b>{HOSTILE[:40]}", lines[1]]
    submit(folder / "in", HOSTILE.replace("/", "\u2215"), "run-1", twice, task="captions")
    submit(folder / "in", "delta", "run-1", twice, task="captions")
    words = [
        "--metric",
        "concept_f1",
        "--metric",
        "concept_f1_manual",
        "--metric",
        "rouge",
        "--rank-by",
        "rouge1",
    ]
    publish(
        folder, sample, *words, *(["--private", "--images", str(sample)] if private else ["--truth-retired"])
    )
    return folder / "site"


def synthetic_site(folder: Path, *, runs: int, images: int) -> Path:
    """Write a site of one board with many runs of graded quality."""
    chance = random.Random(1)
    manual = [chance.choices(_MANUAL, (30, 30, 15, 15, 8, 1, 3))[0] for _ in range(images)]
    extra = [[f"C{chance.randrange(1000, 1080):07}" for _ in range(chance.randrange(4))] for _ in manual]
    truth = [
        list(dict.fromkeys([*filter(None, m.split(";")), *e])) for m, e in zip(manual, extra, strict=True)
    ]
    (folder / "truth").mkdir(parents=True)
    for name, cells in (("concepts", list(map(";".join, truth))), ("concepts_manual", manual)):
        (folder / f"truth/test_{name}.csv").write_text("\n".join(_rows(cells)), encoding="utf-8")
    for i in range(runs):
        quality = 0.92 - 0.5 * (i / runs) ** 1.3
        team = f"team-{i % 17:02}" if i % 9 else "a-team-with-a-rather-long-name-as-they-come"
        rows = _rows([";".join(_guess(chance, concepts, quality)) for concepts in truth])
        submit(folder / "in", team, f"run-{i:02}", rows)
    publish(folder, folder / "truth", "--truth-retired")
    return folder / "site"


def submit(root: Path, team: str, run: str, rows: Sequence[str], task: str = "concepts") -> None:
    """Write a submission whose metadata try to be more than text."""
    folder = root / team / run
    folder.mkdir(parents=True)
    (folder / "run.csv").write_text("\n".join(rows), encoding="utf-8")
    metadata = {
        "schema_version": 1,
        "team": team,
        "run": run,
        "task": task,
        "edition": "rocov2",
        "method": f"Nearest neighbours.\n{HOSTILE}",
        "external_data": ["PubMed", HOSTILE],
        "contact": "someone@example.org",
        "paper": "https://example.org/paper?a=1&b=2",
        "code": "http://example.org/" + HOSTILE.partition("\u202e")[0].replace(" ", "/"),
    }
    (folder / "submission.json").write_text(json.dumps(metadata), encoding="utf-8")


def publish(folder: Path, truth: Path, *words: str) -> None:
    """Make the site of the submissions in a folder by the command that organisers use."""
    site = ["--truth", truth, "--split", "test", "--out", folder / "site", "--title", "ROCOv2 leaderboard"]
    assert invoke([str(word) for word in ("leaderboard", folder / "in", *site, *words)]) == ExitCode.OK


def _rows(cells: Sequence[str]) -> list[str]:
    return ["ID,CUIs", *(f"image_{i:04},{cell}" for i, cell in enumerate(cells))]


def _worsened(line: str, task: str, n: int, step: int) -> str:
    """Return a row with something lost in every second or third image, markup and all."""
    image_id, _, cell = line.partition(",")
    if step == 0 or n % (4 - step):
        return line
    if task == "captions":
        return f"{image_id},Chest <script>window.hacked=4</script> \u202e image"
    return f"{image_id},{cell.split(';')[0]};C0000001"


def _guess(chance: random.Random, concepts: Sequence[str], quality: float) -> list[str]:
    kept = [cui for cui in concepts if chance.random() < quality]
    return kept if chance.random() < quality else [*kept, "C0999999"]
