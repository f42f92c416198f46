"""How well compound figures are told by model, caption and layout, and how fast the filters are.

Collages are made of real images of a source that the compound filter that ships never saw, MedNIST: two to
sixteen in rows, columns and grids, with white, black and grey gutters or none, with panel letters or without,
saved as JPEG. The negatives are the single images, brought to the same sizes and saved likewise. They are
straight pastes, not what authors draw: how real figures of other sources are told stands in the model card.
Chest CT of MedNIST is left out, because its grey levels are wrapped.

The negatives of the text are captions of figures that the authors of ROCO took for single pictures, although
some of them describe panels. The rules were set while looking at these, so their rate is a lower bound of
false alarms. The positives are joined of two or more captions in five usual manners that the rules were
written for: they tell whether the rules do what they should, and are no recall. Captions of research articles
are real, mostly not of radiology, and have no label: the rate is the share that the rules fire on.

`--left-out IMAGES FIGURES` fits the rules of both models anew without each source and prints how they answer
it, which takes some ten minutes; the folders are those of tools/train_default_filters.py.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
from measure import SHARED, machine, seconds, table
from PIL import Image, ImageDraw

from dataset_builder.pmc.jats import read_article
from dataset_builder.records import Figure, FigureText, Graphic
from dataset_builder.stages.caption_panels import panels_named
from dataset_builder.stages.captions import CaptionOptions
from dataset_builder.stages.captions import select as select_captions
from dataset_builder.stages.compound import DEFAULT_THRESHOLD, CompoundOptions
from dataset_builder.stages.compound import select as select_figures
from dataset_builder.stages.image_classifier import find_model, open_classifier
from rocov2_eval.shelf.onnx_contract import Task

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from filter_cards import judgement_tables, wilson
from probes import Probe
from train_default_filters import SIGHTS, examples_of, judgements, left_out_scores, read_rows

FILES = SHARED / "images" / "files"
GUTTERS = (("white", 3), ("white", 12), ("black", 8), ("black", 20), ("grey", 8), ("none", 0))
COLUMNS = {2: (1, 2), 3: (1, 2, 3), 4: (1, 2, 4), 6: (2, 3), 9: (3,), 12: (3, 4), 16: (4,)}
UNSEEN = "mednist"
PAIR = 2  # panels: the fewest of a compound figure, and the hardest to tell
WRAPPED = ("C0040405", "C0817096")  # modality and region
METHODS: tuple[Literal["priors", "model", "both"], ...] = ("priors", "model", "both")
HEIGHTS = (160, 200, 256, 300)
MANNERS: dict[str, Callable[[int, str], str]] = {
    "(A) …": lambda i, text: f"({'ABCDEF'[i]}) {text}",
    "a …": lambda i, text: f"{'abcdef'[i]} {text}",
    "A: …": lambda i, text: f"{'ABCDEF'[i]}: {text}",
    "b) …": lambda i, text: f"{'abcdef'[i]}) {text}",
    "… (A).": lambda i, text: f"{text.rstrip('.')} ({'ABCDEF'[i]}).",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A figure with what it is: `gutter` names how it was made, empty for a single picture; of `panels`."""

    figure: Figure
    content: bytes
    gutter: str = ""
    panels: int = 1


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--made", type=int, default=600, help="compound figures to make, and single ones")
    parser.add_argument("--left-out", type=Path, nargs="+", metavar="FOLDER", help="judge sources left out")
    arguments = parser.parse_args()
    captions = real_captions()
    rng = random.Random(20)
    images = unseen_images()
    singles = [single(row, captions, rng) for row in rng.sample(images, arguments.made)]
    made = list(compound(images, captions, arguments.made, rng))
    print(machine(), "\n")
    print_methods(singles, made)
    print_text(captions, rng)
    print_speed(singles + made, captions)
    for task in ("radiology", "compound") if arguments.left_out else ():
        print_left_out(task, arguments.left_out)


def unseen_images() -> list[dict[str, str]]:
    """Return the rows of the images that the compound filter that ships never saw."""
    with (SHARED / "images" / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == UNSEEN]
    return [row for row in rows if (row["modality"], row["region"]) != WRAPPED]


def real_captions() -> list[str]:
    """Return the captions of ROCO."""
    with (SHARED / "roco" / "captions.csv").open(encoding="utf-8", newline="") as file:
        return [row["Caption"] for row in csv.DictReader(file)]


def article_captions() -> list[str]:
    """Return the captions of the real articles."""
    paths = sorted((SHARED / "jats").rglob("*.xml"))
    figures = [one for path in paths for one in read_article(path.read_bytes(), str(path)).figures]
    return [one.text.caption for one in figures if one.text.caption]


