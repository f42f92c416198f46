"""The command `rocov2-build`: parse, call, print; nothing else.

Its parts are loaded by `entry`, when the command runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from rocov2_eval import entry

_NAME = "rocov2-build"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with one of the codes of `rocov2_eval.errors.ExitCode`."""
    entry.main("dataset_builder", _NAME, arguments)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command in this process and return its exit code."""
    return entry.invoke("dataset_builder", _NAME, arguments)
