"""What planning all of PMC takes, and what a build costs beside what it cannot do without.

The first part plans an inventory of eight million articles, names alone: shards written, tasks made.

The second part runs the stages up to radiology in one process over real pictures of ../shared/data/figures
in made-up articles, timed by processor, so that other work on the machine does not count. Both filters use
their network and drop nothing. The limit is the same work without a build: parse each XML once, decode each
picture once, run both networks once.

    python benchmarks/bench_scale.py [--articles 300] [--inventory 8000000]
"""

from __future__ import annotations

import argparse
import csv
import io
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
sys.path.insert(0, str(ROOT))
from dataset_builder.pmc.inventory import CHOICE, NUMBERS  # noqa: E402
from dataset_builder.pmc.jats import read_article  # noqa: E402
from dataset_builder.running.config import read_build  # noqa: E402
from dataset_builder.running.plan import option_digests, plan_shards, tasks_of  # noqa: E402
from dataset_builder.running.runner import run_build  # noqa: E402
from dataset_builder.running.worker import source_of  # noqa: E402
from dataset_builder.stages import STAGES  # noqa: E402
from dataset_builder.stages.image_classifier import MODELS, find_model, open_classifier, prepare  # noqa: E402
from dataset_builder.stages.stage import Stage  # noqa: E402
from dataset_builder.store import open_store  # noqa: E402
from rocov2_eval.shelf.onnx_contract import Task  # noqa: E402
from rocov2_eval.shelf.pictures import Unreadable, read_pixels  # noqa: E402
from rocov2_eval.shelf.processes import Pool  # noqa: E402

FIGURES_EACH = 4
SIDE = 768  # pixels
BUILD = """[build]
shards = 1
[source]
kind = "folder"
path = "articles"
[compound]
method = "model"
threshold = 1.0
[radiology]
threshold = 0.0
"""
LICENCE = "https://creativecommons.org/licenses/by/4.0/"


def main() -> None:
    """Print both parts as rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--articles", type=int, default=300)
    parser.add_argument("--inventory", type=int, default=8_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:  # first: the most memory is told of a process as a whole
        _measure_plan(Path(name), options.inventory)
    with tempfile.TemporaryDirectory() as name:
        _measure_build(Path(name), options.articles)


def _measure_build(folder: Path, articles: int) -> None:
    texts, pictures = _lay_out(folder / "articles", articles)
    (folder / "build.toml").write_text(BUILD)
    build = read_build(folder / "build.toml")
    seconds: dict[str, float] = {}
    started = [("", time.process_time())]

    def show(stage: Stage, done: int, total: int) -> None:
        name, since = started[-1]
        if stage.name != name:
            seconds[name] = time.process_time() - since
            started.append((stage.name, time.process_time()))
        del done, total

    run_build(build, Pool(1), show, until="radiology")
    name, since = started[-1]
    seconds[name] = time.process_time() - since
    total = sum(seconds.values())
    print(f"{len(texts):,} articles, {len(pictures):,} figures, one process, seconds of the processor")
    for stage, spent in seconds.items():
        print(f"  {stage or 'plan':<12}{spent:>8.2f}{1000 * spent / len(pictures):>10.2f} ms a figure")
    limit = _limit(texts, pictures)
    for part, spent in limit.items():
        print(f"  limit: {part:<12}{spent:>8.2f}{1000 * spent / len(pictures):>10.2f} ms a figure")
    least, rate = sum(limit.values()), len(texts) / total
    print(f"build {total:.2f} s, {rate:.1f} articles/s; limit {least:.2f} s, {least / total:.0%} of it")


def _limit(texts: list[bytes], pictures: list[bytes]) -> dict[str, float]:
    """Return the seconds of each part of what cannot be left out."""
    tasks: tuple[Task, ...] = ("compound", "radiology")
    models = [
        open_classifier(find_model(task, None), task) for task in tasks if (MODELS / f"{task}.onnx").is_file()
    ]
    decoded = [pixels for pixels in map(read_pixels, pictures) if not isinstance(pixels, Unreadable)]

    def networks() -> None:
        for model in models:
            for pixels in decoded:
                model._answer(prepare(pixels, model.contract, model.size)[None])  # noqa: SLF001

    return {
        "parse": _timed(lambda: [read_article(text, "a.xml") for text in texts]),
        "decode": _timed(lambda: [read_pixels(picture) for picture in pictures]),
        "networks": _timed(networks),
    }


def _lay_out(folder: Path, articles: int) -> tuple[list[bytes], list[bytes]]:
    """Write articles around real pictures; return their texts and the pictures."""
    with (SHARED / "data/figures/images.csv").open(encoding="utf-8", newline="") as file:
        rows = [row["file"] for row in csv.DictReader(file)]
    texts, pictures = [], []
    filler = "<p>" + "The patient was seen again, and nothing else was found. " * 20 + "</p>"
    for number in range(articles):
        chosen = [rows[(number * FIGURES_EACH + place) % len(rows)] for place in range(FIGURES_EACH)]
        figures = "".join(
            f'<fig id="f{place}"><caption><p>Image number {place} of the chest of patient {number}, '
            f'on admission.</p></caption><graphic xlink:href="{Path(name).name}"/></fig>'
            for place, name in enumerate(chosen)
        )
        text = (
            '<article article-type="case-report" xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta>'
            f'<permissions><license xlink:href="{LICENCE}"/></permissions></article-meta></front>'
            f"<body><sec>{filler * 90}{figures}</sec></body></article>"
        ).encode()
        place = folder / f"PMC{number + 1}.1"
        place.mkdir(parents=True)
        (place / f"PMC{number + 1}.1.xml").write_bytes(text)
        for name in chosen:
            content = _as_large_as_usual(SHARED / "data/figures/files" / name)
            (place / Path(name).name).write_bytes(content)
            pictures.append(content)
        texts.append(text)
    return texts, pictures


def _as_large_as_usual(path: Path) -> bytes:
    """Return a picture at the size that PMC's JPEGs most often have, 768 pixels on the longer side."""
    with Image.open(path) as picture:
        scale = SIDE / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        file = io.BytesIO()
        picture.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()


def _measure_plan(folder: Path, articles: int) -> None:
    (folder / "build.toml").write_text('[source]\nkind = "s3"\ninventory = true\n')
    build = read_build(folder / "build.toml")
    store = open_store(build.work)
    buffer = io.BytesIO()
    np.save(buffer, np.arange(1_000_000, 1_000_000 + articles, dtype=np.int64))
    store.write(CHOICE, b"made up")
    store.write(NUMBERS, buffer.getvalue())
    source = source_of(build, 1)
    start, spent = time.perf_counter(), time.process_time()
    past = plan_shards(build, store, source)
    tasks = tasks_of(STAGES[0], past, build, option_digests(STAGES[0], build), store=store)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, own = time.perf_counter() - start, time.process_time() - spent
    print(f"plan of {articles:,} articles: {len(tasks):,} shards, {most:.0f} MiB at most")
    print(f"  {wall:.0f} s, of these {own:.0f} s of the processor")


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
