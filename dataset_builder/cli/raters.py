"""The option `--rater NAME`, which holds for the file that it stands before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from rocov2_eval.errors import UsageFault

RATER_HELP = "Rater of the next file; may be repeated, once per file.  [default: as in the file]"


class BeforeFile(click.Option):
    """An option each value of which comes with the number of files that stand before it.

    click reads options first and arguments afterwards; the parser's own state alone tells where an option
    stood, whatever other options lie between.
    """

    def __init__(self, names: Sequence[str], **settings: Any) -> None:
        settings |= {"multiple": True, "type": click.UNPROCESSED, "metavar": "NAME"}
        super().__init__(names, **settings)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Have the parser note the place of each value."""
        super().add_to_parser(parser, ctx)
        option = parser._long_opt[self.opts[0]]  # noqa: SLF001  click has no other way to know the place
        process = option.process
        option.process = lambda value, state: process((len(state.largs), value), state)


def raters_of(files: Sequence[Path], raters: Iterable[tuple[int, str]]) -> dict[Path, str]:
    """Return the rater of each file that one is named for.

    Args:
        files: The files, in the order of the command line.
        raters: Number of files before a name, and the name. Of one file alone it may stand behind as well.

    Raises:
        UsageFault: A name stands before no file, or two before one, or it is empty.
    """
    named: dict[Path, str] = {}
    for place, name in raters:
        if not name.strip():
            raise UsageFault("--rater: an empty name, expected the name of a rater")
        if place >= len(files) > 1:
            raise UsageFault(f"--rater {name}: no file follows; write it before the file of this rater")
        file = files[min(place, len(files) - 1)]
        if named.setdefault(file, name.strip()) != name.strip():
            raise UsageFault(f"--rater: {file} has the names {named[file]} and {name}, expected one")
    return named
