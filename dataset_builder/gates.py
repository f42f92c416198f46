"""Quality gates: what is odd about a dataset before it is written; each warns or fails by configuration.

A rate over few things says little, so that a small dataset is not measured rather than alarming; and what was
not measured has not passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

from dataset_builder.kappa_table import read_kappas
from dataset_builder.records import OTHER_LANGUAGE, Figure, StageCount
from rocov2_eval.breakdown import FACETS, order_of
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

Action = Literal["warn", "fail", "off"]
Outcome = Literal["pass", "warn", "fail", "not measured"]
Unit = Literal["share", "images", "splits", "kappa"]

# Share of what a stage takes that it usually drops: our own ranges, wide around what is known. ROCOv2 dropped
# 99.3 % of its new figures as compound, then 56.6 % as no radiology images, 20.9 % by licence, 5.2 % as
# duplicates and 4.1 % by caption. Of the radiology figures of ROCO 42 % have another licence.
USUAL_DROP_RATES: Mapping[str, tuple[float, ...]] = {
    "licence": (0.05, 0.7),
    "captions": (0.0, 0.15),
    "images": (0.0, 0.05),
    "compound": (0.2, 0.995),
    "radiology": (0.3, 0.99),
    "duplicates": (0.0, 0.15),
}
_NEARLY_NOTHING = 0.001
_MORE_LIKELY_OTHER = 0.5  # a caption with less is more likely in another language than in English
_MODALITY_OF = FACETS["modality"][1]


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """Limits, and what becomes of a dataset beyond them; the numbers are our own.

    Each action is `warn`, `fail` (no dataset is written) or `off`.

    Attributes:
        non_english: Most of the kept captions that may be more likely in another language than in English.
            Of 6,834 real captions of ROCO the caption stage keeps 3 % such.
        non_english_dropped: Most of the captions that the caption stage may have dropped as not English.
        non_english_action: For both.
        modality_skew: Most that the share of a modality in a split may differ from its share in all splits.
        modality_skew_action: For it.
        agreement: Table of agreement between annotators, `facet,kappa` as CSV or an object of JSON.
        kappa_floor: Least kappa of each facet.
        kappa_floor_action: For it.
        drop_rates: Lowest and highest usual share of what a stage drops, in the place of our own.
        drop_rates_action: For them.
        splits: Those that must not be empty.
        empty_splits_action: For them.
        single_concept: Most of the images that may have one concept alone; 7.4 % in the valid split of 2023.
        single_concept_action: For it.
        smallest_split: Least number of images of a split that is not empty.
        smallest_split_action: For it.
        fewest: Shares of fewer things are not measured.
    """

    non_english: float = 0.05
    non_english_dropped: float = 0.1
    non_english_action: Action = "warn"
    modality_skew: float = 0.02
    modality_skew_action: Action = "warn"
    agreement: Path | None = None
    kappa_floor: float = 0.6
    kappa_floor_action: Action = "warn"
    drop_rates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    drop_rates_action: Action = "warn"
    splits: tuple[str, ...] = ("train", "valid", "test")
    empty_splits_action: Action = "warn"
    single_concept: float = 0.15
    single_concept_action: Action = "warn"
    smallest_split: int = 100
    smallest_split_action: Action = "warn"
    fewest: int = 50

    def __post_init__(self) -> None:
        for name in ("non_english", "non_english_dropped", "modality_skew", "single_concept"):
            _require_between(name, getattr(self, name), 0, 1)
        _require_between("kappa_floor", self.kappa_floor, -1, 1)
        for name in ("smallest_split", "fewest"):
            if getattr(self, name) < 1:
                raise UsageFault(f"{name}: {getattr(self, name)}, expected 1 or more")
        for stage, ends in self.drop_rates.items():
            if not _is_range(ends):
                listed = ", ".join(map(str, ends))
                raise UsageFault(f"drop_rates: {shorten(stage)} = [{listed}], expected [lowest, highest]")
        if not all(self.splits) or len(set(self.splits)) < len(self.splits):
            raise UsageFault(f"splits: expected names, each once, found {', '.join(map(repr, self.splits))}")
        _require_actions(self)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What one gate came to.

    Attributes:
        name: Unique among the gates of a dataset.
        value: What was measured; None where it was not, and `message` says why.
        limit: The most or least allowed, as the message says, or both ends of a range.
        outcome: `not measured` is not a pass.
        message: What was found and what was expected, for people.
        unit: Of value and limit.
        tells_figures: Whether the figures of all splits had a say: a public page keeps such a gate back,
            because the held-out figures are among them.
    """

    name: str
    value: float | None
    limit: float | tuple[float, float]
    outcome: Outcome
    message: str
    unit: Unit = "share"
    tells_figures: bool = True


