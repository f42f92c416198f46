"""The way into every command: it loads the rest, so that an interrupt ends it in silence from the start."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

INTERRUPTED = 130  # ExitCode has it too, but may not be loaded yet


def main(package: str, name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command of a package and end the process with the exit code that docs/formats.md lists.

    Args:
        package: Package whose module `cli.app` holds the command.
        name: What the user calls it, such as `rocov2-eval`.
        arguments: What the user wrote after the name; None for those of the process.
    """
    try:
        border = importlib.import_module("rocov2_eval.command")
        commands = importlib.import_module(f"{package}.cli.app")
        code = border.run(commands.app, name, arguments)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def invoke(package: str, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command in this process and return its exit code; the arguments are those of `main`."""
    border = importlib.import_module("rocov2_eval.command")
    commands = importlib.import_module(f"{package}.cli.app")
    code: int = border.invoke(commands.app, name, arguments)
    return code
