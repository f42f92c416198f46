"""The border of every command: run it, say what went wrong, end with an exit code of docs/formats.md.

What is parsed stands in the command's own `cli`; this module imports click because click runs the command and
because its errors end here.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

import click

from rocov2_eval.errors import ExitCode, RejectedInput, RocoError, is_disk_full
from rocov2_eval.shelf.progress import clear_line
from rocov2_eval.shelf.streams import lost_answer, open_streams
from rocov2_eval.shelf.surroundings import variable
from rocov2_eval.shelf.words import shorten

if TYPE_CHECKING:  # records imports numpy, and --help must not pay for it
    from rocov2_eval.records import Finding

# What a terminal that closes, a scheduler or a service manager sends. Windows has one of them.
_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Terminated(KeyboardInterrupt):
    """The process was asked to end: it ends as after an interrupt, so that nothing half-written stays."""


def run(app: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command as the whole work of this process and return its exit code.

    Args:
        app: What to run.
        name: What the user calls it, such as `rocov2-eval`.
        arguments: What the user wrote after the name; None for those of the process.
    """
    open_streams()
    for number in _ENDINGS:
        if signal.getsignal(number) == signal.SIG_DFL:  # `nohup` ignores one of them
            signal.signal(number, _terminate)
    code = invoke(app, name, arguments)
    if (lost := lost_answer()) is None:
        return code
    return code or _report_unexpected(OSError(lost.errno, lost.strerror, "stdout"), name)


def invoke(app: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command in this process and return its exit code; the arguments are those of `run`."""
    try:
        try:
            return app.main(arguments, prog_name=name, standalone_mode=False) or ExitCode.OK
        except BaseException:
            clear_line()
            raise
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt) as error:
        return _report_end(error.__cause__ or error.__context__ or error, name)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # click takes any pipe for stdout
            return _report_unexpected(error.__context__, name)
        raise
    except RocoError as error:
        _report_error(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  the border of the program: whatever comes here is our bug
        return _report_unexpected(error, name)


def echo_verdict(path: str, findings: Sequence[Finding], *, err: bool = True) -> None:
    """Print the line that closes a validation, its verdict in colour where colours are wanted."""
    from rocov2_eval.rendering.render import summary

    is_coloured = _takes_colour(sys.stderr if err else sys.stdout)
    click.echo(summary(path, findings, _painted if is_coloured else str), err=err, color=is_coloured)


def _takes_colour(stream: TextIO) -> bool:
    """Tell whether a stream shows colours: a terminal, unless NO_COLOR or FORCE_COLOR says otherwise."""
    if variable("NO_COLOR"):
        return False
    if forced := variable("FORCE_COLOR"):
        return forced != "0"
    return stream.isatty() and variable("TERM") != "dumb"


def _painted(verdict: str) -> str:
    return click.style(verdict, fg="green" if verdict == "PASSED" else "red", bold=True)


def _report_error(error: RocoError) -> None:
    if isinstance(error, RejectedInput) and error.findings:
        from rocov2_eval.rendering.render import findings_text

        files = getattr(error, "files", {error.findings[0].path: error.findings})
        click.echo(findings_text(error.findings), err=True, nl=False)
        for path, findings in files.items():
            echo_verdict(path, findings)
        return
    click.echo(f"Error: {error}", err=True)


def _report_end(cause: BaseException, name: str) -> int:
    """Report that somebody ended the command."""
    if isinstance(cause, EOFError):  # click takes the end of any file for that of the terminal
        return _report_unexpected(cause, name)
    is_terminated = isinstance(cause, _Terminated)
    click.echo("terminated" if is_terminated else "interrupted", err=True)
    return ExitCode.TERMINATED if is_terminated else ExitCode.INTERRUPTED


def _report_unexpected(error: Exception, name: str) -> int:
    """Report what the machine refused, else a bug of ours."""
    cause = error.__context__
    if isinstance(error, RuntimeError) and isinstance(cause, OSError) and cause.errno == errno.ELOOP:
        error = cause  # pathlib turns one into the other
    if isinstance(error, OSError) and error.strerror:
        is_named = isinstance(error.filename, str | bytes)
        where = f"{shorten(os.fsdecode(error.filename), 200)}: " if is_named else ""
        if is_disk_full(error):
            click.echo(f"Error: {where}{error.strerror}: make room and run the command again", err=True)
            return ExitCode.MISSING_RESOURCE
        if is_named:
            click.echo(f"Error: {where}{error.strerror}: correct it, or name another path", err=True)
            return ExitCode.MISSING_RESOURCE
    if isinstance(error, MemoryError):
        click.echo("Error: this machine does not have enough memory for the command", err=True)
        return ExitCode.MISSING_RESOURCE
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(
        f"This is a bug of {name}. Please report it with the lines above and, if you are allowed to, "
        "with the file.",
        err=True,
    )
    return ExitCode.BUG


def _terminate(_number: int, _frame: object) -> None:
    raise _Terminated
