"""Exceptions a user may meet, and the exit code each of them ends the command with."""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # records imports numpy, and --help must not pay for it
    from collections.abc import Mapping, Sequence

    from rocov2_eval.records import Finding


class ExitCode(IntEnum):
    """What the process tells its caller.

    docs/formats.md has the same table for users; `tests/cli/test_exit_codes.py` shows each of them through
    the real command.
    """

    OK = 0
    INPUT_REJECTED = 1
    USAGE = 2
    MISSING_RESOURCE = 3
    BAR_NOT_MET = 4
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


_NOTED = 5  # findings


class RocoError(Exception):
    """Base of every error that is not a bug of ours."""

    exit_code = ExitCode.INPUT_REJECTED


class RejectedInput(RocoError):
    """A file handed in cannot be scored.

    Attributes:
        findings: Every fault of the file, errors and warnings, in file order.
    """

    exit_code = ExitCode.INPUT_REJECTED

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)
        for item in self.findings[:_NOTED]:  # a traceback, as in a notebook, shows them below the message
            place = item.path if item.line is None else f"{item.path}:{item.line}"
            self.add_note(f"{place}: {item.code} {item.message}")


class RejectedFiles(RejectedInput):
    """Some of several files cannot be scored.

    Attributes:
        files: For each of these files, by the name that the user gave it, its findings.
    """

    def __init__(self, files: Mapping[str, Sequence[Finding]]) -> None:
        findings = dict.fromkeys(item for items in files.values() for item in items)
        super().__init__(f"{', '.join(files)}: not scored", tuple(findings))
        self.files = dict(files)


class UsageFault(RocoError):
    """The options given do not go together."""

    exit_code = ExitCode.USAGE


class MissingResource(RocoError):
    """The machine lacks an extra, a model or the truth; the message names the command that brings it."""

    exit_code = ExitCode.MISSING_RESOURCE


class UnknownIds(MissingResource):
    """There are truths, and none has ids of the run."""


class BarNotMet(RocoError):
    """The answer is complete, and does not reach what the user demands of it; the message says where."""

    exit_code = ExitCode.BAR_NOT_MET


def is_disk_full(error: OSError) -> bool:
    """Tell whether a file has no room, on the disk or for this user, which no option of ours can mend.

    Python tells of a disk without room for a temporary file that it has no folder for one.
    """
    is_nowhere = (error.strerror or "").startswith("No usable temporary directory")
    return is_nowhere or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
