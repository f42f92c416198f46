"""How well the hints tell compound figures, and how fast the filters without a model are.

No labelled compound figures are at hand, so they are made of real images: two to nine of one source or of
several, in rows, columns and grids, with white gutters, black ones or none, with panel letters or without,
saved as JPEG. The negatives are the single images, brought to the same sizes and saved likewise. So the rates
tell how the rules do on straight pastes, not on what authors draw. The limits of the layout were set on the
images with even index, and these have an odd index; but both halves come from the same sources and are pasted
by the same rules, and the seam was made stricter after false alarms in the second half had been seen. The one
look at real figures is JOSE: 24, seven of which are compound by our eye.

The negatives of the text are captions of figures that the authors of ROCO took for single pictures, although
some of them describe panels. The rules were set while looking at these, so their rate is a lower bound of
false alarms. The positives are joined of two or more captions in five usual manners that the rules were
written for: they tell whether the rules do what they should, and are no recall. Captions of research articles
are real, mostly not of radiology, and have no label: the rate is the share that the rules fire on.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from measure import SHARED, machine, seconds, table
from PIL import Image, ImageDraw

from dataset_builder.pmc.jats import read_article
from dataset_builder.records import Figure, FigureText, Graphic
from dataset_builder.stages.caption_panels import panels_named
from dataset_builder.stages.captions import CaptionOptions
from dataset_builder.stages.captions import select as select_captions
from dataset_builder.stages.compound import DEFAULT_THRESHOLD, CompoundOptions
from dataset_builder.stages.compound import select as select_figures
from dataset_builder.stages.picture_panels import SIDE, panels_seen
from rocov2_eval.shelf.pictures import Unreadable, read_pixels

FILES = SHARED / "images" / "files"
GUTTERS = (("white", 3), ("white", 6), ("white", 12), ("black", 4), ("black", 10), ("none", 0))
COLUMNS = {2: (1, 2), 3: (1, 2, 3), 4: (2, 4), 6: (2, 3), 9: (3,)}
HEIGHTS = (160, 200, 256, 300)
COMPOUND_OF_JOSE = ("00185_media_images_fig1", "00185_media_images_fig2", "00185_media_images_fig3")
COMPOUND_OF_JOSE += ("00185_media_images_fig7", "00205_media_Figure1", "00240_paper_jats_responses")
COMPOUND_OF_JOSE += ("00286_paper_jats_orbitals",)
MANNERS: dict[str, Callable[[int, str], str]] = {
    "(A) …": lambda i, text: f"({'ABCDEF'[i]}) {text}",
    "a …": lambda i, text: f"{'abcdef'[i]} {text}",
    "A: …": lambda i, text: f"{'ABCDEF'[i]}: {text}",
    "b) …": lambda i, text: f"{'abcdef'[i]}) {text}",
    "… (A).": lambda i, text: f"{text.rstrip('.')} ({'ABCDEF'[i]}).",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A figure with what it is: `gutter` names how it was made, empty for a single picture."""

    figure: Figure
    content: bytes
    source: str
    gutter: str = ""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--made", type=int, default=1200, help="compound figures to make")
    parser.add_argument("--parity", type=int, default=1, choices=(0, 1), help="which half of the images")
    arguments = parser.parse_args()
    captions = real_captions()
    rng = random.Random(20)
    images = real_images(arguments.parity)
    singles = [single(row, captions, rng) for row in images if row["source"] != "jose"]
    made = list(compound(images, captions, arguments.made, rng))
    print(machine(), "\n")
    print_layout(singles, made)
    print_text(captions, rng)
    print_both(singles, made)
    print_jose()
    print_speed(singles + made, captions)


