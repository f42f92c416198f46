"""The command `rocov2-eval`: parse, call, print; nothing else.

What a command needs is imported inside it, so that `--help` costs nothing.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from rocov2_eval import __version__
from rocov2_eval.cli import bundle, compare, leaderboard, resources, score
from rocov2_eval.errors import ExitCode, RejectedInput, RocoError, is_disk_full

_BUG = "This is a bug of rocov2-eval. Please report it with the lines above and, if you may, the file."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rocov2-eval")
def app() -> None:
    """Score radiology image-caption runs exactly as ImageCLEFmedical Caption does.

    \b
    rocov2-eval score run.csv                 the number the organisers will publish
    rocov2-eval validate run.csv --strict     every fault of the file at once
    rocov2-eval doctor                        what this machine can score
    """  # noqa: D301  click wants the backspace itself


for command in (
    score.score,
    score.validate,
    score.explain,
    bundle.bundle,
    compare.compare,
    leaderboard.leaderboard,
    leaderboard.report,
    resources.sample,
    resources.doctor,
    resources.models,
):
    app.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with the exit code that README.md lists."""
    code = invoke(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:  # a full disk: unless the rest is dropped, Python tries again and ends with 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or _report_unexpected(error)
    sys.exit(code)


def invoke(arguments: Sequence[str] | None) -> int:
    """Run the command in this process and return its exit code."""
    stdout = sys.stdout
    try:
        return app.main(arguments, prog_name="rocov2-eval", standalone_mode=False) or ExitCode.OK
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except SystemExit:
        if sys.stdout is stdout:
            raise
        # click has wrapped it: its reader left, as `head` does, and nobody is there to be told
        return ExitCode.OK
    except RocoError as error:
        _report_error(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  the border of the program: whatever comes here is our bug
        return _report_unexpected(error)


def _report_error(error: RocoError) -> None:
    if isinstance(error, RejectedInput) and error.findings:
        from rocov2_eval.reporters import findings_text, summary

        click.echo(findings_text(error.findings), err=True, nl=False)
        click.echo(summary(error.findings[0].path, error.findings), err=True)
        return
    click.echo(f"Error: {error}", err=True)


def _report_unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and is_disk_full(error):
        click.echo(f"Error: {error.strerror}: make room and run the command again", err=True)
        return ExitCode.MISSING_RESOURCE
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(_BUG, err=True)
    return ExitCode.BUG
