"""Every benchmark that this machine can run, one after the other: python benchmarks/run.py > figures.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The GPU comparison is a script of its own: python benchmarks/bench_bertscore_gpu.py
BENCHMARKS = (
    "bench_concepts",
    "bench_rouge",
    "bench_bleu",
    "bench_bertscore",
    "bench_pairs",
    "bench_row",
    "bench_command",
    "bench_significance",
    "bench_leaderboard",
    "bench_split",
    "bench_filters",
    "bench_build",
    "bench_extraction",
    "bench_training",
    "bench_captioner",
    "bench_neighbours",
    "bench_official_encoder",
)


def main() -> None:
    """Run them; stop at the first that fails."""
    for name in BENCHMARKS:
        print(f"## {name}\n", flush=True)
        subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=True)
        print(flush=True)


if __name__ == "__main__":
    main()
