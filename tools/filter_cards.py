"""The model cards of the image filters that come with the builder, from what a training found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from baselines.filters import FilterOptions, Quality
from baselines.models.efficientnet import SPECS, EfficientNet
from baselines.training.loop import TrainingOptions

Row = Mapping[str, str]

FITS = {"letterbox": "letterboxed on black", "squash": "squashed to a square"}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A row of the table of figures.

    Attributes:
        pictures: Which pictures are judged.
        judge: The network or rule that judges them.
        quality: How well it answers.
    """

    pictures: str
    judge: str
    quality: Quality


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a card says of a training.

    Attributes:
        filter: Options of the filter that was trained.
        training: Options of the training.
        pictures: Number of pictures that it saw.
        rows: Rows of the table of pictures whose licence and credit the card lists.
        size: Size of the model file in bytes.
        difference: Largest difference between a logit of onnxruntime and one of torch.
        seed: Seed of the training.
        judgements: Rows of the table of figures, in order.
    """

    filter: FilterOptions
    training: TrainingOptions
    pictures: int
    rows: Sequence[Row]
    size: int
    difference: float
    seed: int
    judgements: Sequence[Judgement]


def card(training: Training) -> str:
    """Return the card as Markdown."""
    sections = (
        HEADS[training.filter.task],
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in _facts(training))]),
        "## Data",
        "\n".join(
            [
                "| source | pictures | licence | to be credited |",
                "|---|---|---|---|",
                *_credits(training.rows),
            ]
        ),
        DATA[training.filter.task],
        "## Figures",
        (
            f"At the threshold {training.filter.threshold}. Recall is the share of the *yes* that are "
            "answered yes, specificity that of the *no* that are answered no."
        ),
        "\n".join(
            [
                "| pictures | judged by | yes | no | recall | specificity | AUC |",
                "|---|---|---|---|---|---|---|",
                *map(_judgement_row, training.judgements),
            ]
        ),
        "## Where it will fail",
        LIMITS[training.filter.task],
    )
    return "\n\n".join(sections) + "\n"


def _facts(training: Training) -> Iterator[tuple[str, str]]:
    options, loop = training.filter, training.training
    model = EfficientNet(SPECS[options.spec], 1)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    yield "network", f"`{options.spec}` of `baselines/models/efficientnet.py`, {n_parameters:,} parameters"
    yield "file", f"{training.size / 1e6:.1f} MB, ONNX, float32"
    yield "input", f"{options.side}x{options.side} RGB, {FITS[options.fit]}"
    yield (
        "training",
        (
            f"{training.pictures:,} pictures, {loop.epochs} epochs of {options.pictures:,}, {loop.batch} a "
            f"step, from random weights, seed {training.seed}, one CPU thread"
        ),
    )
    yield "threshold", f"{options.threshold}, not tuned"
    yield "onnxruntime against torch", f"logits differ by at most {training.difference:.1e}"
    yield "made by", "`python tools/train_default_filters.py IMAGES`"


def _credits(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a row of Markdown for each source and licence."""
    places = [(row["source"], row["licence"]) for row in rows]
    for place, n in Counter(places).items():
        named = dict.fromkeys(row["credit"] for row, here in zip(rows, places, strict=True) if here == place)
        yield f"| {place[0]} | {n:,} | {place[1]} | {'; '.join(named)} |"


def _judgement_row(judgement: Judgement) -> str:
    quality = judgement.quality
    rates = (quality.recall, quality.specificity, quality.auc)
    cells = ("" if rate is None else f"{rate:.3f}" for rate in rates)
    first = f"| {judgement.pictures} | {judgement.judge} | {quality.yes:,} | {quality.no:,} | "
    return first + " | ".join(cells) + " |"


HEADS = {
    "radiology": """# The radiology filter that comes with the builder

Answers: is this picture a radiology image? It is there so that a build runs from the first command. Replace
it with one trained on figures of your articles: `model = "radiology.onnx"` in the table `[radiology]`.

**Licence of the weights: CC BY-SA 4.0**, unlike the code, because most of the pictures they were trained on
are under that licence.""",
    "compound": """# The compound filter that comes with the builder

Answers: does this figure show several pictures? It is used where `method` of the table `[compound]` is
`model` or `both`; by itself the builder goes by its hints, which need no model.

**Licence of the weights: Apache-2.0**, as of the code. Pictures under share-alike licences were left out.""",
}

DATA = {
    "radiology": """Drawn beside them, as *no*: 400 charts, schemes and pages of text. bccd (blood smears) and
jose (figures of articles on software) are *no*, the others *yes*. Training draws every source equally often,
mednist by each of its six kinds. A quarter of the groups (patients, articles) was kept aside to judge by; the
best epoch was chosen by a further part of them.

The collection of articles holds 92 more pictures that come from the hospital of the first source, some of
them the same files; they were left out. MedNIST has 64x64 pixels; the input is as small, so that sharpness
does not give the source away, and squashed, because the one source that is always square would be known by
the bars that the others have.""",
    "compound": """Compound figures are made of these pictures by `tools/compounds.py`: two to nine
pictures in grids and uneven layouts, with white and black gutters or none, with letters or without. The *no*
are single pictures with frames, letters, lines of text and marks, and drawn charts. Some pictures are cut to
ellipses on a dark ground first, as slices of CT and MR look. A quarter of the groups (patients, articles) was
kept aside, and figures to judge by are made of those; the best epoch was chosen by figures of a further part
of them.""",
}

LIMITS = {
    "radiology": """It knows what it has seen: half of the X-rays of a collection that it never saw are
answered no, and without MedNIST, the only CT and MR there are, one in six of those is answered yes.
Ultrasound, PET and mammography it has never seen at all. Nor has it seen photographs, endoscopy, or
histology other than blood smears: one in four pictures of scikit-image passes for radiology. So look through
what it dropped, `rocov2-build drops build.toml --stage radiology --format csv`, set another `threshold`, or
train one of your own from a folder of classes. The figures of
sources never seen and of other packages helped to choose how pictures come to a square: they are no longer
untouched.""",
    "compound": """Made figures are easier than real ones. Of 24 real figures of one journal it answers 15 as
our eye does, the hint of layout 11: too few to tell the two apart, and far from what it does on made figures.
Charts with several panels, screenshots and flow charts are rare in its training. Of CT and MR it has seen
imitations alone: one in five single slices of MedNIST is taken for compound. The builder goes by its hints
unless `method` says otherwise. The row of MedNIST and the real figures
were looked at while it was made: they are no longer untouched.""",
}
