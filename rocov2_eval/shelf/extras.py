"""The command that installs an extra of this distribution, from where the distribution itself came."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rocov2_eval.shelf.parsing import Malformed, json_of

NAME = "rocov2-eval"
CPU_TORCH = "--extra-index-url https://download.pytorch.org/whl/cpu"
_WITH_TORCH = frozenset({"baselines", "captions", "dev", "offline", "official", "verify"})
_OF_A_CLONE = ("setup.py", "constraints.txt")


def install_command(extra: str = "") -> str:
    """Return the line that brings an extra, or the distribution itself, on this machine.

    From a clone it names the clone, with the versions that are known to work. Where there is no NVIDIA driver
    it takes torch without CUDA, which is some gigabytes smaller.

    Args:
        extra: Key of `extras_require` in setup.py, or several with commas between them.
    """
    ending = f"[{extra}]" if extra else ""
    has_torch = not _WITH_TORCH.isdisjoint(extra.split(","))
    # PyPI has torch for macOS without CUDA anyway.
    is_small = has_torch and sys.platform != "darwin" and shutil.which("nvidia-smi") is None
    index = f"{CPU_TORCH} " if is_small else ""
    origin = _origin()
    if origin is None:
        return f'pip install {index}"{NAME}{ending}"'
    if origin.is_file():
        return f'pip install {index}"{NAME}{ending} @ {origin.as_uri()}"'
    if not _is_clone(origin):
        return f'pip install {index}-c constraints.txt ".{ending}" in a clone of {NAME}'
    is_here = origin == Path.cwd()
    place, constraints = ("." if is_here else str(origin)), "constraints.txt"
    constraints = constraints if is_here else f'"{origin / constraints}"'
    return f'pip install {index}-c {constraints} "{place}{ending}"'


def _origin() -> Path | None:
    """Return the clone or wheel that this distribution was installed from; None where an index had it."""
    beside = Path(__file__).resolve().parents[2]
    if _is_clone(beside):
        return beside
    try:
        text = distribution(NAME).read_text("direct_url.json")
        url = urlsplit(json_of(text)["url"]) if text else None
    except (PackageNotFoundError, Malformed):
        return None
    if url is None or url.scheme != "file":
        return None
    return Path(url2pathname(url.path))


def _is_clone(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _OF_A_CLONE)
