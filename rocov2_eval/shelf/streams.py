"""The standard streams of a command, whatever its caller has made of them.

A reader may have left, a disk may be full, a stream may be closed or unable to encode a character: none of
it stops the work, and none of it passes for another outcome. The border asks at the end what was lost.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys

_PLAIN = {"…": "...", "·": "-", "→": "->", "≤": "<=", "≥": ">=", "≠": "!="}  # symbols of our own
READABLE = "rocov2-readable"  # the error handler: what is written in place of what cannot be encoded


def open_streams() -> None:
    """Put streams in the place of stdin, stdout and stderr that are open and never raise."""
    if sys.stdin is None:
        sys.stdin = open(_opened(os.O_RDONLY), encoding="utf-8")  # noqa: SIM115  for as long as we live
    # Opened for reading, stdout takes nothing, as if it were full; on stderr nobody would listen anyway.
    sys.stdout = _patient(sys.stdout, os.O_RDONLY)
    sys.stderr = _patient(sys.stderr, os.O_WRONLY)


def lost_answer() -> OSError | None:
    """Return why stdout did not take the whole answer; None if it did, or if its reader had enough."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.lost if isinstance(raw, _Patient) else None
    return None if error is None or error.errno == errno.EPIPE else error


def speak_utf8() -> None:
    """Write what follows to stdout in UTF-8, as programs that read it expect, whatever the terminal says."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=READABLE)


class _Patient(io.FileIO):
    """A descriptor that drops what it cannot take, and keeps the reason."""

    lost: OSError | None = None

    def write(self, content: object) -> int:
        if self.lost is None:
            try:
                return super().write(content)  # type: ignore[arg-type]  # any buffer, as its base class takes
            except OSError as error:
                self.lost = error
        return len(content)  # type: ignore[arg-type]


def _patient(stream: io.TextIOWrapper | object, flags: int) -> io.TextIOWrapper:
    """Return a stream to where another one goes, or to nowhere if that is closed."""
    if isinstance(stream, io.TextIOWrapper):
        raw = getattr(stream.buffer, "raw", stream.buffer)
        if type(raw) is not io.FileIO:  # the console of Windows, which is never full and takes any character
            return stream
        stream.flush()
        descriptor, encoding = raw.fileno(), stream.encoding
    else:
        descriptor, encoding = _opened(flags), "utf-8"
    patient = _Patient(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(patient), encoding=encoding, errors=READABLE, line_buffering=patient.isatty()
    )


def _opened(flags: int) -> int:
    """Return a descriptor of the null device; it takes the number that the closed stream left free."""
    return os.open(os.devnull, flags)


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what people and JSON can read in place of characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    text = _PLAIN.get(character)
    if text is not None:
        return text, error.start + 1
    escaped, _ = codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    )
    return escaped, error.start + 1


codecs.register_error(READABLE, _readable)
