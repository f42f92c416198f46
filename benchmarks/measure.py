"""Time two callables in turn, so that their ratio holds while the machine's speed drifts."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Seconds of both sides (medians) and the median of the ratios, pair by pair."""

    ours: float
    theirs: float
    ratio: float


def paired(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> Ratio:
    """Run both `repeats` times in turn; the caller has run each once to compare the numbers."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return Ratio(
        ours=statistics.median(a for a, _ in pairs),
        theirs=statistics.median(b for _, b in pairs),
        ratio=statistics.median(b / a for a, b in pairs),
    )


def seconds(call: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def machine() -> str:
    """Return what the figures were measured on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} processors, Python {platform.python_version()}, {platform.system()}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
