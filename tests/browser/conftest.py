"""A site in a folder, made by the real scorer, and a browser that may open files and nothing else."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_socket

from rocov2_eval.editions import EDITIONS
from rocov2_eval.findings import finding
from rocov2_eval.formats import Table, load
from rocov2_eval.pages import index_page, run_page
from rocov2_eval.ranking import Board, Entry, Rejection, rank
from rocov2_eval.records import Task
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.scoring import evaluate
from rocov2_eval.settings import Settings
from rocov2_eval.significance import PairOptions
from rocov2_eval.truth import Place, Truth, find_truth, sample_folder
from rocov2_eval.validation import read_run
from rocov2_eval.worst_images import worst_images

HOSTILE = '"><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\u202eevil\x07'
_FEW = Bootstrap(resamples=200)
_SIGHTS = {"concepts": ("modality", "region", "direction", "concepts"), "captions": ("modality",)}
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
    """Return the folder of a public site of fifty runs over 300 images."""
    folder = tmp_path_factory.mktemp("large")
    return synthetic_site(folder, runs=50, images=300)


def sample_site(folder: Path, *, private: bool) -> Path:
    """Write a site with two boards over the sample, one hostile team and one rejected submission."""
    sample = sample_folder()
    boards, worst = [], {}
    for task in ("concepts", "captions"):
        lines = (sample / f"test_{task}.csv").read_text(encoding="utf-8").splitlines()
        entries = []
        for i, name in enumerate(("alpha", "beta", "gamma")):
            rows = [lines[0], *(_worsened(line, task, n, i) for n, line in enumerate(lines[1:]))]
            text = "".join(f"{row}\n" for row in rows)
            entry, run, truth = score(folder / "in" / f"{name}.csv", text, sample, task, team=name, run=task)
            entries.append(entry)
            if private:
                output = next(iter(entry.report.metrics))
                worst[task, name] = worst_images(entry.report, run, truth, output, count=4)
        boards.append(rank(entries, PairOptions(trials=500, bootstrap=_FEW), _rank_by(task)))
    write_site(folder, boards, [_rejection()], private=private, worst=worst)
    return folder


def synthetic_site(folder: Path, *, runs: int, images: int, private: bool = False) -> Path:
    """Write a site of one board with many runs of graded quality."""
    chance = random.Random(1)
    manual = [chance.choices(_MANUAL, (30, 30, 15, 15, 8, 1, 3))[0] for _ in range(images)]
    extra = [[f"C{chance.randrange(1000, 1080):07}" for _ in range(chance.randrange(4))] for _ in manual]
    truth = [
        list(dict.fromkeys([*filter(None, m.split(";")), *e])) for m, e in zip(manual, extra, strict=True)
    ]
    place = folder / "truth"
    place.mkdir(parents=True)
    for name, cells in (("concepts", map(";".join, truth)), ("concepts_manual", manual)):
        rows = "".join(f"image_{i:04},{cell}\n" for i, cell in enumerate(cells))
        (place / f"test_{name}.csv").write_text(f"ID,CUIs\n{rows}", encoding="utf-8")
    entries = []
    for i in range(runs):
        quality = 0.92 - 0.5 * (i / runs) ** 1.3
        cells = (";".join(_guess(chance, concepts, quality)) for concepts in truth)
        text = "ID,CUIs\n" + "".join(f"image_{n:04},{cell}\n" for n, cell in enumerate(cells))
        team = f"team-{i % 17:02}" if i % 9 else "a-team-with-a-rather-long-name-as-they-come"
        path = folder / "in" / f"run{i}.csv"
        entries.append(score(path, text, place, "concepts", team=team, run=f"run-{i:02}")[0])
    board = rank(entries, PairOptions(trials=30_000, bootstrap=_FEW))
    write_site(folder, [board], [_rejection()], private=private)
    return folder


def score(
    path: Path, text: str, place: Path, task: Task, *, team: str, run: str = "run-1"
) -> tuple[Entry, Table, Truth]:
    """Score a run's text as the entry of a team."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    source = load(path)
    edition = EDITIONS["rocov2"]
    table = read_run(source, edition, task)
    truth = find_truth(table, task, edition, [Place(path=place, origin="test")], facets=True)
    metrics = ("rouge",) if task == "captions" else ()
    settings = Settings(edition=edition, metrics=metrics, by=_SIGHTS[task], bootstrap=_FEW)
    report = evaluate(table, truth, settings, _no_model)
    metadata = {
        "method": f"Nearest neighbours.\n{HOSTILE}",
        "external_data": ["PubMed", HOSTILE],
        "contact": "someone@example.org",
        "paper": "https://example.org/paper?a=1&b=2",
        "code": "javascript:window.hacked=3",
    }
    return Entry(team=team, run=run, metadata=metadata, report=report), table, truth


def write_site(
    folder: Path,
    boards: Sequence[Board],
    rejections: Sequence[Rejection],
    *,
    private: bool,
    worst: Mapping[tuple[str, str], Any] | None = None,
) -> None:
    """Write the front page and a page for each run, with the pictures of the sample beside them."""
    shutil.copytree(sample_folder() / "test", folder / "images", dirs_exist_ok=True)
    front = index_page(boards, rejections, title="ROCOv2 leaderboard", private=private)
    (folder / "index.html").write_text(front, encoding="utf-8")
    for board in boards:
        for standing in board.standings:
            entry = standing.entry
            page = run_page(
                entry.report,
                title=entry.name,
                private=private,
                board=board,
                standing=standing,
                worst=(worst or {}).get((board.task, entry.team), ()),
                picture=lambda image_id: f"../../images/{image_id}.jpg",
                home="../../index.html",
            )
            path = folder / "runs" / entry.team / f"{entry.run}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8")


def _rank_by(task: Task) -> str | None:
    return "rouge1" if task == "captions" else None


def _worsened(line: str, task: Task, n: int, step: int) -> str:
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


def _rejection() -> Rejection:
    path = "/srv/secret/submissions/delta/run.csv"
    return Rejection(
        team=HOSTILE,
        run="run-1",
        findings=(
            finding("R103", path, 7, f"'{HOSTILE}' stands on line 3 already"),
            finding("R111", path, 9, "HTML in '<b>lung</b>'"),
            finding("R502", "/srv/secret/truth.csv", None, "3 images have no concept"),
        ),
    )


def _no_model(*_: object) -> Any:
    raise AssertionError("this test has no model")