def single(row: dict[str, str], captions: Sequence[str], rng: random.Random) -> Sample:
    """Return one image under a real caption, at the size of a panel."""
    with Image.open(FILES / row["file"]) as image:
        height = rng.choice(HEIGHTS)
        content = saved(
            image.convert("RGB").resize((round(image.width * height / image.height), height)), rng
        )
    return Sample(figure=figure(row["file"], rng.choice(captions)), content=content)


def compound(
    images: Sequence[dict[str, str]], captions: Sequence[str], n: int, rng: random.Random
) -> Iterator[Sample]:
    """Yield made figures; half have a caption that tells their panels."""
    by_kind = defaultdict(list)
    for row in images:
        by_kind[row["modality"] + row["region"]].append(row["file"])
    everything = [row["file"] for row in images]
    for i in range(n):
        kind = rng.choice(sorted(by_kind))
        pool = by_kind[kind] if rng.random() < 0.7 else everything
        n_panels = rng.choice((2, 2, 2, 3, 4, 4, 6, 9, 12, 16))
        colour, width = rng.choice(GUTTERS)
        picture = mounted(rng.sample(pool, n_panels), rng, colour, width)
        texts = rng.sample(captions, min(n_panels, 6))
        tells = rng.random() < 0.5
        caption = joined(rng.choice(list(MANNERS)), texts) if tells else texts[0]
        yield Sample(
            figure=figure(f"made-{i}.jpg", caption),
            content=saved(picture, rng),
            gutter=f"{colour} {width}" if width else "none",
            panels=n_panels,
        )


