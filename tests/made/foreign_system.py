"""Run a command of the three packages on a system that has less than Linux, as Windows.

Our packages find no module and no name that Windows lacks. No folder can be opened. No file that is open can
be moved, replaced or removed, nor a folder that holds one. Libraries of others are loaded before, and keep
what they have.

Usage: python foreign_system.py PACKAGE WORD...    (the words go to the command of the package)
"""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LIBRARIES = (
    *("click", "filelock", "jinja2", "jsonschema", "msgspec", "multiprocessing.connection", "numpy"),
    *("rapidfuzz", "sqlite3", "ssl", "subprocess", "tempfile", "urllib.request", "zipfile", "zoneinfo"),
    *("lxml.etree", "onnxruntime", "PIL.Image", "py3langid.langid", "pyarrow.parquet", "pydicom", "yaml"),
    *("statsmodels.stats.proportion", "urllib3", "concurrent.futures.process", "concurrent.futures.thread"),
)
MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
NAMES = {
    os: (
        *(
            "O_DIRECTORY",
            "O_NOFOLLOW",
            "O_NONBLOCK",
            "chown",
            "fchmod",
            "fchown",
            "fork",
            "forkpty",
            "getegid",
        ),
        *("geteuid", "getgid", "getpgid", "getuid", "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty"),
        *("posix_fallocate", "sched_getaffinity", "setsid", "statvfs", "sync", "sysconf", "uname"),
    ),
    signal: ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2"),
}
real_open = os.open


def open_paths() -> list[str]:
    """Return the paths of what this process has open."""
    paths = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing itself is gone
            paths.append(str(link.readlink()))
    return paths


def refuse_open(*paths: Any) -> None:
    """Refuse what touches a file that is open, or a folder that holds one."""
    opened = open_paths()
    for path in map(os.path.realpath, map(os.fsdecode, paths)):
        if any(other == path or other.startswith(f"{path}/") for other in opened):
            raise PermissionError(errno.EACCES, "The process cannot access the file", path)


def strict_open(path: Any, flags: int, *rest: Any, **options: Any) -> int:
    if options.get("dir_fd") is None and Path(os.fsdecode(path)).is_dir():
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    return real_open(path, flags, *rest, **options)


def guarded(real: Callable[..., None], *, replaces: bool = False) -> Callable[..., None]:
    """Return a function that moves or removes as Windows does."""

    def run(*paths: Any, **options: Any) -> None:
        refuse_open(*paths)
        if len(paths) == 2 and not replaces and os.path.lexists(paths[1]):
            raise FileExistsError(errno.EEXIST, "file already exists", str(paths[1]))
        if len(paths) == 2 and Path(paths[1]).is_dir():
            raise PermissionError(errno.EACCES, "Access is denied", str(paths[1]))
        real(*paths, **options)

    return run


def become_foreign() -> None:
    """Take from this process what Windows lacks."""
    for name in LIBRARIES:
        if find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    os.open = strict_open
    os.rename, os.replace = guarded(os.rename), guarded(os.replace, replaces=True)
    os.unlink = os.remove = guarded(os.unlink)  # type: ignore[assignment]
    os.rmdir = guarded(os.rmdir)  # type: ignore[assignment]
    shutil._use_fd_functions = False  # type: ignore[attr-defined]  # `rmtree` without open folders
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile  # type: ignore[assignment,misc]  # as Windows has it
    sys.platform = "win32"


def main(package: str, *words: str) -> int:
    """Run a command on the foreign system."""
    become_foreign()
    sys.path.insert(0, str(Path.cwd()))
    command = importlib.import_module(f"{package}.cli")
    run = getattr(command, "run", None) or command.invoke
    return int(run(list(words)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