def judge(figures: Sequence[Figure], counts: Sequence[StageCount], options: GateOptions) -> tuple[Gate, ...]:
    """Return what each gate comes to, in a fixed order; those that are off are left out.

    Args:
        figures: All that go into the dataset, with their split.
        counts: What the stages took, kept and dropped.
        options: Limits and actions.

    Raises:
        RejectedInput: The table of agreement cannot be read.
    """
    return (
        *_non_english(figures, counts, options),
        *_modality_skew(figures, options),
        *_single_concept(figures, options),
        *_splits(figures, options),
        *_kappa(options),
        *_drop_rates(counts, options),
    )


def modality_of(figure: Figure) -> str:
    """Return the modality of a figure by its manual concepts, in the words of the scorer's breakdowns."""
    return _MODALITY_OF(";".join(figure.concepts.manual))


def in_usual_order(modalities: Sequence[str]) -> list[str]:
    """Return each modality that occurs once, in the order of the scorer's breakdowns."""
    return order_of("modality", modalities)


def share_text(share: float) -> str:
    """Return a share in per cent with one digit; not even nearly nothing is rounded to nothing."""
    if 0 < share < _NEARLY_NOTHING:
        return f"< {100 * _NEARLY_NOTHING:g} %"
    if 1 - _NEARLY_NOTHING < share < 1:
        return f"> {100 * (1 - _NEARLY_NOTHING):g} %"
    return f"{100 * share:.1f} %" if 0 < share < 1 else f"{100 * share:g} %"


def _require_between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageFault(f"{name}: {value:g}, expected a number from {low:g} to {high:g}")


def _require_actions(options: GateOptions) -> None:
    for item in fields(options):
        if item.name.endswith("_action") and getattr(options, item.name) not in get_args(Action):
            found = shorten(str(getattr(options, item.name)))
            raise UsageFault(f"{item.name}: {found!r}, expected 'warn', 'fail' or 'off'")


def _is_range(ends: Sequence[float]) -> bool:
    return len(ends) == 2 and 0 <= ends[0] <= ends[1] <= 1  # noqa: PLR2004  both ends


def _non_english(
    figures: Sequence[Figure], counts: Sequence[StageCount], options: GateOptions
) -> Iterator[Gate]:
    judged = [figure.text.english for figure in figures if figure.text.english is not None]
    yield from _share_gate(
        "non-English captions kept",
        sum(value < _MORE_LIKELY_OTHER for value in judged),
        len(judged),
        what="kept captions are more likely in another language than in English",
        limit=options.non_english,
        action=options.non_english_action,
        fewest=options.fewest,
    )
    stages = [count for count in counts if count.stage == "captions"]
    yield from _share_gate(
        "non-English captions dropped",
        sum(dict(count.dropped).get(OTHER_LANGUAGE, 0) for count in stages),
        sum(count.taken for count in stages),
        what="captions were dropped as not English",
        limit=options.non_english_dropped,
        action=options.non_english_action,
        fewest=options.fewest,
        tells_figures=False,
    )


def _modality_skew(figures: Sequence[Figure], options: GateOptions) -> Iterator[Gate]:
    """Yield how much the share of a modality differs most, over the splits that are not too small."""
    name, limit, action = "modality skew", options.modality_skew, options.modality_skew_action
    if action == "off":
        return
    if not any(figure.concepts.manual for figure in figures):
        yield _not_measured(name, limit, "no image has a manual concept")
        return
    total = Counter(map(modality_of, figures))
    held = {split: Counter[str]() for split in sorted({figure.assignment.split for figure in figures})}
    for figure in figures:
        held[figure.assignment.split][modality_of(figure)] += 1
    large = {split: counts for split, counts in held.items() if counts.total() >= options.fewest}
    if len(large) < 2:  # noqa: PLR2004  there is nothing to compare
        message = f"fewer than two splits have {options.fewest:,} images"
        yield _not_measured(name, limit, message)
        return
    deviations = {
        (modality, split): counts[modality] / counts.total() - total[modality] / len(figures)
        for split, counts in large.items()
        for modality in in_usual_order(list(total))
    }
    modality, split = max(deviations, key=lambda place: abs(deviations[place]))
    value = abs(deviations[modality, split])
    message = (
        f"{modality} makes up {share_text(large[split][modality] / large[split].total())} of {split} and "
        f"{share_text(total[modality] / len(figures))} of all images; "
        f"at most {100 * limit:g} points apart expected"
    )
    yield Gate(
        name=name,
        value=value,
        limit=limit,
        outcome=_outcome(action, is_fine=value <= limit),
        message=message,
    )


def _single_concept(figures: Sequence[Figure], options: GateOptions) -> Iterator[Gate]:
    holders = [figure for figure in figures if figure.concepts.cuis]
    yield from _share_gate(
        "single-concept images",
        sum(len(figure.concepts.cuis) == 1 for figure in holders),
        len(holders),
        what="images with concepts have one alone",
        limit=options.single_concept,
        action=options.single_concept_action,
        fewest=options.fewest,
    )


