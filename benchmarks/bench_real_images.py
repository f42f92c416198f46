"""Recipes on small real pictures: concepts against floors and a plain network, captions that look or do not.

Usage: python benchmarks/bench_real_images.py IMAGES... [--work FOLDER] [--recipe "NAME [KEY=VALUE ...]" ...]
           [--on NAME ...] [--seeds 3] [--captioner "NAME [KEY=VALUE ...]" ...] [--roco FOLDER]

IMAGES are folders with images.csv and files/, see tools/make_image_dataset.py. Neighbouring pictures of one
source stand on both sides of a split by group, where floors are all but perfect; so the figures that count
are those of sources that were never seen. Each line has the mean F1 over seeds with its interval over images,
the difference to the plain network of benchmarks/plain_network.py, and the p-values of `rocov2-eval compare`,
seed by seed. With --roco, captions are real ones of the same modality, and captioners are judged by whether
they name the modality of sources never seen. What is trained already in the working folder is not again.
KEY=run:NAME stands for the run of a recipe on the same data with the same seed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from plain_network import answer

import rocov2_eval
from baselines.config import read_recipe
from baselines.data.dataset import read_examples
from baselines.looking import MODALITY_WORDS, distinct, f1, looks, named, vocabulary
from baselines.predictions import predict
from baselines.runs import train_run
from baselines.session import Session
from baselines.training.loop import LAST
from baselines.training.runtime import opened
from rocov2_eval.records import FloatArray, SampleScores
from rocov2_eval.resampling import Bootstrap, interval
from rocov2_eval.scoring import Report
from rocov2_eval.shelf.csv_files import read_rows

ROOT = Path(__file__).resolve().parent.parent
PLAIN = "plain network"
SMALL = ("fracatlas", "teethseg", "hc18", "pydicomdata", "pyradiomics")
# What is tested on, by name. Hannover and covid_chestxray share a hospital, so that they stay together.
DATASETS: Mapping[str, Sequence[str]] = {
    "groups": (),
    "small": SMALL,
    "mednist": (*SMALL, "mednist"),
    "ibsi": ("ibsi", "pocus", "hannover", "covid_chestxray"),
}
RECIPES = ("floor_most_frequent", "floor_nearest_pixels", PLAIN, "concepts_nano")
MOST = 100  # pictures of one source and one label set: MedNIST has 1,800, most sources a hundred


def main() -> int:
    """Train what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, default=Path("real-images"))
    parser.add_argument("--recipe", action="append", help="a recipe with overrides; may be repeated")
    parser.add_argument("--captioner", action="append", default=[], help="the same of captions")
    parser.add_argument("--on", action="append", choices=list(DATASETS), help="what is tested on")
    parser.add_argument("--roco", type=Path, help="folder with the captions of ROCO")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for name in given.on or DATASETS:
        data = _dataset(given.images, given.work, name, given.roco)
        n = len(read_examples(data, "test"))
        if not given.captioner:
            print(f"\n{name}: {n:,} test pictures\n")
            for line in _concepts(data, given.work, given.recipe or RECIPES, given.seeds):
                print(line, flush=True)
        if given.captioner:
            print("\n| recipe | on | seed | distinct | modalities | agreement | by chance | unknown words |")
            print("|---|---|---|---|---|---|---|---|")
        for recipe in given.captioner:
            for line in _captions(data, given.work, recipe, given.seeds):
                print(line, flush=True)
    return 0


def _dataset(images: Sequence[Path], work: Path, name: str, roco: Path | None) -> Path:
    folder = work / name
    if not folder.is_dir():
        left_out = DATASETS[name]
        command = [sys.executable, str(ROOT / "tools/make_image_dataset.py"), *map(str, images), str(folder)]
        command += ["--most", str(MOST), *(["--captions", str(roco)] if roco else [])]
        command += ["--leave-out", *left_out] if left_out else []
        subprocess.run(command, check=True, capture_output=True)
    return folder


