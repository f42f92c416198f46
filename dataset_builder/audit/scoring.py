"""What the answers of an audit say about the automatic concepts, and about the raters.

Definitions, of the whole dataset that was drawn from and of each semantic type:

precision            automatic concepts that the image shows, among automatic concepts
false positive rate  automatic concepts that it does not show, among automatic concepts: 1 - precision
false negative rate  concepts that the image shows and the dataset lacks, among all that it shows
false alarms         decoys that a rater takes for shown, among the decoys that the rater judged

Several answers to one question count once, by majority; what is tied or cannot be told is not judged. Of
several answers of one rater the latest counts, and none where no time tells which it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations

from dataset_builder.audit.intervals import Estimate, Judged, proportion, simple_proportion, undefined
from dataset_builder.audit.missed_concepts import (
    Gap,
    Question,
    Settled,
    concept_populations,
    missed_score,
    uncovered_images,
)
from dataset_builder.audit.questions import CONCEPT, NO, PARTS, YES, facets_of
from dataset_builder.audit.sampling import Item, Kind
from dataset_builder.audit.strata import Stratum
from dataset_builder.facets import UNSURE
from dataset_builder.study.annotations import Annotation, Export
from dataset_builder.study.collecting import collect
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten

ALL_TYPES = "all"
MOST_FALSE_ALARMS = 0.2  # a rater who takes more decoys for shown is flagged; our own limit

Answers = Mapping[Question, Mapping[str, str]]  # value by rater


@dataclass(frozen=True, kw_only=True)
class TypeScore:
    """What was found about one semantic type, or about all.

    Attributes:
        type: Such as `T047`; `all` for all that were drawn.
        automatic: Automatic concepts in the dataset.
        drawn: Of them, those that raters saw.
        precision: See above.
        false_positives: See above.
        false_negatives: See above; for `all` of the types that were asked about.
        images_missing: Share of the images that lack at least one concept that they show.
        gaps: What the false negatives do not cover.
    """

    type: str
    automatic: int
    drawn: int
    precision: Estimate
    false_positives: Estimate
    false_negatives: Estimate
    images_missing: Estimate
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, kw_only=True)
class RaterScore:
    """What is known of one rater.

    Attributes:
        rater: As the tool names them.
        answers: Questions answered, the unsure ones among them.
        unsure: Questions answered with `unsure`.
        false_alarms: Share of the decoys judged that were taken for shown.
        is_flagged: They are too many.
    """

    rater: str
    answers: int
    unsure: int
    false_alarms: Estimate
    is_flagged: bool


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The outcome of an audit.

    Attributes:
        overall: Of all types.
        types: By number of automatic concepts, the most first.
        raters: By name.
        agreement: Share of the pairs of answers of two raters to one question that are the same, by part of
            the audit.
        questions: Asked in all.
        open: Questions that are not judged, by reason.
        uncovered: Automatic concepts of strata of which nothing was judged, by type.
        uncovered_images: Images of modalities of which nothing was judged for missed concepts, by modality.
        superseded: Answers that a later one of the same rater replaced, or that stood twice.
        undecided: Questions that one rater answered in different ways, without a time that tells the latest;
            none of these answers counts.
        left_out: Raters whose answers do not count.
        limit: Above which a rater is flagged.
    """

    overall: TypeScore
    types: tuple[TypeScore, ...]
    raters: tuple[RaterScore, ...]
    agreement: Mapping[str, Estimate]
    questions: int
    open: Mapping[str, int]
    uncovered: Mapping[str, int]
    uncovered_images: Mapping[str, int]
    superseded: int
    undecided: int
    left_out: tuple[str, ...]
    limit: float


def score_audit(
    key: Mapping[str, Item],
    annotations: Sequence[Annotation],
    *,
    limit: float = MOST_FALSE_ALARMS,
    without_flagged: bool = False,
) -> AuditReport:
    """Return what answers say.

    Args:
        key: The items, as `read_key` returns them.
        annotations: Of all raters, to questions of the key.
        limit: Most false alarms of a rater who is not flagged.
        without_flagged: Leave out the answers of flagged raters.

    Raises:
        RejectedInput: No answer is left.
    """
    answers, superseded, undecided = _answers(annotations)
    raters = _raters(key, answers, limit)
    left_out = tuple(rater.rater for rater in raters if rater.is_flagged) if without_flagged else ()
    counted = _without(answers, left_out)
    if not counted:
        raise RejectedInput("no answer is left" if left_out or undecided else "no answer was handed in")
    settled = {question: majority(values.values()) for question, values in counted.items()}
    items = list(key.values())
    tuis = _by_size(items)
    return AuditReport(
        overall=_type_score(ALL_TYPES, tuis, items, settled),
        types=tuple(_type_score(tui, [tui], items, settled) for tui in tuis),
        raters=raters,
        agreement={part: _agreement(counted, key, kinds) for part, kinds in PARTS.items()},
        questions=len(_questions(items)),
        open=_open_questions(items, counted, settled, {(item, facet) for item, facet, _ in undecided}),
        uncovered=_uncovered(items, settled),
        uncovered_images=uncovered_images(items, settled),
        superseded=superseded,
        undecided=len(undecided),
        left_out=left_out,
        limit=limit,
    )


def refuse_strangers(key: Mapping[str, Item], annotations: Iterable[Annotation], place: str) -> None:
    """Refuse answers to what a key does not ask; `place` is the file that they come from.

    Raises:
        RejectedInput: There is such an answer.
    """
    asked = set(_questions(key.values()))
    for annotation in annotations:
        if (annotation.image, annotation.facet) not in asked:
            raise RejectedInput(
                f"{place}: {shorten(annotation.rater)} answers {shorten(annotation.facet)} of "
                f"{shorten(annotation.image)}, which the key does not ask: expected answers to its own audit"
            )


