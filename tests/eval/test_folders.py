"""Folders that are published whole: what a kill leaves, what is not ours, places that cannot be renamed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf import folders
from rocov2_eval.shelf.folders import publishing, settle

OLD = {"index": "old", "pages/a": "old", "pages/b": "old"}
NEW = {"index": "new", "pages/a": "new", "more/c": "new"}
MINE = {"notes": "mine", "pages/mine": "mine", ".git/objects/1": "mine"}
KILLED = -signal.SIGKILL


def ours(name: str) -> bool:
    return name in {**OLD, **NEW}


def write(target: Path, files: dict[str, str], rule: Callable[[str], bool] | None = ours) -> None:
    with publishing(target, rule) as folder:
        put(folder, files)


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def killed_at(call: int, target: Path) -> bool:
    """Write the new files in a process killed before its n-th change of a name; tell whether it was."""
    child = os.fork()
    if child == 0:
        left = [call]

        def dying(real: Callable[..., object]) -> Callable[..., object]:
            def run(*arguments: object, **options: object) -> object:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            return run

        for name in ("rename", "replace", "unlink", "mkdir", "rmdir", "write_bytes"):
            setattr(Path, name, dying(getattr(Path, name)))
        shutil.rmtree = dying(shutil.rmtree)  # type: ignore[assignment]
        os.unlink = dying(os.unlink)  # type: ignore[assignment]  # within rmtree
        write(target, NEW)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return a folder with an old version of ours and files of the user."""
    write(tmp_path / "place/site", OLD)
    put(tmp_path / "place/site", MINE)
    return tmp_path / "place/site"


def test_a_new_version_takes_the_place_of_the_old_one_and_no_other_file_goes(target: Path) -> None:
    write(target, NEW)
    assert content(target) == NEW | MINE
    assert [path.name for path in target.parent.iterdir()] == ["site"]


@pytest.mark.parametrize("is_fixed", [False, True])
def test_whenever_a_kill_comes_the_next_process_leaves_one_whole_version(
    target: Path, monkeypatch: pytest.MonkeyPatch, *, is_fixed: bool
) -> None:
    monkeypatch.setattr(folders, "_is_fixed", lambda _: is_fixed)
    seen = []
    for call in range(1, 100):
        shutil.rmtree(target.parent)
        put(target, OLD | MINE)
        was_killed = killed_at(call, target)
        settle(target)
        seen.append(content(target))
        assert seen[-1] in (OLD | MINE, NEW | MINE), call
        assert [path.name for path in target.parent.iterdir()] == ["site"]
        write(target, NEW)
        assert content(target) == NEW | MINE
        if not was_killed:
            break
    assert not was_killed
    assert OLD | MINE in seen
    assert seen.index(NEW | MINE) < len(seen) - 1


@pytest.mark.parametrize("is_inside", [False, True])
def test_until_the_new_version_is_complete_the_old_one_is_there(
    target: Path, monkeypatch: pytest.MonkeyPatch, *, is_inside: bool
) -> None:
    monkeypatch.setattr(folders, "_is_fixed", lambda _: is_inside)

    def fail() -> None:
        with publishing(target, ours) as folder:
            put(folder, NEW)
            seen = content(target).items()
            assert {name: text for name, text in seen if "rocov2" not in name} == OLD | MINE
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    assert content(target) == OLD | MINE
    assert [path.name for path in target.parent.iterdir()] == ["site"]


