"""Articles per second of a whole build: processes of this machine against Ray, with one worker and with two.

The articles are the 107 real ones of ../shared/data/jats under made-up PMCIDs, several times over, and
hand-made ones around the CC BY radiology images of ../shared/data/images. The source is a folder, so that no
network is measured. Every run starts from nothing and must end in the same bytes.

    python benchmarks/bench_build.py [--copies 20]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
sys.path.insert(0, str(ROOT / "tests/made"))
from real_build import fill_bucket, radiology_articles, real_articles, write_inputs  # noqa: E402
from s3_server import Bucket  # noqa: E402

BUILD = """[build]
shards = 16
[source]
kind = "folder"
path = "../pmc"
[radiology]
model = "../radiology.onnx"
[concepts]
table = "../concepts.csv"
names = "../cui_names.csv"
"""


def main() -> None:
    """Print one row for each executor and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=20, help="of the real articles")
    copies = parser.parse_args().copies
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        articles = _lay_out(folder, copies)
        print(f"{articles:,} articles, {os.cpu_count()} processors")
        print(f"{'executor':<10}{'workers':>8}{'seconds':>10}{'articles/s':>12}{'against 1 worker':>18}")
        digests = set()
        for executor in ("local", "ray"):
            alone = 0.0
            for workers in (1, 2):
                seconds, digest = _build(folder, executor, workers)
                digests.add(digest)
                alone = alone or seconds
                rate = articles / seconds
                print(f"{executor:<10}{workers:>8}{seconds:>10.2f}{rate:>12.0f}{alone / seconds:>17.2f}x")
        if len(digests) != 1:
            sys.exit("the datasets differ")
        print("every run ended in the same bytes")


def _lay_out(folder: Path, copies: int) -> int:
    made, rows = radiology_articles(SHARED, 400)
    real = list(real_articles(SHARED))
    repeated = [
        replace(article, pmcid=f"PMC{7_000_000 + copy * 1000 + index}")
        for copy in range(copies)
        for index, article in enumerate(real)
    ]
    bucket = Bucket()
    fill_bucket(bucket, [*repeated, *made])
    bucket.write(folder / "pmc")
    write_inputs(folder, rows)
    return len(repeated) + len(made)


def _build(folder: Path, executor: str, workers: int) -> tuple[float, str]:
    """Return seconds and the digest of the dataset's list of sums."""
    place = folder / "build"
    (place / "work").mkdir(parents=True)
    (place / "work/salt").write_bytes(b"a salt of the benchmark, 32 bytes")
    (place / "build.toml").write_text(BUILD)
    ray = ["--ray", "local"] if executor == "ray" else []
    words = ["run", str(place / "build.toml"), "-q", "--workers", str(workers), *ray]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from dataset_builder.cli import main; main()", *words], check=True, cwd=ROOT
    )
    seconds = time.perf_counter() - start
    digest = hashlib.sha256((place / "dataset/SHA256SUMS").read_bytes()).hexdigest()
    shutil.rmtree(place)
    return seconds, digest


if __name__ == "__main__":
    main()
