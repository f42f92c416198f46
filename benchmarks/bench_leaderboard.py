"""Time of `rocov2-eval leaderboard` on concept runs over real concepts: cold, again, one more run, private.

The limit is reading and hashing the bytes of runs and truth; the peer is `rocov2-eval score` once a run,
as an organiser without a store calls it each time. `--runs 500` is the board of a large challenge.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_command import KIBIBYTE, spawn
from measure import machine, table

DATA = Path(__file__).resolve().parents[2] / "shared/data/roco"
COMMAND = [sys.executable, "-m", "rocov2_eval.cli"]


def main() -> None:
    """Print one row for each way to make the board."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--truth", type=Path, default=DATA)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, site, later = Path(folder, "submissions"), Path(folder, "site"), Path(folder, "later")
        files = submissions(root, options.truth, options.runs + 1)
        files.pop().parent.rename(later)  # one more run, in time
        board = [*COMMAND, "leaderboard", str(root), "--truth", str(options.truth), "--quiet"]
        public = [*board, "--out", str(site)]
        rows = [measured("cold", public), measured("again, nothing new", public)]
        size = (site / "leaderboard.json").stat().st_size
        metadata = json.loads((later / "submission.json").read_text(encoding="utf-8"))
        later.rename(root / metadata["team"] / metadata["run"])
        rows.append(measured("one more run", public))
        private = [*board, "--out", str(Path(folder, "private")), "--private"]
        rows += [measured("private, cold pairs", private), measured("private, again", private)]
        single = [
            spawn([*COMMAND, "score", str(path), "--truth", str(options.truth), *FACETS, "--quiet"])[0]
            for path in files[:5]
        ]
        limit = statistics.median(touch([*files, *options.truth.glob("*concepts*.csv")]) for _ in range(5))
        images = sum(1 for _ in files[0].open(encoding="utf-8")) - 1
    rows.append(["`score` once a run, no ranking", f"{statistics.median(single) * len(files):.1f} s", "", ""])
    rows.append(["limit: read and hash runs and truth", f"{limit * 1000:.0f} ms", "", ""])
    print(machine())
    print(table([f"{len(files)} runs, {images:,} images", "wall", "CPU", "peak memory"], rows))
    print(f"leaderboard.json: {size / KIBIBYTE**2:.2f} MiB\n")


def measured(name: str, command: list[str]) -> list[str]:
    """Run a command once; return its name with wall and CPU seconds and peak memory."""
    before = cpu_seconds()
    wall, memory = spawn(command)
    cpu = cpu_seconds() - before
    return [f"`leaderboard`, {name}", f"{wall:.1f} s", f"{cpu:.1f} s", f"{memory / KIBIBYTE:,.0f} MiB"]


def cpu_seconds() -> float:
    """Return the CPU seconds of all children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


FACETS = ["--by", "modality", "--by", "region", "--by", "direction", "--by", "concepts"]


def submissions(root: Path, truth: Path, runs: int) -> list[Path]:
    """Write submissions of graded quality, made of the truth; return their runs."""
    with (truth / "concepts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    chance = random.Random(1)
    files = []
    for i in range(runs):
        folder = root / f"team-{i % 17:02}" / f"run-{i:02}"
        folder.mkdir(parents=True)
        files.append(folder / "run.csv")
        kept = 0.95 - 0.6 * i / runs
        with files[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["ID", "CUIs"])
            writer.writerows([image_id, ";".join(guess(chance, cell, kept))] for image_id, cell in rows)
        metadata = {
            "schema_version": 1,
            "team": folder.parent.name,
            "run": folder.name,
            "task": "concepts",
            "edition": "rocov2",
            "method": "Keeps some concepts of the truth, invents others.",
            "external_data": [],
            "contact": "bench@example.org",
        }
        (folder / "submission.json").write_text(json.dumps(metadata), encoding="utf-8")
    return files


def guess(chance: random.Random, cell: str, kept: float) -> list[str]:
    """Return some of the concepts of a cell, and perhaps a wrong one."""
    concepts = [cui for cui in cell.split(";") if cui and chance.random() < kept]
    return concepts if chance.random() < kept else [*concepts, "C0999999"]


def touch(paths: list[Path]) -> float:
    """Return the seconds to read files and hash their bytes."""
    start = time.perf_counter()
    for path in paths:
        hashlib.sha256(path.read_bytes()).digest()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
