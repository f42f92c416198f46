"""What the answers of an audit say about the automatic concepts, and about the raters.

Definitions, of the whole dataset that was drawn from and of each semantic type:

precision            automatic concepts that the image shows, among automatic concepts
false positive rate  automatic concepts that it does not show, among automatic concepts: 1 - precision
false negative rate  concepts that the image shows and the dataset lacks, among all that it shows
false alarms         decoys that a rater takes for shown, among the decoys that the rater judged

Several answers to one question count once, by majority; what is tied or cannot be told is not judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from dataset_builder.audit.intervals import (
    Estimate,
    Judged,
    proportion,
    rate_of_missed,
    simple_proportion,
    undefined,
)
from dataset_builder.audit.questions import CONCEPT, NO, PARTS, YES, facets_of, missed_facet
from dataset_builder.audit.sampling import Item, Kind, Stratum
from dataset_builder.curation.annotations import Annotation
from dataset_builder.curation.facets import UNSURE
from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import shorten

ALL_TYPES = "all"
MOST_FALSE_ALARMS = 0.2  # a rater who takes more decoys for shown is flagged; our own limit

Question = tuple[str, str]  # item, facet
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
    """

    type: str
    automatic: int
    drawn: int
    precision: Estimate
    false_positives: Estimate
    false_negatives: Estimate
    images_missing: Estimate


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
        superseded: Answers that a later one of the same rater replaced.
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
    superseded: int
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
    answers, superseded = _answers(annotations)
    raters = _raters(key, answers, limit)
    left_out = tuple(rater.rater for rater in raters if rater.is_flagged) if without_flagged else ()
    counted = _without(answers, left_out)
    if not counted:
        raise RejectedInput("no answer is left" if left_out else "no answer was handed in")
    settled = {question: majority(values.values()) for question, values in counted.items()}
    items = list(key.values())
    tuis = _by_size(items)
    return AuditReport(
        overall=_type_score(ALL_TYPES, tuis, items, settled),
        types=tuple(_type_score(tui, [tui], items, settled) for tui in tuis),
        raters=raters,
        agreement={part: _agreement(counted, key, kinds) for part, kinds in PARTS.items()},
        questions=len(_questions(items)),
        open=_open_questions(items, counted, settled),
        uncovered=_uncovered(items, settled),
        superseded=superseded,
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


def _answers(annotations: Sequence[Annotation]) -> tuple[dict[Question, dict[str, str]], int]:
    """Return the latest answer of each rater to each question, and how many earlier ones there were.

    Of answers of the same time, or without one, the one that stands last counts.
    """
    answers: dict[Question, dict[str, str]] = {}
    for annotation in sorted(annotations, key=lambda each: each.time):
        question = annotation.image, annotation.facet
        answers.setdefault(question, {})[annotation.rater] = annotation.cui
    return answers, len(annotations) - sum(map(len, answers.values()))


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


def _by_size(items: Iterable[Item]) -> list[str]:
    """Return the types that were drawn from, the one with most automatic concepts first."""
    sizes: Counter[str] = Counter()
    for stratum, population in _populations(items).items():
        sizes[stratum.type] += population
    return sorted(sizes, key=lambda tui: (-sizes[tui], tui))


def _populations(items: Iterable[Item]) -> dict[Stratum, int]:
    """Return the automatic concepts of each stratum."""
    return {item.stratum: item.population for item in items if item.kind in ("automatic", "unseen")}


def _type_score(
    name: str, tuis: Sequence[str], items: Sequence[Item], settled: Mapping[Question, str | None]
) -> TypeScore:
    drawn = [item for item in items if item.kind == "automatic" and item.types[0] in tuis]
    asked = [tui for tui in tuis if any(item.kind == "missed" and tui in item.types for item in items)]
    right = _right(items, tuis, settled)
    precision = proportion(right, "none was drawn" if not drawn else "none was judged")
    return TypeScore(
        type=name,
        automatic=sum(size for stratum, size in _populations(items).items() if stratum.type in tuis),
        drawn=len(drawn),
        precision=precision,
        false_positives=_complement(precision),
        false_negatives=_false_negatives(items, asked, settled),
        images_missing=_images_missing(items, asked, settled),
    )


def _right(
    items: Sequence[Item], tuis: Sequence[str], settled: Mapping[Question, str | None]
) -> list[Judged]:
    """Return whether the automatic concepts of each stratum are right, where that was judged."""
    verdicts = {
        item: settled.get((item.item, CONCEPT.name))
        for item in items
        if item.kind == "automatic" and item.types[0] in tuis
    }
    return _by_stratum({item: float(it == YES) for item, it in verdicts.items() if it is not None})


def _false_negatives(
    items: Sequence[Item], asked: Sequence[str], settled: Mapping[Question, str | None]
) -> Estimate:
    if not asked:
        return undefined("nobody was asked for missed ones")
    numbers = _missed(items, asked, settled)
    known = [[each[place] for each in numbers.values()] for place in range(len(asked))]
    means = [_mean_of([number for number in column if number is not None]) for column in known]
    # What is not known of an image is taken to be as on average, so that the others of its answers count.
    counts = {
        item: sum(mean if number is None else number for number, mean in zip(each, means, strict=True))
        for item, each in numbers.items()
        if any(number is not None for number in each)
    }
    return rate_of_missed(
        _by_stratum(counts),
        _right(items, asked, settled),
        why_not_missed="no image was judged for missed ones",
        why_not_right="no automatic concept was judged",
    )


def _images_missing(
    items: Sequence[Item], asked: Sequence[str], settled: Mapping[Question, str | None]
) -> Estimate:
    if not asked:
        return undefined("nobody was asked for missed ones")
    missing = {
        item: float(any(each)) for item, each in _missed(items, asked, settled).items() if None not in each
    }
    return proportion(_by_stratum(missing), "no image was judged for missed ones")


def _missed(
    items: Sequence[Item], asked: Sequence[str], settled: Mapping[Question, str | None]
) -> dict[Item, list[int | None]]:
    """Return how many concepts of each type an image lacks, None where that is not judged."""
    names = [missed_facet(tui).name for tui in asked]
    verdicts = {
        item: [settled.get((item.item, name)) for name in names] for item in items if item.kind == "missed"
    }
    return {
        item: [None if verdict is None else int(verdict) for verdict in each]
        for item, each in verdicts.items()
    }


def _by_stratum(values: Mapping[Item, float]) -> list[Judged]:
    grouped: dict[Stratum, list[float]] = defaultdict(list)
    populations = {}
    for item, value in values.items():
        grouped[item.stratum].append(value)
        populations[item.stratum] = item.population
    return [Judged(values=tuple(found), population=populations[it]) for it, found in grouped.items()]


def _mean_of(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


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
    items: Iterable[Item], answers: Answers, settled: Mapping[Question, str | None]
) -> dict[str, int]:
    reasons: Counter[str] = Counter()
    for question in _questions(items):
        if question not in answers:
            reasons["not answered"] += 1
        elif settled[question] is None:
            is_unsure = set(answers[question].values()) == {UNSURE}
            reasons["cannot be told" if is_unsure else "raters are divided"] += 1
    return dict(sorted(reasons.items()))


def _uncovered(items: Sequence[Item], settled: Mapping[Question, str | None]) -> dict[str, int]:
    judged = {
        item.stratum
        for item in items
        if item.kind == "automatic" and settled.get((item.item, CONCEPT.name)) is not None
    }
    uncovered: Counter[str] = Counter()
    for stratum, population in _populations(items).items():
        if stratum not in judged:
            uncovered[stratum.type] += population
    return dict(sorted(uncovered.items()))
