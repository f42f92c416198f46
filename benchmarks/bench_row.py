"""The whole row of 2026 on real captions, with a tiny model of every kind: does the cost of a caption grow?

    python benchmarks/bench_row.py [--captions 500 1000 2000]

Tiny models make what is ours stand out: cutting into tokens and sentences, batches, caches, means, intervals.
Each number of captions is a process of its own with an empty cache; the time of 20 captions, most of it
loading, is taken off. The target: a caption of the largest run costs at most 1.3 times one of the smallest.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import SHARED, machine, table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/made"))
import dual_models  # noqa: E402
from tiny_row import make_models  # noqa: E402

TARGET = 1.3
FEW = 20
SCORE = """
import json, resource, sys, time
import rocov2_eval
from rocov2_eval.metrics.derived import DERIVED

options = json.loads(sys.argv[1])
report = rocov2_eval.score(**options, edition="imageclef-2026", device="cpu")
assert DERIVED.keys() - report.metrics.keys() == {"relevance_as_code"}
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.process_time(), memory]))
"""


def main() -> int:
    """Print a table; return 1 where the cost of a caption grows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--captions", type=int, nargs="+", default=[500, 1000, 2000])
    options = parser.parse_args()
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        models = make_models(Path(folder))
        base, _ = measured(FEW, models, Path(folder))
        rows, costs = [], []
        for count in options.captions:
            seconds, memory = measured(count, models, Path(folder))
            costs.append((seconds - base) / (count - FEW))
            rows.append(
                [f"{count:,}", f"{seconds:.1f} s", f"{1000 * costs[-1]:.1f} ms", f"{memory:,.0f} MiB"]
            )
    print(table(["captions", "CPU time", "a caption more", "memory at most"], rows))
    return int(costs[-1] > TARGET * costs[0])


def measured(count: int, models: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Return CPU seconds and MiB of scoring so many captions, each by the one of the next image."""
    with (SHARED / "roco" / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1 : count + 1]
    truth, run = folder / f"captions-{count}.csv", folder / f"run-{count}.csv"
    write(truth, rows)
    write(run, [[row[0], other[1]] for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)])
    vectors = folder / f"vectors-{count}.npz"
    drawn = np.random.default_rng(1).standard_normal((count, dual_models.SPACE)).astype(np.float32)
    np.savez(vectors, **{row[0]: vector for row, vector in zip(rows, drawn, strict=True)})
    choices = models | {"run": str(run), "truth": str(truth), "image_vectors": str(vectors)}
    environment = {
        "OMP_NUM_THREADS": "1",
        "ROCOV2_CACHE": str(folder / f"cache-{count}"),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCORE, json.dumps(choices)],
        env=os.environ | environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def write(path: Path, rows: list[list[str]]) -> None:
    """Write captions as ROCOv2 has them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["ID", "Caption"], *rows])


if __name__ == "__main__":
    sys.exit(main())