def mounted(names: Sequence[str], rng: random.Random, colour: str, width: int) -> Image.Image:
    """Return images side by side and in rows, cropped or not to one shape, with letters or not."""
    columns, height, square = rng.choice(COLUMNS[len(names)]), rng.choice(HEIGHTS), rng.random() < 0.5
    background = {"black": "black", "grey": "gray"}.get(colour, "white")
    panels = []
    for name in names:
        with Image.open(FILES / name) as image:
            wide = height if square else max(40, round(image.width * height / image.height))
            panels.append(image.convert("RGB").resize((wide, height)))
    rows = [beside(panels[i : i + columns], background, width) for i in range(0, len(panels), columns)]
    widest = max(row.width for row in rows)
    rows = [row.resize((widest, height)) if row.width > 0.6 * widest else row for row in rows]
    picture = Image.new("RGB", (widest, sum(row.height + width for row in rows) - width), background)
    for i, row in enumerate(rows):
        picture.paste(row, (0, i * (height + width)))
    if rng.random() < 0.5:
        draw = ImageDraw.Draw(picture)
        draw.text((6, 6), "A", fill="white")
        draw.text((picture.width // 2 + 6, 6), "B", fill="white")
    return picture


def beside(panels: Sequence[Image.Image], background: str, width: int) -> Image.Image:
    """Return one row."""
    total = sum(panel.width + width for panel in panels) - width
    row = Image.new("RGB", (total, panels[0].height), background)
    left = 0
    for panel in panels:
        row.paste(panel, (left, 0))
        left += panel.width + width
    return row


def saved(picture: Image.Image, rng: random.Random) -> bytes:
    """Return a JPEG of one of three usual qualities."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=rng.choice((75, 85, 92)))
    return buffer.getvalue()


def joined(manner: str, texts: Sequence[str]) -> str:
    """Return the caption of a compound figure."""
    return " ".join(MANNERS[manner](i, text.strip().rstrip(".") + ".") for i, text in enumerate(texts))


def figure(name: str, caption: str) -> Figure:
    """Return a record."""
    return Figure(pmcid="PMC1", number=1, graphic=Graphic(name=name), text=FigureText(caption=caption))


def print_methods(singles: Sequence[Sample], made: Sequence[Sample]) -> None:
    """Print recall by gutter, and what of all is told, by each method of the stage."""
    print(f"### Compound figures of a source never seen, {len(made)} made and {len(singles)} single\n")
    told = Counter(one.gutter for one in made)
    n_pairs = sum(one.panels == PAIR for one in made)
    rows = []
    for tells in (False, True):
        some = [replace(one, figure=bare(one.figure)) for one in made] if not tells else made
        for method in METHODS:
            options = CompoundOptions(method=method)
            left = still_in(some, options)
            missed = Counter(one.gutter for one in left)
            pairs = 1 - sum(one.panels == PAIR for one in left) / n_pairs
            false = len(singles) - len(still_in(singles, options))
            hits = len(made) - missed.total()
            rows.append(
                [
                    method,
                    "half of the captions tell" if tells else "no caption tells",
                    *(f"{1 - missed[gutter] / n:.3f}" for gutter, n in sorted(told.items())),
                    f"{pairs:.3f}",
                    interval(hits, len(made)),
                    f"{false / len(singles):.1%}",
                    interval(hits, hits + false),
                ]
            )
    names = [f"{gutter} ({n})" for gutter, n in sorted(told.items())]
    print(
        table(
            ["method", "captions", *names, f"two panels ({n_pairs})", "recall", "false alarms", "precision"],
            rows,
        )
    )


def bare(one: Figure) -> Figure:
    """Return a figure without its caption."""
    return msgspec.structs.replace(one, text=FigureText())


def still_in(samples: Sequence[Sample], options: CompoundOptions) -> list[Sample]:
    """Return the samples whose figures the stage keeps."""
    names = {one.graphic.name for one in kept(samples, options)}
    return [sample for sample in samples if sample.figure.graphic.name in names]


def interval(number: int, of: int) -> str:
    """Return a share with Wilson's interval of 95 %."""
    low, high = wilson(number, of)
    return f"{number / of:.3f} ({low:.3f} to {high:.3f})"


def print_left_out(task: Task, folders: Sequence[Path]) -> None:
    """Print how each source is answered by a rule and a threshold that never saw it."""
    examples = examples_of(task, read_rows(folders), Probe(SIGHTS[task]))
    scores = left_out_scores(task, examples)
    print(f"### {task}, sources left out, the network alone\n")
    print(judgement_tables(judgements(task, examples, scores)), "\n")
    if task == "compound":
        print("### compound, sources left out, with the evidence of layout and caption\n")
        print(judgement_tables(judgements(task, examples, scores, with_evidence=True)), "\n")


def print_text(captions: Sequence[str], rng: random.Random) -> None:
    """Print how many captions the text alone takes for compound."""
    print("### Text alone\n")
    rows = [text_row("real, of single pictures (ROCO)", captions)]
    rows.append(text_row("real, of research articles, no label", article_captions()))
    for manner in MANNERS:
        texts = [joined(manner, rng.sample(captions, rng.choice((2, 3, 4)))) for _ in range(1000)]
        rows.append(text_row(f"made, {manner}", texts))
    print(table(["captions", "n", "certain", "possible"], rows))


def text_row(name: str, captions: Sequence[str]) -> list[str]:
    """Return a line of the table."""
    weights = [panels_named(caption).weight for caption in captions]
    certain = sum(weight >= DEFAULT_THRESHOLD for weight in weights)
    possible = sum(0 < weight < DEFAULT_THRESHOLD for weight in weights)
    n = len(captions)
    return [name, str(n), f"{certain} ({certain / n:.1%})", f"{possible} ({possible / n:.1%})"]


def kept(samples: Sequence[Sample], options: CompoundOptions) -> list[Figure]:
    """Return the figures that the stage keeps."""
    contents = {sample.figure.key: sample.content for sample in samples}
    return select_figures([sample.figure for sample in samples], lambda one: contents[one.key], options)[0]


def print_speed(samples: Sequence[Sample], captions: Sequence[str]) -> None:
    """Print figures and captions per second on one processor."""
    print("### Speed, one process\n")
    figures = [figure(f"{i}.jpg", caption) for i, caption in enumerate(captions)]
    select_captions(figures[:1], CaptionOptions())
    hints = CompoundOptions(method="priors")
    compound_time = min(seconds(lambda: kept(samples, hints)) for _ in range(3))
    models = [[f"{task} model", *model_speed(task, samples)] for task in ("compound", "radiology")]
    caption_time = min(seconds(lambda: select_captions(figures, CaptionOptions())) for _ in range(3))
    kept_captions, drops = select_captions(figures, CaptionOptions())
    rows = [
        ["compound filter, by hints", f"{len(samples)} figures", f"{len(samples) / compound_time:,.0f}/s"],
        *models,
        ["caption filter", f"{len(figures)} captions", f"{len(figures) / caption_time:,.0f}/s"],
    ]
    print(table(["filter", "input", "rate"], rows))
    reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(drop.reason for drop in drops).most_common())
    print(f"Captions of ROCO: {len(kept_captions)} kept; {reasons}")


def model_speed(task: Task, samples: Sequence[Sample]) -> tuple[str, str]:
    """Return how many pictures a model that ships was given, and how long one takes, with its decoding."""
    classifier = open_classifier(find_model(task, None), task)
    contents = [sample.content for sample in samples[:200]]
    time = min(seconds(lambda: classifier.scores(contents)) for _ in range(3))
    return f"{len(contents)} figures", f"{1000 * time / len(contents):.1f} ms a figure"


if __name__ == "__main__":
    main()
