"""How long work tells the user how far it is, or something beside the answer."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable

Progress = Callable[[int, int], None]  # so many of so many are done; 0 of 0 while what does them is loaded
Notify = Callable[[str], None]  # takes a sentence for the user

_WORKING = "working…"
_DRAWN_SECONDS = 0.1  # between two states of the line on a terminal
_TOLD_SECONDS = 30.0  # between two lines in a file or pipe
_PACE_STATES = 64  # the pace is that of the last states: what is left may be longer than what is done


def silent(*_: object) -> None:
    """Take progress or a sentence without showing it."""


def sign_of_life(*, quiet: bool = False) -> None:
    """Show a terminal that work goes on, before it is known how long it takes."""
    if not quiet and sys.stderr.isatty():
        sys.stderr.write(f"{_WORKING}\r")
        sys.stderr.flush()


def clear_line() -> None:
    """Take what shows that work goes on off the terminal, before something else is written there."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{' ' * (shutil.get_terminal_size().columns - 1)}\r")
        sys.stderr.flush()


def progress_line(
    name: str, noun: str = "", *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """Return what shows on stderr how far work is: a line that changes on a terminal, else one now and then.

    `bertscore 12,480/38,000 captions · 410/s · 1 min 02 s left`

    Args:
        name: Who works, such as the name of a metric.
        noun: What is counted, such as `captions`.
        quiet: Show nothing.
        clock: Seconds of a clock that never goes back.
    """
    if quiet:
        return silent
    states: deque[tuple[float, int]] = deque(maxlen=_PACE_STATES)
    shown_at, width = clock(), 0

    def show(done: int, total: int) -> None:
        nonlocal shown_at, width
        now, is_terminal = clock(), sys.stderr.isatty()
        if done == total == 0 and not states:
            if is_terminal:
                width = _write(f"{name}: loading encoder…", width, is_terminal=True, is_last=False)
            return
        is_first, is_last = not states or done < states[-1][1], done >= total
        if is_first:
            states.clear()
        is_due = now - shown_at >= (_DRAWN_SECONDS if is_terminal else _TOLD_SECONDS)
        if is_first or is_due or is_last:
            states.append((now, done))
        if is_due or (is_terminal and (is_first or is_last)):
            state = (
                f"{name} {done:,}/{total:,} {noun}".rstrip()
                if total
                else f"{name}: all results are in the cache"
            )
            line = " · ".join([state, *_pace(states, total - done)])
            width = _write(line, width, is_terminal=is_terminal, is_last=is_last)
            shown_at = now

    return show


def _write(line: str, width: int, *, is_terminal: bool, is_last: bool) -> int:
    """Write a line over one of some width, and return the new width."""
    if not is_terminal:
        sys.stderr.write(f"{line}\n")
        return 0
    line = line[: shutil.get_terminal_size().columns - 1]  # one that wraps could not be written over
    sys.stderr.write(line.ljust(width) + ("\n" if is_last else "\r"))
    sys.stderr.flush()
    return 0 if is_last else len(line)


def _pace(states: deque[tuple[float, int]], left: int) -> list[str]:
    """Return how many are done a second and how long the others take, nothing in the first second."""
    (start, before), (now, done) = states[0], states[-1]
    if now - start < 1 or done <= before:
        return []
    pace = (done - before) / (now - start)
    shown = f"{pace:,.0f}/s" if pace >= 10 else f"{pace:.1f}/s"  # noqa: PLR2004
    return [shown, f"{_duration(round(left / pace))} left"] if left else [shown]


def _duration(seconds: int) -> str:
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds % 60:02} s" if minutes else f"{seconds} s"
