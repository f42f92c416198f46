"""The line that brings an extra: of a clone, a wheel or an index, and with a torch that fits the machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from rocov2_eval.shelf import extras
from rocov2_eval.shelf.extras import CPU_TORCH, install_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand on a machine without an NVIDIA driver, where an index had the package."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages/rocov2_eval/shelf/extras.py"))
    came_from(None, monkeypatch)
    monkeypatch.chdir(tmp_path)


def came_from(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    text = None if url is None else json.dumps({"url": url, "dir_info": {}})
    monkeypatch.setattr(extras, "distribution", lambda _: SimpleNamespace(read_text=lambda _: text))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "my clone"
    folder.mkdir()
    for name in ("setup.py", "constraints.txt"):
        (folder / name).touch()
    return folder


def test_an_index_is_asked_by_name() -> None:
    assert install_command("parquet") == 'pip install "rocov2-eval[parquet]"'


def test_a_clone_is_named_with_its_constraints_from_any_folder(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_from(clone.as_uri(), monkeypatch)
    words = shlex.split(install_command("parquet"))
    assert words == ["pip", "install", "-c", str(clone / "constraints.txt"), f"{clone}[parquet]"]
    monkeypatch.chdir(clone)
    assert install_command("parquet") == 'pip install -c constraints.txt ".[parquet]"'
    assert install_command() == 'pip install -c constraints.txt "."'


def test_a_package_that_runs_out_of_its_clone_names_that_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "__file__", str(ROOT / "rocov2_eval/shelf/extras.py"))
    assert install_command("parquet").endswith(f'"{ROOT}[parquet]"')


def test_a_wheel_is_named_and_a_clone_that_is_gone_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "rocov2_eval-1-py3-none-any.whl"
    came_from(wheel.as_uri(), monkeypatch)
    assert (
        install_command("parquet") == 'pip install -c constraints.txt ".[parquet]" in a clone of rocov2-eval'
    )
    wheel.touch()
    assert install_command("parquet") == f'pip install "rocov2-eval[parquet] @ {wheel.as_uri()}"'


@pytest.mark.parametrize(
    "extra", ["captions", "offline", "official", "baselines", "verify", "parquet,offline"]
)
def test_torch_comes_without_cuda_where_there_is_no_driver_for_it(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert install_command(extra) == f'pip install {CPU_TORCH} "rocov2-eval[{extra}]"'
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/nvidia-smi")
    assert install_command(extra) == f'pip install "rocov2-eval[{extra}]"'


def test_the_extras_with_torch_are_those_of_setup() -> None:
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    exec(text[text.index("\nCAPTIONS =") : text.index("\nsetup(")], scope)  # noqa: S102  our own file
    brought = ("torch", "bert-score")  # the latter needs torch
    with_torch = {
        name.lower()
        for name, value in scope.items()
        if isinstance(value, list) and any(item.startswith(brought) for item in value)
    }
    assert with_torch == extras._WITH_TORCH


def test_no_message_spells_the_command_by_itself() -> None:
    packages = ("rocov2_eval", "dataset_builder", "baselines")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    own = ROOT / "rocov2_eval/shelf/extras.py"
    spelt = [path for path in files if path != own and "rocov2-eval[" in path.read_text(encoding="utf-8")]
    assert (len(files) > 100, spelt) == (True, [])
