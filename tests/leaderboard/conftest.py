"""What the tests of leaderboards share: submissions in a folder, a truth, the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.cli import invoke
from rocov2_eval.editions import EDITIONS
from rocov2_eval.leaderboard.board import BoardOptions, Leaderboard, make_leaderboard
from rocov2_eval.leaderboard.store import ScoreStore
from rocov2_eval.leaderboard.submissions import find_submissions
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.settings import Settings
from rocov2_eval.significance import PairOptions
from rocov2_eval.truth import Place

Submit = Callable[..., Path]
IMAGES = 30
# A run that is right, one that is half right and one that is wrong, over images of three modalities.
MODALITIES = ("C0040405", "C1306645", "C0032743")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep config and cache of the user out."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("ROCOV2_DATA", "ROCOV2_CACHE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty folder of submissions."""
    folder = tmp_path / "submissions"
    folder.mkdir()
    return folder


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Return a dataset folder with concepts, manual concepts and captions of one split."""
    folder = tmp_path / "truth"
    folder.mkdir()
    rows = [(image(i), MODALITIES[i % 3], f"C00000{i:02}") for i in range(IMAGES)]
    tables = {
        "concepts": [f"{i},{modality};{other}" for i, modality, other in rows],
        "concepts_manual": [f"{i},{modality}" for i, modality, _ in rows],
        "captions": [f"{i},The secret caption of picture {n}" for n, (i, _, _) in enumerate(rows)],
    }
    for name, lines in tables.items():
        header = "ID,Caption" if name == "captions" else "ID,CUIs"
        (folder / f"test_{name}.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return folder


@pytest.fixture
def submit(root: Path) -> Submit:
    """Return a function that hands in a run; by default a valid one of concepts, right for some images."""

    def hand_in(
        team: str, run: str, content: str | bytes | None = None, *, right: int = IMAGES, **metadata: Any
    ) -> Path:
        folder = root / team / run
        folder.mkdir(parents=True, exist_ok=True)
        text = concept_run(right) if content is None else content
        name = metadata.pop("file_name", "run.csv")
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        document = {
            "schema_version": 1,
            "team": team,
            "run": run,
            "task": "concepts",
            "edition": "rocov2",
            "method": "Guesses.",
            "external_data": [],
            "contact": "team@example.org",
        } | metadata
        (folder / "submission.json").write_text(json.dumps(document), encoding="utf-8")
        return folder

    return hand_in


@pytest.fixture
def board(root: Path, truth: Path) -> Callable[..., Leaderboard]:
    """Return a function that makes the leaderboard of the folder, captions by ROUGE."""

    def make(**options: Any) -> Leaderboard:
        submissions, rejections = find_submissions(root)
        bootstrap = Bootstrap(resamples=100)
        settings = Settings(
            edition=EDITIONS[options.pop("edition", "rocov2")],
            metrics=options.pop("metrics", ("concept_f1", "concept_f1_manual", "rouge")),
            bootstrap=bootstrap,
        )
        with ScoreStore(root / "scores.sqlite3") as store:
            return make_leaderboard(
                submissions,
                rejections,
                place=Place(path=truth, origin="test"),
                store=store,
                options=BoardOptions(
                    settings=settings,
                    rank_by=options.pop("rank_by", None),
                    pairs=PairOptions(trials=200, bootstrap=bootstrap),
                    **options,
                ),
                opener=no_model,
                progress=lambda *_: None,
            )

    return make


@pytest.fixture
def publish(
    root: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Return a function that runs the command and returns exit code, stdout, stderr and the site's folder."""

    def run(*arguments: object, site: str = "site") -> tuple[int, str, str, Path]:
        words = ["leaderboard", root, "--truth", truth, "--out", tmp_path / site]
        code = invoke([str(word) for word in [*words, *arguments]])
        captured = capsys.readouterr()
        return int(code), captured.out, captured.err, tmp_path / site

    return run


def image(i: int) -> str:
    return f"picture_{i:03}"


def concept_run(right: int) -> str:
    """Return a run that is right for the first images and wrong for the others."""
    cells = [f"{MODALITIES[i % 3]};C00000{i:02}" if i < right else "C0999999" for i in range(IMAGES)]
    return "ID,CUIs\n" + "".join(f"{image(i)},{cell}\n" for i, cell in enumerate(cells))


def no_model(*_: object) -> Any:
    """Stand where a model would be opened."""
    raise AssertionError("this test has no model")