def _splits(figures: Sequence[Figure], options: GateOptions) -> Iterator[Gate]:
    sizes = Counter(figure.assignment.split for figure in figures)
    empty = [split for split in options.splits if not sizes[split]]
    if options.empty_splits_action != "off":
        found = f"no image in {' and '.join(empty)}" if empty else "no split is empty"
        yield Gate(
            name="empty splits",
            value=len(empty),
            limit=0,
            outcome=_outcome(options.empty_splits_action, is_fine=not empty),
            message=f"{found}; images expected in {', '.join(options.splits) or 'none in particular'}",
            unit="splits",
            tells_figures=False,
        )
    name, least = "smallest split", options.smallest_split
    if options.smallest_split_action == "off":
        return
    if not sizes:
        yield _not_measured(name, least, "there is no image", unit="images", tells_figures=False)
        return
    smallest = min(sizes, key=lambda split: (sizes[split], split))
    yield Gate(
        name=name,
        value=sizes[smallest],
        limit=least,
        outcome=_outcome(options.smallest_split_action, is_fine=sizes[smallest] >= least),
        message=f"{smallest or 'no split'} has {sizes[smallest]:,}; at least {least:,} expected",
        unit="images",
        tells_figures=False,
    )


def _kappa(options: GateOptions) -> Iterator[Gate]:
    floor, action = options.kappa_floor, options.kappa_floor_action
    if action == "off":
        return
    if options.agreement is None:
        message = "no table of agreement is given: name one with agreement"
        yield _not_measured("kappa", floor, message, unit="kappa", tells_figures=False)
        return
    for facet, kappa in read_kappas(options.agreement).items():
        name = f"kappa: {facet}"
        if kappa is None:
            message = "undefined, as where annotators use one value alone"
            yield _not_measured(name, floor, message, unit="kappa", tells_figures=False)
            continue
        yield Gate(
            name=name,
            value=kappa,
            limit=floor,
            outcome=_outcome(action, is_fine=kappa >= floor),
            message=f"annotators agree on {facet} with kappa {kappa:.3f}; at least {floor:g} expected",
            unit="kappa",
            tells_figures=False,
        )


def _drop_rates(counts: Sequence[StageCount], options: GateOptions) -> Iterator[Gate]:
    if options.drop_rates_action == "off":
        return
    for stage, (low, high) in {**USUAL_DROP_RATES, **options.drop_rates}.items():
        name, limit = f"drop rate: {stage}", (low, high)
        found = [count for count in counts if count.stage == stage]
        if not found:
            yield _not_measured(name, limit, "the build has no such stage", tells_figures=False)
        for count in found:
            named = name if len(found) == 1 else f"{name}, {count.unit}"
            if count.taken < options.fewest:
                message = f"{count.taken:,} {count.unit} went in, fewer than {options.fewest:,} tell nothing"
                yield _not_measured(named, limit, message, tells_figures=False)
                continue
            rate = (count.taken - count.kept) / count.taken
            yield Gate(
                name=named,
                value=rate,
                limit=limit,
                outcome=_outcome(options.drop_rates_action, is_fine=low <= rate <= high),
                message=f"{count.taken - count.kept:,} of {count.taken:,} {count.unit} were dropped, "
                f"{share_text(rate)}; {100 * low:g} % to {100 * high:g} % is usual",
                tells_figures=False,
            )


def _share_gate(
    name: str,
    found: int,
    of: int,
    *,
    what: str,
    limit: float,
    action: Action,
    fewest: int,
    tells_figures: bool = True,
) -> Iterator[Gate]:
    """Yield the gate of a share that must not be larger than its limit."""
    if action == "off":
        return
    if of < fewest:
        message = f"a share of {of:,}, fewer than {fewest:,} tell nothing"
        yield _not_measured(name, limit, message, tells_figures=tells_figures)
        return
    share = found / of
    yield Gate(
        name=name,
        value=share,
        limit=limit,
        outcome=_outcome(action, is_fine=share <= limit),
        message=f"{found:,} of {of:,} {what}, {share_text(share)}; at most {100 * limit:g} % expected",
        tells_figures=tells_figures,
    )


def _outcome(action: Action, *, is_fine: bool) -> Outcome:
    if is_fine:
        return "pass"
    assert action != "off", "a gate that is off is not judged"
    return action


def _not_measured(
    name: str,
    limit: float | tuple[float, float],
    message: str,
    *,
    unit: Unit = "share",
    tells_figures: bool = True,
) -> Gate:
    return Gate(
        name=name,
        value=None,
        limit=limit,
        outcome="not measured",
        message=message,
        unit=unit,
        tells_figures=tells_figures,
    )