def _concepts(data: Path, work: Path, recipes: Sequence[str], seeds: int) -> Iterator[str]:
    """Yield the table of concept detection."""
    yield f"| recipe | F1 | difference to the {PLAIN} | p of compare, by seed |"
    yield "|---|---|---|---|"
    runs = {
        recipe: [_answered(recipe, data, work, seed, "concepts") for seed in range(seeds)]
        for recipe in dict.fromkeys((*recipes, PLAIN))
    }
    comparisons = [
        rocov2_eval.compare([each[seed] for each in runs.values()], data, metrics=["concept_f1"], by=[])
        for seed in range(seeds)
    ]
    values = {
        recipe: np.mean([_values(comparison.reports[place]) for comparison in comparisons], axis=0)
        for place, recipe in enumerate(runs)
    }
    plain = list(runs).index(PLAIN)
    for place, recipe in enumerate(runs):
        cells = [recipe, _shown(values[recipe]), "", ""]
        if recipe != PLAIN:
            cells[2] = _shown(values[recipe] - values[PLAIN], signed=True)
            pairs = [
                next(pair for pair in comparison.pairs if {pair.a, pair.b} == {place, plain})
                for comparison in comparisons
            ]
            cells[3] = ", ".join(f"{pair.p_value:.4f}" for pair in pairs)
        yield f"| {' | '.join(cells)} |"


def _captions(data: Path, work: Path, recipe: str, seeds: int) -> Iterator[str]:
    """Yield a line for each seed of a captioner: what its captions are worth on the test split."""
    test = read_examples(data, "test", ("captions", "concepts_manual"))
    known = vocabulary(read_examples(data, "train", ("captions",)).captions or ())
    for seed in range(seeds):
        path = _answered(recipe, data, work, seed, "captions")
        by_id = {row["ID"]: row["Caption"] for _, row in read_rows(path)}
        said = [by_id[image_id] for image_id in test.ids]
        scores = looks(said, test.captions or (), test.concepts_manual, known)
        found = [named(caption, MODALITY_WORDS) for caption in said]
        true = [MODALITY_WORDS.keys() & set(cuis) for cuis in test.concepts_manual or ()]
        agreed = np.array(
            [f1(one, frozenset(other)) for one, other in zip(found, true, strict=True) if other]
        )
        cells = [
            *(recipe, data.name, str(seed), f"{distinct(said[:200]):.0f}", str(len(set().union(*found)))),
            *(_shown(agreed), *(f"{scores[name]:.3f}" for name in ("modality_by_chance", "unknown_words"))),
        ]
        yield f"| {' | '.join(cells)} |"


def _answered(recipe: str, data: Path, work: Path, seed: int, task: str) -> Path:
    """Return the run file of a recipe, trained and answered unless it is there."""
    folder = _folder(recipe, data, work, seed)
    out = folder.with_name(f"{folder.name}.{task}.csv")
    if out.is_file():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    if recipe == PLAIN:
        answer(data, out, work / "cache", seed=seed)
        return out
    name, *overrides = recipe.split()
    for place, (key, _, start) in enumerate(each.partition("=run:") for each in overrides):
        if start:
            _answered(start, data, work, seed, "concepts")
            overrides[place] = f"{key}={_folder(start, data, work, seed)}"
    with opened("cpu", "fp32") as runtime:
        session = Session(data=data, cache=work / "cache", runtime=runtime)
        chosen = read_recipe(name, [f"run.seed={seed}", *overrides])
        train_run(chosen, session, folder, resume=(folder / LAST).is_file())
        predict([folder], session, "test", out)
    return out


def _folder(recipe: str, data: Path, work: Path, seed: int) -> Path:
    return work / "runs" / f"{data.name}-{recipe.replace(' ', ',').replace('/', '_')}-{seed}"


def _values(report: Report) -> FloatArray:
    values: FloatArray = report.samples["concept_f1"].values
    return values


def _shown(values: FloatArray, *, signed: bool = False) -> str:
    ends = interval(SampleScores(values=values, scored=np.ones(len(values), np.bool_)), Bootstrap())
    assert ends is not None, "there is more than one image"
    sign = "+" if signed else ""
    return f"{values.mean():{sign}.3f} [{ends.low:{sign}.3f}, {ends.high:{sign}.3f}]"


if __name__ == "__main__":
    raise SystemExit(main())
