"""The wheels that a scoring program installs: this package, and what its base install needs."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from rocov2_eval import __version__
from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.archives import zip_bytes

DISTRIBUTION = "rocov2-eval"
# The versions that score here are known to run on the Python that runs here.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
IMAGE = f"python:{PYTHON}-slim"
_PLATFORMS = ("_2_28", "_2_27", "_2_17", "2014", "1")  # of manylinux, newest first
_WAY_OUT = "use --wheels with a folder of wheels, or --image with a Docker image that contains rocov2-eval"


def wheel_files(folder: Path | None) -> dict[str, bytes]:
    """Return the wheels by name: our own, and the others from a folder or from the package index.

    Raises:
        MissingResource: One is missing and cannot be had.
    """
    name, content = own_wheel()
    if folder is None:
        with tempfile.TemporaryDirectory() as target:
            _download(Path(target))
            others = _wheels_in(Path(target))
    else:
        others = _wheels_in(folder)
    lacking = set(pins()) - {_normal(other.partition("-")[0]) for other in others}
    if lacking:
        raise MissingResource(f"no wheel of {', '.join(sorted(lacking))} in {folder}: {_WAY_OUT}")
    return {name: content} | others


def own_wheel() -> tuple[str, bytes]:
    """Return name and bytes of a wheel of this package as it is installed here, editable or not."""
    installed = metadata.distribution(DISTRIBUTION)
    stem = f"rocov2_eval-{installed.version}"
    about = f"{stem}.dist-info"
    content = {f"rocov2_eval/{name}": data for name, data in _walk(files("rocov2_eval"))}
    described = installed.read_text("METADATA") or installed.read_text("PKG-INFO")  # wheel, or egg-info
    assert described is not None
    content[f"{about}/METADATA"] = described.encode()
    wheel = f"Wheel-Version: 1.0\nGenerator: {DISTRIBUTION} ({__version__})\nRoot-Is-Purelib: true\n"
    content[f"{about}/WHEEL"] = f"{wheel}Tag: py3-none-any\n".encode()
    scripts = [entry for entry in installed.entry_points if entry.group == "console_scripts"]
    entries = "".join(f"{entry.name} = {entry.value}\n" for entry in scripts)
    content[f"{about}/entry_points.txt"] = f"[console_scripts]\n{entries}".encode()
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in sorted(content.items()))
    content[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    return f"{stem}-py3-none-any.whl", zip_bytes(content)


def pins() -> dict[str, str]:
    """Return the installed version of every distribution that the base install needs, directly or not."""
    found: dict[str, str] = {}
    waiting = [DISTRIBUTION]
    while waiting:
        for requirement in metadata.requires(waiting.pop()) or []:
            match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
            if match is None or re.search(r";.*\bextra\b", requirement) or _normal(match[0]) in found:
                continue
            try:
                found[_normal(match[0])] = metadata.version(match[0])
            except metadata.PackageNotFoundError:
                continue  # its marker speaks of another Python or system
            waiting.append(match[0])
    return dict(sorted(found.items()))


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        if item.is_file():
            yield f"{prefix}{item.name}", item.read_bytes()
        elif item.name != "__pycache__":
            yield from _walk(item, f"{prefix}{item.name}/")


def _digest(data: bytes) -> str:
    """Return a SHA-256 as RECORD has it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _download(target: Path) -> None:
    """Fetch the wheels of what the base install needs, in the versions that score here."""
    if find_spec("pip") is None:
        raise MissingResource(f"this Python has no pip to download wheels: {_WAY_OUT}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--platform=manylinux{name}_x86_64" for name in _PLATFORMS]
    pinned = [f"{name}=={version}" for name, version in pins().items()]
    done = subprocess.run(
        [*command, "--dest", str(target), *pinned], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["pip failed"]
        raise MissingResource(f"the wheels could not be downloaded ({reason[0]}): {_WAY_OUT}")


def _wheels_in(folder: Path) -> dict[str, bytes]:
    """Return the wheels of a folder, without any of this package: what scores here is what is sent."""
    paths = sorted(path for path in folder.glob("*.whl") if not path.name.startswith("rocov2_eval-"))
    return {path.name: path.read_bytes() for path in paths}


def _normal(name: str) -> str:
    """Return the name of a distribution as the index compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