def test_a_working_folder_keeps_its_place(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(target)
    before = target.stat().st_ino
    write(Path(), NEW)
    assert (content(target), target.stat().st_ino) == (NEW | MINE, before)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system can be mounted by root alone")
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_mount_point_keeps_its_place(target: Path, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    words = ["-t", "tmpfs", "tmpfs"] if kind == "tmpfs" else ["--bind", str(other)]
    if subprocess.run(["mount", *words, str(target)], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        put(target, OLD | MINE)
        write(target, NEW)
        assert content(target) == NEW | MINE
    finally:
        subprocess.run(["umount", str(target)], check=True)
    assert content(target) == OLD | MINE


def test_a_link_to_a_folder_stays_a_link(target: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(target)
    write(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert content(target) == NEW | MINE


def test_a_link_among_the_files_is_not_followed(target: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", {"index": "precious"})
    (target / "pages/away").symlink_to(tmp_path / "elsewhere")
    write(target, NEW)
    assert (target / "pages/away").is_symlink()
    assert content(tmp_path / "elsewhere") == {"index": "precious"}


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        ("more", "has the name of a file to write"),
        ("more/c/d", "has the name of a file to write"),
        ("more/c", "was not written by this program"),
    ],
)
def test_a_file_that_would_be_lost_is_named_and_nothing_changes(
    target: Path, mine: str, message: str
) -> None:
    put(target, {mine: "mine"})
    before = content(target)
    with pytest.raises(UsageFault, match=message):
        write(target, NEW, OLD.__contains__)
    assert content(target) == before
    assert [path.name for path in target.parent.iterdir()] == ["site"]


def test_what_a_killed_writer_of_one_file_left_goes(target: Path) -> None:
    mine = {".notes.ab3defgh": "mine", ".index.original": "mine", "pages/.a.20261128": "mine"}
    put(target, {".index.ab_12xyz": "half", "pages/.a.3bcdefgh": "half"} | mine)
    write(target, NEW)
    assert content(target) == NEW | MINE | mine


def test_what_has_the_name_of_a_leftover_and_is_none_stays(target: Path) -> None:
    (target.parent / ".site.building-file").touch()
    (target.parent / ".site.building-link").symlink_to(target)
    write(target, NEW)
    assert content(target) == NEW | MINE
    assert len(list(target.parent.glob(".site.building-*"))) == 2


@pytest.mark.parametrize("lost", [b"", b"abc\0old", "link"])
def test_a_damaged_change_is_named_and_nothing_of_it_goes(
    target: Path, tmp_path: Path, lost: bytes | str
) -> None:
    ready = target.parent / ".site.ready"
    if isinstance(lost, str):
        put(tmp_path / "elsewhere", {"mine": "mine"})
        ready.symlink_to(tmp_path / "elsewhere")
    else:
        put(ready, {"old/mine": "mine", "content/index": "new"})
        (ready / "stale").write_bytes(lost)
    before = content(tmp_path)
    with pytest.raises(UsageFault, match=r"\.site\.ready is damaged or belongs to another program"):
        write(target, NEW)
    assert content(tmp_path) == before


def test_an_interrupt_between_two_names_finishes_the_change(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, left = Path.rename, [2]

    def interrupted(path: Path, other: Path) -> object:
        left[0] -= 1
        done = rename(path, other)
        if left[0] == 0:  # the old folder has gone from its place
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(target, NEW)
    assert content(target) == NEW | MINE
    assert [path.name for path in target.parent.iterdir()] == ["site"]


def test_of_two_writers_at_once_the_second_is_told_and_the_first_loses_nothing(target: Path) -> None:
    with publishing(target, ours) as folder:
        put(folder, NEW)
        with pytest.raises(UsageFault, match="another process is writing to it"):
            write(target, {"index": "third"})
    assert content(target) == NEW | MINE


def test_a_file_system_without_locks_is_written_too(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(folders.errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    write(target, NEW)
    assert content(target) == NEW | MINE


def test_files_are_added_to_a_folder_that_stays(target: Path) -> None:
    before = target.stat().st_ino
    write(target, NEW, None)
    assert (content(target), target.stat().st_ino) == (OLD | NEW | MINE, before)


def test_the_rights_of_a_folder_stay(target: Path) -> None:
    target.chmod(0o2750)
    write(target, NEW)
    assert target.stat().st_mode & 0o7777 == 0o2750
