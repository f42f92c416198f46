"""Long work is cut off, done twice at once, meets a full disk: nothing is lost and nothing half-written."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.errors import ExitCode

Submit = Callable[..., Path]
COMMAND = Path(sysconfig.get_path("scripts")) / "rocov2-eval"
RUNS = 12
KILLS = 20


def start(root: Path, truth: Path, site: Path, **variables: str) -> subprocess.Popen[str]:
    words = [COMMAND, "leaderboard", root, "--truth", truth, "--out", site]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"} | variables
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a visitor sees of a folder: its files, but for hidden ones."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(name): (folder / name).read_bytes() for name in files if not name.name.startswith(".")}


@pytest.fixture
def many(submit: Submit, root: Path) -> Path:
    """Return a folder of a dozen submissions."""
    for i in range(RUNS):
        submit("alpha", f"run-{i:02}", right=2 * i)
    return root


@pytest.mark.slow
def test_a_board_that_is_killed_again_and_again_comes_to_its_end(
    many: Path, truth: Path, tmp_path: Path
) -> None:
    chance = random.Random(7)
    site = tmp_path / "site"
    for _ in range(8):
        process = start(many, truth, site)
        time.sleep(chance.uniform(0.1, 0.9))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start(many, truth, site)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK, err
    clean = tmp_path / "clean"
    (many / "scores.sqlite3").unlink()
    process = start(many, truth, clean)
    process.communicate(timeout=60)
    names = sorted(path.relative_to(clean) for path in clean.rglob("*") if path.is_file())
    left = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert [name for name in left if not name.name.startswith(".")] == names
    assert all((site / name).read_bytes() == (clean / name).read_bytes() for name in names)
    assert "already scored" in out


# Loaded by the interpreter before the command: it kills the process at one of the steps by which the site is
# written, or lists them.
KILLER = """
import atexit, os, signal, sys
from pathlib import Path

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.chmod"}
at, steps = int(os.environ["KILL_AT"]), []

def hook(event, arguments):
    paths = (os.fsdecode(item) for item in arguments if isinstance(item, (str, bytes, Path)))
    if event in EVENTS and any("published" in path for path in paths):
        steps.append(event)
        if len(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
atexit.register(lambda: Path(os.environ["STEPS"]).write_text(" ".join(steps)))
"""


@pytest.mark.slow
def test_a_board_that_is_killed_while_it_writes_leaves_the_old_site_or_the_new_one(
    submit: Submit, root: Path, truth: Path, tmp_path: Path
) -> None:
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer/sitecustomize.py").write_text(KILLER, encoding="utf-8")
    site, steps = tmp_path / "published", tmp_path / "steps"

    def write(kill_at: int = 0) -> int:
        paths = os.pathsep.join([str(tmp_path / "killer"), os.environ.get("PYTHONPATH", "")])
        told = {"PYTHONPATH": paths, "KILL_AT": str(kill_at), "STEPS": str(steps)}
        process = start(root, truth, site, **told)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (ExitCode.OK, -signal.SIGKILL), err
        return process.returncode

    submit("alpha", "run-1", right=3)
    write()
    old = contents(site)
    shutil.copytree(site, tmp_path / "before")
    shutil.rmtree(root / "alpha/run-1")
    submit("alpha", "run-2", right=9)
    write()
    new, events = contents(site), steps.read_text(encoding="utf-8").split()
    # Around each step by which a file or folder takes its place: the last ones are those of the whole site.
    renames = [step for step, event in enumerate(events, 1) if event == "os.rename"]
    kills = sorted({step + more for step in renames for more in (-1, 0, 1)})[-KILLS:]
    assert len(kills) == KILLS
    for kill_at in kills:
        shutil.rmtree(site)
        shutil.copytree(tmp_path / "before", site)
        assert write(kill_at) == -signal.SIGKILL
        assert contents(site) in (old, new), f"killed at step {kill_at} of {len(events)}"
        assert write() == ExitCode.OK
        assert contents(site) == new, f"after a kill at step {kill_at} of {len(events)}"
        assert [path.name for path in tmp_path.iterdir() if "published" in path.name] == ["published"]


@pytest.mark.slow
def test_two_boards_at_once_lose_nothing(many: Path, truth: Path, tmp_path: Path) -> None:
    processes = [start(many, truth, tmp_path / f"site-{i}") for i in range(2)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [ExitCode.OK] * 2, answers
    texts = [(tmp_path / f"site-{i}/leaderboard.json").read_text(encoding="utf-8") for i in range(2)]
    assert texts[0] == texts[1]
    assert len(json.loads(texts[0])["boards"][0]["standings"]) == RUNS
    out, _ = start(many, truth, tmp_path / "site-2").communicate(timeout=60)
    assert f"scored 0, already scored {RUNS}" in out


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can be mounted by root alone")
def test_a_full_disk_is_said_and_the_old_site_stays(many: Path, truth: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        process = start(many, truth, disk / "site")
        _, err = process.communicate(timeout=60)
        whole = list((disk / "site").rglob("*.html"))
        assert (process.returncode, "make room" in err) == (ExitCode.MISSING_RESOURCE, True), err
        assert all(path.read_text(encoding="utf-8").rstrip().endswith("</html>") for path in whole)
        assert not list((disk / "site").rglob(".*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
