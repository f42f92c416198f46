from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dataset_builder.packaging import PackageOptions, installing, settle, write_dataset
from rocov2_eval.errors import UsageFault

from made_contents import contents

HERE = Path(__file__).parent
OLD, NEW = PackageOptions(version="1"), PackageOptions(version="2")


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, those with a dot as well."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def written(folder: Path, options: PackageOptions = OLD) -> dict[str, bytes]:
    write_dataset(contents(), options, folder / "out")
    return snapshot(folder)


class Killed(BaseException):
    """Stands for a process that ends here; nothing of ours runs after it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the n-th renaming of the installation end the process, which cleans up nothing."""
    calls = [0]

    def counting(real: Any) -> Any:
        def run(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] == call:
                raise Killed
            return real(*arguments)

        return run

    monkeypatch.setattr(Path, "rename", counting(Path.rename))
    monkeypatch.setattr(Path, "replace", counting(Path.replace))
    real = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda *a, **k: None if calls[0] >= call else real(*a, **k))


def test_a_newer_dataset_replaces_the_older_and_its_truth(tmp_path: Path) -> None:
    old = written(tmp_path)
    new = written(tmp_path, NEW)
    assert old.keys() == new.keys()
    assert old["out/README.md"] != new["out/README.md"]
    assert old["out-truth.zip"] != new["out-truth.zip"]


def test_a_dataset_without_held_out_split_takes_the_older_truth_away(tmp_path: Path) -> None:
    written(tmp_path)
    assert not any(name.startswith("out-truth") for name in written(tmp_path, PackageOptions(held_out="")))


def test_a_failure_leaves_the_older_dataset_whole_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = written(tmp_path)

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dataset_builder.packaging.writing.public_jpeg", full)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path, NEW)
    assert old == snapshot(tmp_path)


# A run renames 3 Parquet files and 17 tables, then what is complete, and puts four things in their places.
@pytest.mark.parametrize("call", range(1, 26))
def test_whenever_the_process_is_killed_the_next_run_leaves_one_whole_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    expected = written(tmp_path / "expected", NEW)
    written(tmp_path / "place")
    with monkeypatch.context() as patched:
        killed_at(patched, call)
        with pytest.raises(Killed):
            written(tmp_path / "place", NEW)
    assert expected == written(tmp_path / "place", NEW)


def test_a_killed_replacement_is_finished_by_settling(tmp_path: Path) -> None:
    expected = written(tmp_path / "expected", NEW)
    written(tmp_path / "place")
    ready = tmp_path / "place/.out.ready"
    ready.mkdir()
    shutil.copytree(tmp_path / "expected/out", ready / "content")
    (ready / "stale").write_text(str((ready / "content").stat().st_ino), encoding="utf-8")
    shutil.copy(tmp_path / "expected/out-truth.zip", ready / "out-truth.zip")
    shutil.copy(tmp_path / "expected/out-truth.zip.sha256", ready / "out-truth.zip.sha256")
    (tmp_path / "place/out").rename(ready / "old")
    settle(tmp_path / "place/out")
    assert expected == snapshot(tmp_path / "place")


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    old = written(tmp_path)
    (tmp_path / ".out.building-abc/dataset").mkdir(parents=True)
    (tmp_path / ".out.building-abc/dataset/half").touch()
    settle(tmp_path / "out")
    assert old == snapshot(tmp_path)


def test_another_dataset_in_the_making_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".out2.building-abc").mkdir()
    written(tmp_path)
    assert (tmp_path / ".out2.building-abc").is_dir()


def test_two_processes_do_not_write_one_dataset(tmp_path: Path) -> None:
    with (
        installing.installing(tmp_path / "out"),
        pytest.raises(UsageFault, match="another process is writing"),
    ):
        written(tmp_path)


def test_a_file_in_the_place_of_the_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("notes", encoding="utf-8")
    with pytest.raises(UsageFault, match="is a file, expected a folder"):
        written(tmp_path)


@pytest.mark.parametrize("name", [".", "/", "..", "a/.."])
def test_a_place_without_a_name_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match="expected the name of a folder"):
        write_dataset(contents(), OLD, Path(name))


@pytest.mark.slow
def test_kill_at_any_moment_changes_nothing_in_the_end(tmp_path: Path) -> None:
    expected = written(tmp_path / "expected", NEW)
    written(tmp_path / "place")
    program = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from pathlib import Path\n"
        "from made_contents import contents\n"
        "from dataset_builder.packaging import PackageOptions, write_dataset\n"
        "print('go', flush=True)\n"
        "while True:\n"
        f"    write_dataset(contents(), PackageOptions(version='2'), Path({str(tmp_path / 'place/out')!r}))\n"
    )
    for moment in range(10):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.02 + moment * 0.013)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        settle(tmp_path / "place/out")
        assert (tmp_path / "place/out/SHA256SUMS").is_file()
    assert expected == written(tmp_path / "place", NEW)
