"""Baselines on small real pictures: concepts against two floors, and whether a captioner looks at all.

Usage: python benchmarks/bench_real_images.py IMAGES [--work FOLDER] [--epochs 12]

IMAGES is a folder with images.csv and files/, see tools/make_image_dataset.py. What is trained already in the
working folder is not trained again. Every class of these pictures comes from one to three sources, so that
the figures of held-out groups say little: beside them stand those of sources that were never seen.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from baselines import decisions
from baselines.captions import Captioned, open_ready, predict
from baselines.concepts import DecisionOptions, Labelled, open_detector
from baselines.config import read_recipe
from baselines.data.cache import PictureCache
from baselines.data.dataset import Examples, Need, read_examples
from baselines.data.labels import label_matrix
from baselines.frozen.concepts import AnswerOptions, fit_frozen
from baselines.frozen.features import NOTHING, PIXELS, FeatureOptions, open_sight
from baselines.runs import train_run
from baselines.session import Session, cached_split
from baselines.training.loop import BEST
from baselines.training.runtime import opened
from rocov2_eval.records import BoolArray, FloatArray, IntArray, SampleScores
from rocov2_eval.resampling import Bootstrap, interval

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("", "hannover", "covid_chestxray", "mednist")
MODALITIES = ("X-ray", "CT", "MRI")
REGIONS = ("chest", "abdomen", "cranium", "upper extremity", "breast")
CPU = torch.device("cpu")
HEADS = (
    *("tested on", "images", "most frequent", "nearest pixels"),
    *("network, 0.5", "network, expected F", "seconds"),
)


def main() -> int:
    """Train what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--work", type=Path, default=Path("real-images"))
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    print(f"| {' | '.join(HEADS)} |")
    print("|---|---|---|---|---|---|---|")
    for source in SOURCES:
        data = _dataset(arguments.images, arguments.work, source)
        folder = arguments.work / "runs" / f"concepts-{data.name}"
        seconds = _trained("concepts_nano", data, folder, arguments.epochs)
        print("|", " | ".join(_row(data, folder, arguments.work, source)), f"| {seconds:.0f} |")
    data = arguments.work / "all"
    folder = arguments.work / "runs/captions-all"
    seconds = _trained("captions_nano", data, folder, arguments.epochs)
    print(f"\nCaptioner, trained in {seconds:.0f} s:\n")
    print("| pictures | modality agrees | region agrees |\n|---|---|---|")
    for line in _looking(data, folder, arguments.work):
        print(line)
    return 0


def _dataset(images: Path, work: Path, source: str) -> Path:
    folder = work / (source or "all")
    if not folder.is_dir():
        command = [sys.executable, str(ROOT / "tools/make_image_dataset.py"), str(images), str(folder)]
        subprocess.run(
            [*command, *(["--leave-out", source] if source else [])], check=True, capture_output=True
        )
    return folder


def _trained(name: str, data: Path, folder: Path, epochs: int) -> float:
    """Train a recipe, unless it is trained; return how long that took."""
    from baselines.training.runlog import read_run

    if not (folder / BEST).is_file() or "seconds" not in read_run(folder):
        recipe = read_recipe(name, [f"training.epochs={epochs}"])
        with opened("cpu", "fp32") as runtime:
            session = Session(data=data, cache=folder.parent / "cache", runtime=runtime)
            train_run(recipe, session, folder)
    return float(read_run(folder)["seconds"])


def _row(data: Path, folder: Path, work: Path, source: str) -> Iterator[str]:
    """Yield the cells of one line: what was tested, images, and F1 with its interval by each way."""
    detector = open_detector(folder)
    splits = {name: _split(data, name, work, ("concepts",)) for name in ("train", "valid", "test")}
    truths = {
        name: label_matrix(examples.concepts or (), detector.labels) for name, (examples, _) in splits.items()
    }
    test = truths["test"]
    yield f"{source}, never seen" if source else "held-out groups of all"
    yield f"{len(test[0]):,}"
    labelled = {
        name: Labelled(pictures=cache, concepts=examples.concepts or ())
        for name, (examples, cache) in splits.items()
    }
    for encoder in (NOTHING, PIXELS):
        sight = open_sight(FeatureOptions(encoder=encoder))
        options = AnswerOptions(), DecisionOptions()
        floor, _ = fit_frozen(sight, *options, labelled["train"], labelled["valid"])
        yield _score(floor.probabilities(splits["test"][1], CPU), floor.decision, test)
    seen = detector.probabilities(splits["test"][1], CPU)
    yield _score(seen, decisions.Decision(rule="fixed", parameters={"threshold": 0.5}), test)
    yield _score(seen, detector.decision, test)


def _split(data: Path, name: str, work: Path, needs: tuple[Need, ...]) -> tuple[Examples, PictureCache]:
    examples = read_examples(data, name, needs)
    options = read_recipe("concepts_nano").tables["data"]
    with opened("cpu", "fp32") as runtime:
        session = Session(data=data, cache=work / "runs/cache", runtime=runtime)
        return examples, cached_split(session, examples, options, allow_broken=False)


def _score(found: FloatArray, decision: decisions.Decision, truth: tuple[BoolArray, IntArray]) -> str:
    values = decisions.sample_f1(decisions.decide(found, decision), *truth)
    return _shown(values)


def _shown(values: FloatArray) -> str:
    ends = interval(SampleScores(values=values, scored=np.ones(len(values), np.bool_)), Bootstrap())
    assert ends is not None, "there is more than one image"
    return f"{values.mean():.3f} [{ends.low:.3f}, {ends.high:.3f}]"


def _looking(data: Path, folder: Path, work: Path) -> Iterator[str]:
    """Yield how often captions name the modality and region of their picture, and of another picture."""
    ready = open_ready(folder, folder / BEST)
    examples, cache = _split(data, "test", work, ("captions",))
    assert examples.captions is not None, "they were asked for"
    rows = np.arange(len(examples))
    for name, order in (("its own", rows), ("shuffled", np.random.default_rng(0).permutation(rows))):
        pictures = Captioned(ids=examples.ids, images=cache.images, captions=("",) * len(rows), rows=order)
        said = predict(ready, pictures, CPU)
        cells = [_shown(_agrees(said, examples.captions, words)) for words in (MODALITIES, REGIONS)]
        yield f"| {name} | {' | '.join(cells)} |"
    for name, words in (("by chance", MODALITIES),):
        chance = [_chance(examples.captions, words), _chance(examples.captions, REGIONS)]
        yield f"| {name}: two pictures at random | {chance[0]:.3f} | {chance[1]:.3f} |"


def _agrees(said: Sequence[str], wanted: Sequence[str], words: Sequence[str]) -> FloatArray:
    return np.array(
        [float(_named(one, words) == _named(other, words)) for one, other in zip(said, wanted, strict=True)]
    )


def _named(caption: str, words: Sequence[str]) -> str:
    """Return the first of some words that a caption holds, the empty string for none."""
    return next((word for word in words if word.lower() in caption.lower()), "")


def _chance(captions: Sequence[str], words: Sequence[str]) -> float:
    """Return how often two captions drawn at random name the same."""
    counts = Counter(_named(caption, words) for caption in captions)
    return sum((count / len(captions)) ** 2 for count in counts.values())


if __name__ == "__main__":
    raise SystemExit(main())
