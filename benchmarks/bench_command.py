"""Wall time and peak memory of `rocov2-eval score` from a cold start, and the time to read its bytes."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_concepts import cells
from measure import machine, table

KIBIBYTE = 1024


def main() -> None:
    """Print one row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 1_000_000])
    rows = []
    for images in parser.parse_args().images:
        with tempfile.TemporaryDirectory() as folder:
            run, truth = Path(folder, "run.csv"), Path(folder, "concepts.csv")
            write(run, cells(images, seed=1))
            write(truth, cells(images, seed=2))
            rows.append(row(images, run, truth))
    print(machine())
    print(
        table(
            [
                "images",
                "wall",
                "peak memory",
                "run and truth",
                "to read and touch their bytes",
                "share of that limit",
            ],
            rows,
        )
    )


def write(path: Path, concepts: list[str]) -> None:
    """Write a concept file with a header."""
    lines = (f"image_{i:07d},{cell}\n" for i, cell in enumerate(concepts))
    path.write_text("ID,CUIs\n" + "".join(lines), encoding="utf-8")


def row(images: int, run: Path, truth: Path) -> list[str]:
    """Measure one size: medians of five cold starts."""
    command = [sys.executable, "-m", "rocov2_eval.cli", "score", str(run), "--truth", str(truth)]
    measured = [spawn(command) for _ in range(5)]
    wall = statistics.median(seconds for seconds, _ in measured)
    memory = max(kibibytes for _, kibibytes in measured)
    limit = statistics.median(touch(run) + touch(truth) for _ in range(5))
    size = run.stat().st_size + truth.stat().st_size
    return [
        f"{images:,}",
        f"{wall:.2f} s",
        f"{memory / KIBIBYTE:,.0f} MiB",
        f"{size / KIBIBYTE**2:.1f} MiB",
        f"{limit * 1000:.1f} ms",
        f"{limit / wall:.1%}",
    ]


def spawn(command: list[str]) -> tuple[float, int]:
    """Run a command; return wall seconds and peak kibibytes."""
    start = time.perf_counter()
    sink = os.open(os.devnull, os.O_WRONLY)
    process = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, sink, 1)])
    _, status, usage = os.wait4(process, 0)
    os.close(sink)
    if status:
        raise RuntimeError(f"{command} ended with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss


def touch(path: Path) -> float:
    """Return the seconds to read a file and count a byte in it."""
    start = time.perf_counter()
    path.read_bytes().count(b"\n")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
