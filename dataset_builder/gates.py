"""Quality gates: what is odd about a dataset before it is written; beyond a limit a build warns or fails.

A rate over few things says little, so that a small dataset is not measured rather than alarming; and what was
not measured has not passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dataset_builder.facets import FACETS as ASKED
from dataset_builder.kappa_table import read_kappas
from dataset_builder.records import OTHER_LANGUAGE, PANELS, SPLITS, Figure, StageCount
from rocov2_eval.breakdown import FACETS, order_of
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.words import counted, shorten

Share = Annotated[float, Meta(ge=0, le=1)]

# Share of what a stage takes that it usually drops: our own ranges, around what is known. ROCOv2 dropped
# 56.6 % of its single figures as no radiology images, 20.9 % by licence, 5.2 % as duplicates and 4.1 % by
# caption. Of the radiology figures of ROCO 42 % have another licence. A list of radiology articles has few
# other figures, so that little may be dropped; but a filter that drops nearly all is broken or meets figures
# that it does not know, and somebody should look. ROCOv2 dropped 99.3 % as compound; that is not usual.
USUAL_DROP_RATES: Mapping[str, tuple[float, float]] = {
    "licence": (0.05, 0.7),
    "captions": (0.0, 0.15),
    "images": (0.0, 0.05),
    "compound": (0.02, 0.9),
    "radiology": (0.02, 0.95),
    "duplicates": (0.0, 0.15),
}
WARNED = "files with a warning"
FEWEST = 50  # shares of fewer things are not measured
_NEARLY_NOTHING = 0.001
_MORE_LIKELY_OTHER = 0.5  # a caption with less is more likely in another language than in English
NOT_ANNOTATED = "not annotated"  # nobody was asked for the modality
_MODALITY_OF = FACETS["modality"][1]


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One limit for each gate, and what becomes of a dataset beyond any of them; the numbers are our own.

    Attributes:
        on_failure: What a gate beyond its limit does: `warn`, or `fail`, which writes no dataset.
        non_english: Most of the kept captions that may be more likely in another language than in English.
            Of 6,834 real captions of ROCO the captions stage keeps 3 % such.
        non_english_dropped: Most of the captions that the captions stage may have dropped as not English.
        modality_skew: Most that the share of a modality in a split may differ from its share in all splits.
        single_concept: Most of the images that may have one concept alone; 7.4 % in the valid split of 2023.
        kappa_floor: Least kappa of each facet in the table of agreement.
        agreement: Table of agreement between annotators: CSV with `facet,kappa`, or the JSON of `agreement`.
        smallest_split: Least number of images of each split.
        splits: Splits that must be there, whether or not any image is in them.
        warned: Most of the images whose file itself says that a person should look at it, such as DICOM that
            declares text burnt into the picture.
        drop_rates: Lowest and highest usual share of what a stage drops, in the place of our own.
    """

    on_failure: Literal["warn", "fail"] = "warn"
    non_english: Share = 0.05
    non_english_dropped: Share = 0.1
    modality_skew: Share = 0.02
    single_concept: Share = 0.15
    kappa_floor: Annotated[float, Meta(ge=-1, le=1)] = 0.6
    agreement: Path | None = None
    smallest_split: Annotated[int, Meta(ge=0)] = 100
    splits: tuple[str, ...] = SPLITS
    warned: Annotated[int, Meta(ge=0)] = 0
    drop_rates: Mapping[str, tuple[Share, Share]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for stage, (low, high) in self.drop_rates.items():
            if low > high:
                raise UsageFault(
                    f"drop_rates: {shorten(stage)} = [{low}, {high}], expected [lowest, highest]"
                )
        if not all(self.splits) or len(set(self.splits)) < len(self.splits):
            raise UsageFault(f"splits: expected names, each once, found {', '.join(map(repr, self.splits))}")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What one gate came to.

    Attributes:
        name: Name of the gate, unique in a dataset.
        limit: The most or least allowed, as the message says, or both ends of a range.
        message: What was found and what was expected, for people.
        value: What was measured; None where it was not, and `message` says why.
        outcome: Whether the value keeps to the limit, or what follows of it; `not measured` is no pass.
        unit: Unit of value and limit.
        tells_figures: Whether the figures of all splits had a say: a public page keeps such a gate back,
            because the held-out figures are among them.
    """

    name: str
    limit: float | tuple[float, float]
    message: str
    value: float | None = None
    outcome: Literal["pass", "warn", "fail", "not measured"] = "not measured"
    unit: Literal["share", "images", "kappa"] = "share"
    tells_figures: bool = False


def judge(figures: Sequence[Figure], counts: Sequence[StageCount], options: GateOptions) -> tuple[Gate, ...]:
    """Return what each gate comes to, in a fixed order.

    Args:
        figures: All figures that go into the dataset, with their split.
        counts: What the stages took, kept and dropped.
        options: The limits, and what becomes of a dataset beyond them.

    Raises:
        RejectedInput: The table of agreement cannot be read.
    """
    gates = (
        *_non_english(figures, counts, options),
        _modality_skew(figures, options.modality_skew),
        _single_concept(figures, options.single_concept),
        _smallest_split(figures, options),
        *_warned(figures, options.warned),
        *_kappa(options),
        *_drop_rates(counts, options),
    )
    return tuple(
        replace(gate, outcome=options.on_failure) if gate.outcome == "warn" else gate for gate in gates
    )


def modality_of(figure: Figure) -> str:
    """Return the modality of a figure by its manual concepts, in the words of the scorer's breakdowns.

    Where nobody said it, it is NOT_ANNOTATED: that there is no concept tells nothing then.
    """
    if not (figure.concepts.manual or figure.concepts.is_annotated):
        return NOT_ANNOTATED
    return _MODALITY_OF(";".join(figure.concepts.manual))


def in_usual_order(modalities: Sequence[str]) -> list[str]:
    """Return each modality that occurs once, in the order of the scorer's breakdowns."""
    return [*order_of("modality", modalities), *([NOT_ANNOTATED] if NOT_ANNOTATED in modalities else [])]


def share_text(share: float) -> str:
    """Return a share in per cent with one digit; not even nearly nothing is rounded to nothing."""
    if 0 < share < _NEARLY_NOTHING:
        return f"< {100 * _NEARLY_NOTHING:g} %"
    if 1 - _NEARLY_NOTHING < share < 1:
        return f"> {100 * (1 - _NEARLY_NOTHING):g} %"
    return f"{100 * share:.1f} %" if 0 < share < 1 else f"{100 * share:g} %"


def _non_english(
    figures: Sequence[Figure], counts: Sequence[StageCount], options: GateOptions
) -> Iterator[Gate]:
    judged = [figure.text.english for figure in figures if figure.text.english is not None]
    yield _share_gate(
        "non-English captions kept",
        sum(value < _MORE_LIKELY_OTHER for value in judged),
        len(judged),
        what="kept captions",
        limit=options.non_english,
        tells_figures=True,
    )
    stages = [count for count in counts if count.stage == "captions"]
    yield _share_gate(
        "non-English captions dropped",
        sum(dict(count.dropped).get(OTHER_LANGUAGE, 0) for count in stages),
        sum(count.taken for count in stages),
        what="captions",
        limit=options.non_english_dropped,
    )


def _modality_skew(figures: Sequence[Figure], limit: float) -> Gate:
    """Return how much the share of a modality differs most, over the splits that are not too small."""
    gate = Gate(
        name="modality skew", limit=limit, message="no image has a manual concept", tells_figures=True
    )
    if not any(figure.concepts.manual for figure in figures):
        return gate
    figures = [figure for figure in figures if modality_of(figure) != NOT_ANNOTATED]
    total = Counter(map(modality_of, figures))
    by_split = {split: Counter[str]() for split in sorted({figure.assignment.split for figure in figures})}
    for figure in figures:
        by_split[figure.assignment.split][modality_of(figure)] += 1
    large = {split: counts for split, counts in by_split.items() if counts.total() >= FEWEST}
    if len(large) < 2:  # noqa: PLR2004  there is nothing to compare
        return replace(gate, message=f"fewer than two splits have {FEWEST:,} images")
    deviations = {
        (modality, split): counts[modality] / counts.total() - total[modality] / len(figures)
        for split, counts in large.items()
        for modality in in_usual_order(list(total))
    }
    modality, split = max(deviations, key=lambda place: abs(deviations[place]))
    message = (
        f"{modality} makes up {share_text(large[split][modality] / large[split].total())} of {split} and "
        f"{share_text(total[modality] / len(figures))} of all images; "
        f"expected a difference of at most {100 * limit:g} percentage points"
    )
    value = abs(deviations[modality, split])
    return replace(gate, value=value, outcome="pass" if value <= limit else "warn", message=message)


def _single_concept(figures: Sequence[Figure], limit: float) -> Gate:
    holders = [figure for figure in figures if figure.concepts.cuis]
    return _share_gate(
        "single-concept images",
        sum(len(figure.concepts.cuis) == 1 for figure in holders),
        len(holders),
        what="images with concepts",
        limit=limit,
        tells_figures=True,
    )


def _smallest_split(figures: Sequence[Figure], options: GateOptions) -> Gate:
    least = options.smallest_split
    sizes = {**dict.fromkeys(options.splits, 0), **Counter(figure.assignment.split for figure in figures)}
    gate = Gate(name="smallest split", limit=least, unit="images", message="no split exists")
    if not sizes:
        return gate
    smallest = min(sizes, key=lambda split: (sizes[split], split))
    return replace(
        gate,
        value=sizes[smallest],
        outcome="pass" if sizes[smallest] >= least else "warn",
        message=f"{smallest or 'no split'} has {counted(sizes[smallest], 'image')}; "
        f"expected at least {least:,}",
    )


def _warned(figures: Sequence[Figure], most: int) -> Iterator[Gate]:
    """Yield the gate of files that ask for a look, where there are any; their keys may name patients."""
    warned = [figure for figure in figures if figure.warnings]
    if warned:
        kinds = Counter(warning for figure in warned for warning in figure.warnings)
        listed = ", ".join(f"{kind} ({number:,})" for kind, number in kinds.most_common())
        yield Gate(
            name=WARNED,
            limit=most,
            unit="images",
            value=len(warned),
            outcome="pass" if len(warned) <= most else "warn",
            message=f"{counted(len(warned), 'image')} to check before publication: {listed}; "
            f"expected at most {most:,}",
            tells_figures=True,
        )


def _kappa(options: GateOptions) -> Iterator[Gate]:
    floor = options.kappa_floor
    if options.agreement is None:
        message = "no report of agreement; name one with agreement"
        yield Gate(name="kappa", limit=floor, unit="kappa", message=message)
        return
    kappas = read_kappas(options.agreement)
    if not kappas.keys() & ASKED.keys():
        raise RejectedInput(
            f"{options.agreement}: no known facet, found {', '.join(map(shorten, kappas))}; "
            f"expected some of {', '.join(ASKED)}"
        )
    for facet, kappa in kappas.items():
        message = "undefined, for example because annotators use a single value"
        gate = Gate(name=f"kappa: {facet}", limit=floor, unit="kappa", message=message)
        if kappa is None:
            yield gate
            continue
        yield replace(
            gate,
            value=kappa,
            outcome="pass" if kappa >= floor else "warn",
            message=f"annotators agree on {facet} with kappa {kappa:.3f}; expected at least {floor:g}",
        )


def _drop_rates(counts: Sequence[StageCount], options: GateOptions) -> Iterator[Gate]:
    for stage, limit in {**USUAL_DROP_RATES, **options.drop_rates}.items():
        # Panels came of figures that were kept: what is dropped of them, later stages count.
        of_stage = [count for count in counts if count.stage == stage and count.unit != PANELS]
        if not of_stage:
            yield Gate(name=f"drop rate: {stage}", limit=limit, message="the build has no such stage")
        for count in of_stage:
            name = f"drop rate: {stage}" + (f", {count.unit}" if len(of_stage) > 1 else "")
            # Whoever brings images of their own may have chosen them so that nothing is to be dropped.
            is_chosen = count.unit == "images" and stage not in options.drop_rates
            usual = (0.0, limit[1]) if is_chosen else limit
            yield _share_gate(name, count.taken - count.kept, count.taken, what=count.unit, limit=usual)


def _share_gate(
    name: str,
    number: int,
    of: int,
    *,
    what: str,
    limit: float | tuple[float, float],
    tells_figures: bool = False,
) -> Gate:
    """Return the gate of a share: it must not be larger than its limit, or lie between two."""
    gate = Gate(
        name=name,
        limit=limit,
        message=f"a share of {of:,}; a measurement needs {FEWEST:,}",
        tells_figures=tells_figures,
    )
    if of < FEWEST:
        return gate
    share = number / of
    if isinstance(limit, tuple):
        (low, high), expected = limit, f"{100 * limit[0]:g} % to {100 * limit[1]:g} % is usual"
    else:
        low, high, expected = 0.0, limit, f"expected at most {100 * limit:g} %"
    return replace(
        gate,
        value=share,
        outcome="pass" if low <= share <= high else "warn",
        message=f"{number:,} of {of:,} {what} ({share_text(share)}); {expected}",
    )