def real_images(parity: int) -> list[dict[str, str]]:
    """Return the rows of every second image."""
    with (SHARED / "images" / "images.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[parity::2]


def real_captions() -> list[str]:
    """Return the captions of ROCO."""
    with (SHARED / "roco" / "captions.csv").open(encoding="utf-8", newline="") as file:
        return [row["Caption"] for row in csv.DictReader(file)]


def article_captions() -> list[str]:
    """Return the captions of the real articles."""
    paths = sorted((SHARED / "jats").rglob("*.xml"))
    figures = [one for path in paths for one in read_article(path.read_bytes(), str(path)).figures]
    return [one.caption for one in figures if one.caption]


def single(row: dict[str, str], captions: Sequence[str], rng: random.Random) -> Sample:
    """Return one image under a real caption, at the size of a panel."""
    with Image.open(FILES / row["file"]) as image:
        height = rng.choice(HEIGHTS)
        content = saved(
            image.convert("RGB").resize((round(image.width * height / image.height), height)), rng
        )
    return Sample(figure=figure(row["file"], rng.choice(captions)), content=content, source=row["source"])


def compound(
    images: Sequence[dict[str, str]], captions: Sequence[str], n: int, rng: random.Random
) -> Iterator[Sample]:
    """Yield made figures; half have a caption that tells their panels."""
    by_source = defaultdict(list)
    for row in images:
        if row["source"] != "jose":
            by_source[row["source"]].append(row["file"])
    everything = [name for names in by_source.values() for name in names]
    for i in range(n):
        source = rng.choice(sorted(by_source))
        pool = by_source[source] if rng.random() < 0.7 else everything
        n_panels = rng.choice((2, 2, 2, 3, 4, 4, 6, 9))
        colour, width = rng.choice(GUTTERS)
        picture = mounted(rng.sample(pool, n_panels), rng, colour, width)
        texts = rng.sample(captions, min(n_panels, 6))
        tells = rng.random() < 0.5
        caption = joined(rng.choice(list(MANNERS)), texts) if tells else texts[0]
        yield Sample(
            figure=figure(f"made-{i}.jpg", caption),
            content=saved(picture, rng),
            source=source,
            gutter=f"{colour} {width}" if width else "none",
        )


def mounted(names: Sequence[str], rng: random.Random, colour: str, width: int) -> Image.Image:
    """Return images side by side and in rows, cropped or not to one shape, with letters or not."""
    columns, height, square = rng.choice(COLUMNS[len(names)]), rng.choice(HEIGHTS), rng.random() < 0.5
    background = "black" if colour == "black" else "white"
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


def seen(content: bytes) -> float:
    """Return the weight of the layout."""
    pixels = read_pixels(content, SIDE)
    if isinstance(pixels, Unreadable):
        raise TypeError(pixels.detail)
    return panels_seen(pixels).weight


def print_layout(singles: Sequence[Sample], made: Sequence[Sample]) -> None:
    """Print how many figures the layout alone takes for compound."""
    print("### Layout alone\n")
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for sample in [*singles, *made]:
        kind = f"made, gutter {sample.gutter}" if sample.gutter else f"single, {sample.source}"
        total[kind] += 1
        found[kind] += seen(sample.content) >= DEFAULT_THRESHOLD
    rows = [[kind, str(n), str(found[kind]), f"{found[kind] / n:.1%}"] for kind, n in sorted(total.items())]
    print(table(["figures", "n", "taken for compound", "share"], rows))
    hits = sum(found[kind] for kind in total if kind.startswith("made"))
    print(rates(hits, sum(found.values()) - hits, len(made), len(singles)), "\n")


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


def print_both(singles: Sequence[Sample], made: Sequence[Sample]) -> None:
    """Print precision and recall of the stage, half of whose compound figures tell their panels."""
    print("### Text and layout: the stage as it is by default\n")
    missed = len(kept(made, CompoundOptions()))
    false = len(singles) - len(kept(singles, CompoundOptions()))
    print(rates(len(made) - missed, false, len(made), len(singles)), "\n")


def kept(samples: Sequence[Sample], options: CompoundOptions) -> list[Figure]:
    """Return the figures that the stage keeps."""
    contents = {sample.figure.key: sample.content for sample in samples}
    return select_figures([sample.figure for sample in samples], lambda one: contents[one.key], options)[0]


def rates(hits: int, false: int, positives: int, negatives: int) -> str:
    """Return precision, which depends on the mixture, with recall and the rate of false alarms."""
    return (
        f"precision {hits / (hits + false):.3f} at {positives} compound and {negatives} single figures, "
        f"recall {hits / positives:.3f}, false alarms {false / negatives:.2%}"
    )


def print_jose() -> None:
    """Print what the layout says of real figures."""
    print("### Real figures of JOSE, layout alone (charts, schemes, photographs)\n")
    counts: Counter[tuple[bool, bool]] = Counter()
    for path in sorted(FILES.glob("jose_*")):
        is_compound = any(name in path.name for name in COMPOUND_OF_JOSE)
        counts[is_compound, seen(path.read_bytes()) >= DEFAULT_THRESHOLD] += 1
    rows = [
        [name, str(counts[truth, True] + counts[truth, False]), str(counts[truth, True])]
        for name, truth in (("compound by our eye", True), ("single", False))
    ]
    print(table(["figures", "n", "taken for compound"], rows))


def print_speed(samples: Sequence[Sample], captions: Sequence[str]) -> None:
    """Print figures and captions per second on one processor."""
    print("### Speed, one process\n")
    figures = [replace(figure(f"{i}.jpg", caption)) for i, caption in enumerate(captions)]
    select_captions(figures[:1], CaptionOptions())
    compound_time = min(seconds(lambda: kept(samples, CompoundOptions())) for _ in range(3))
    caption_time = min(seconds(lambda: select_captions(figures, CaptionOptions())) for _ in range(3))
    kept_captions, drops = select_captions(figures, CaptionOptions())
    rows = [
        ["compound filter, by hints", f"{len(samples)} figures", f"{len(samples) / compound_time:,.0f}/s"],
        ["caption filter", f"{len(figures)} captions", f"{len(figures) / caption_time:,.0f}/s"],
    ]
    print(table(["filter", "input", "rate"], rows))
    reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(drop.reason for drop in drops).most_common())
    print(f"Captions of ROCO: {len(kept_captions)} kept; {reasons}")


if __name__ == "__main__":
    main()