def majority(values: Iterable[str]) -> str | None:
    """Return the answer that most raters gave, the unsure ones not counted; None for a tie, or if all are."""
    counts = Counter(value for value in values if value != UNSURE).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def _answers(
    annotations: Sequence[Annotation],
) -> tuple[dict[Question, dict[str, str]], int, set[tuple[str, str, str]]]:
    """Return the answer of each rater to each question, how many were replaced, and what is undecided."""
    collected = collect([Export(annotations=tuple(annotations), left_out={})])
    answers: dict[Question, dict[str, str]] = {}
    for annotation in collected.annotations:
        answers.setdefault((annotation.image, annotation.facet), {})[annotation.rater] = annotation.cui
    undecided = {(it.image, it.facet, it.rater) for it in collected.changes if not it.counts}
    in_vain = sum((it.image, it.facet, it.rater) in undecided for it in annotations)
    return answers, len(annotations) - in_vain - len(collected.annotations), undecided


def _questions(items: Iterable[Item]) -> list[Question]:
    return [(item.item, name) for item in items for name in facets_of([item])]


def _raters(key: Mapping[str, Item], answers: Answers, limit: float) -> tuple[RaterScore, ...]:
    given: dict[str, dict[Question, str]] = defaultdict(dict)
    for question, values in answers.items():
        for rater, value in values.items():
            given[rater][question] = value
    return tuple(_rater(rater, given[rater], key, limit) for rater in sorted(given))


def _rater(rater: str, given: Mapping[Question, str], key: Mapping[str, Item], limit: float) -> RaterScore:
    verdicts = [
        value for (item, _), value in given.items() if key[item].kind == "decoy" and value in (YES, NO)
    ]
    alarms = simple_proportion([verdict == YES for verdict in verdicts], "no decoy was judged")
    return RaterScore(
        rater=rater,
        answers=len(given),
        unsure=sum(value == UNSURE for value in given.values()),
        false_alarms=alarms,
        is_flagged=alarms.value is not None and alarms.value > limit,
    )


def _without(answers: Answers, raters: Sequence[str]) -> dict[Question, dict[str, str]]:
    kept = {
        question: {rater: value for rater, value in values.items() if rater not in raters}
        for question, values in answers.items()
    }
    return {question: values for question, values in kept.items() if values}


def _by_size(items: Sequence[Item]) -> list[str]:
    """Return the types that were drawn from, the one with most automatic concepts first."""
    sizes: Counter[str] = Counter()
    for stratum, population in concept_populations(items).items():
        sizes[stratum.type] += population
    return sorted(sizes, key=lambda tui: (-sizes[tui], tui))


def _type_score(name: str, tuis: Sequence[str], items: Sequence[Item], settled: Settled) -> TypeScore:
    drawn = [item for item in items if item.kind == "automatic" and item.types[0] in tuis]
    right = _right(drawn, settled)
    precision = proportion(list(right.values()), "none was judged" if drawn else "none was drawn")
    missed = missed_score(items, tuis, settled, right)
    return TypeScore(
        type=name,
        automatic=sum(size for stratum, size in concept_populations(items).items() if stratum.type in tuis),
        drawn=len(drawn),
        precision=precision,
        false_positives=_complement(precision),
        false_negatives=missed.false_negatives,
        images_missing=missed.images_missing,
        gaps=missed.gaps,
    )


def _right(drawn: Iterable[Item], settled: Settled) -> dict[Stratum, Judged]:
    """Return whether the automatic concepts of each stratum are right, where that was judged."""
    values: dict[Stratum, list[float]] = defaultdict(list)
    populations = {}
    for item in drawn:
        verdict = settled.get((item.item, CONCEPT.name))
        if verdict is not None:
            values[item.stratum].append(float(verdict == YES))
            populations[item.stratum] = item.population
    return {it: Judged(values=tuple(found), population=populations[it]) for it, found in values.items()}


def _complement(estimate: Estimate) -> Estimate:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(
        value=1 - estimate.value, low=1 - estimate.high, high=1 - estimate.low, judged=estimate.judged
    )


def _agreement(answers: Answers, key: Mapping[str, Item], kinds: Sequence[Kind]) -> Estimate:
    """Return the share of pairs of answers that agree; an interval would need raters drawn at random."""
    pairs = [
        first == second
        for (item, _), values in answers.items()
        if key[item].kind in kinds
        for first, second in combinations(values.values(), 2)
    ]
    if not pairs:
        return undefined("no question was answered by two raters")
    return Estimate(value=sum(pairs) / len(pairs), low=None, high=None, judged=len(pairs))


def _open_questions(
    items: Iterable[Item], answers: Answers, settled: Settled, undecided: AbstractSet[Question]
) -> dict[str, int]:
    reasons: Counter[str] = Counter()
    for question in _questions(items):
        if question not in answers:
            reasons[
                "answered in different ways by one rater" if question in undecided else "not answered"
            ] += 1
        elif settled[question] is None:
            is_unsure = set(answers[question].values()) == {UNSURE}
            reasons["cannot be told" if is_unsure else "raters are divided"] += 1
    return dict(sorted(reasons.items()))


def _uncovered(items: Sequence[Item], settled: Settled) -> dict[str, int]:
    judged = {
        item.stratum
        for item in items
        if item.kind == "automatic" and settled.get((item.item, CONCEPT.name)) is not None
    }
    uncovered: Counter[str] = Counter()
    for stratum, population in concept_populations(items).items():
        if stratum not in judged:
            uncovered[stratum.type] += population
    return dict(sorted(uncovered.items()))
