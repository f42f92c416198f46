"""What the answers of a blind audit say: how often automatic concepts are wrong, and how often they lack.

Several answers to one question count once, by majority; what is tied or cannot be told is not judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from dataset_builder.concepts.semantic_types import type_name
from dataset_builder.facets import UNSURE
from dataset_builder.study.agreement import agreement_document, facet_table, measure
from dataset_builder.study.annotations import Annotation
from dataset_builder.study.audit_sample import Key
from dataset_builder.study.audit_tasks import CONCEPT, NO, YES, missed_facet, questions_of
from dataset_builder.study.ratings import latest_answers
from rocov2_eval import __version__
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import Interval
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table, Value
from rocov2_eval.shelf.words import counted, shorten

MOST_FALSE_ALARMS = 0.2  # a rater who takes more decoys for shown is flagged; our own limit
DEFINITIONS: Mapping[str, str] = {
    "false_positive_rate": "automatic concepts that the image does not show, among automatic concepts",
    "false_negative_rate": "concepts that the image shows and the dataset lacks, among all that it shows; of "
    "the types that raters were asked about",
    "false_alarms": "decoys that a rater accepts, among the decoys that the rater judged",
    "interval": "95 %, Wilson. It takes the raters as right and concepts as drawn independently, also those "
    "of one image; for false negatives it takes the share of right automatic concepts as known; for all "
    "types together it rests on Kish's effective number of answers",
}

Question = tuple[str, str]  # item, facet
Answers = Mapping[Question, Mapping[str, str]]  # value by rater
Settled = Mapping[Question, str]  # what most raters answered; without the questions that are not judged
Verdicts = Mapping[str, Sequence[bool]]  # whether each judged automatic concept is wrong, by type


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A proportion with its interval.

    Attributes:
        value: The proportion; None where it is undefined.
        low: Low end of its 95 % interval; None where it is undefined.
        high: High end of its 95 % interval; None where it is undefined.
        judged: Number of judged questions that it rests on.
        why_undefined: Why it is undefined; None where it is not.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    judged: int = 0
    why_undefined: str | None = None


@dataclass(frozen=True, kw_only=True)
class TypeScore:
    """What the answers say about one semantic type, or about all.

    Attributes:
        type: The type, such as `T047`; `all` for all types of which a concept was judged.
        name: Name of the type in UMLS; empty for `all`.
        automatic: Number of automatic concepts of the type in the dataset.
        false_positive_rate: Automatic concepts that the image does not show, among automatic concepts.
        false_negative_rate: Concepts that the image shows and the dataset lacks, among all that it shows.
    """

    type: str
    name: str
    automatic: int
    false_positive_rate: Rate
    false_negative_rate: Rate


@dataclass(frozen=True, kw_only=True)
class RaterScore:
    """What the answers say about one rater.

    Attributes:
        rater: Name of the rater, as the tool writes it.
        answers: Number of questions that the rater answered, also with "cannot tell".
        unsure: Number of questions that the rater answered with "cannot tell".
        false_alarms: Decoys that the rater takes for shown, among the decoys that the rater judged.
        is_flagged: The rater takes too many decoys for shown for the answers to be trusted.
    """

    rater: str
    answers: int
    unsure: int
    false_alarms: Rate
    is_flagged: bool


def score_document(key: Key, annotations: Sequence[Annotation]) -> Document:
    """Return what the answers of an audit say about types and raters, and how far the raters agree.

    Args:
        key: What the audit has drawn, with the place of the decoys.
        annotations: Answers of all raters to questions of the key.

    Raises:
        RejectedInput: No answer counts.
    """
    latest, undecided = latest_answers(annotations)
    answers: dict[Question, dict[str, str]] = defaultdict(dict)
    for each in latest:
        answers[each.image, each.facet][each.rater] = each.cui
    if not answers:
        raise RejectedInput("no answer counts, expected answers of at least one rater")
    majorities = {question: majority(values.values()) for question, values in answers.items()}
    settled = {question: value for question, value in majorities.items() if value is not None}
    questions = questions_of(key)
    is_undecided = {(item, facet) for item, facet, _ in undecided}
    why_open = Counter(_why_open(it, answers, is_undecided) for it in questions if it not in settled)
    types, raters = _type_scores(key, settled), _rater_scores(key, answers)
    agreement = measure(annotations, "answers")
    tables = [_type_table(types), _rater_table(raters)]
    if len(raters) > 1:
        tables.append(facet_table(agreement))
    notes = [Note(text=text) for text in _remarks(types, raters, why_open)]
    return Document(
        title=f"{counted(len(raters), 'rater')}: {len(settled):,} of {counted(len(questions), 'question')} "
        "judged",
        sections=[*(Section(tables=[table]) for table in tables), Section(notes=notes)],
        data={
            "schema_version": 2,
            "tool": {"name": "rocov2-build", "version": __version__},
            "definitions": dict(DEFINITIONS),
            "overall": asdict(types[0]),
            "types": [asdict(each) for each in types[1:]],
            "raters": [asdict(each) for each in raters],
            "most_false_alarms": MOST_FALSE_ALARMS,
            "agreement": agreement_document(agreement).data["facets"],
            "questions": len(questions),
            "open": dict(why_open),
        },
    )


def refuse_strangers(key: Key, annotations: Iterable[Annotation], place: str) -> None:
    """Refuse answers to what a key does not ask; `place` is the file that they come from.

    Raises:
        RejectedInput: There is such an answer.
    """
    asked = set(questions_of(key))
    for annotation in annotations:
        if (annotation.image, annotation.facet) not in asked:
            raise RejectedInput(
                f"{place}: {shorten(annotation.rater)} answers {shorten(annotation.facet)} of "
                f"{shorten(annotation.image)}, which is not in the key: expected answers to its audit"
            )


def majority(values: Iterable[str]) -> str | None:
    """Return the answer that most raters gave, "cannot tell" not counted; None for a tie, or without one."""
    counts = Counter(value for value in values if value != UNSURE).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def rate(number: float, of: float, *, judged: int) -> Rate:
    """Return a proportion with Wilson's interval (1927).

    Args:
        number: How many have the property; a fraction is allowed.
        of: How many there are; a fraction is allowed.
        judged: Number of judged questions that it rests on.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not of:
        return Rate(judged=judged, why_undefined="the images show none" if judged else "none was judged")
    low, high = proportion_confint(number, of, method="wilson")
    return Rate(value=number / of, low=max(float(low), 0.0), high=min(float(high), 1.0), judged=judged)


def _type_scores(key: Key, settled: Settled) -> list[TypeScore]:
    """Return the score of all types together, then of each, the one with most automatic concepts first."""
    wrong: dict[str, list[bool]] = {name: [] for name in key.population}
    for item in key.of_kind("automatic"):
        if (item.item, CONCEPT.name) in settled:
            wrong[item.type].append(settled[item.item, CONCEPT.name] == NO)
    scores = [
        TypeScore(
            type=name,
            name=type_name(name),
            automatic=number,
            false_positive_rate=rate(sum(wrong[name]), len(wrong[name]), judged=len(wrong[name])),
            false_negative_rate=_false_negatives([name], key, settled, wrong),
        )
        for name, number in key.population.items()
    ]
    overall = TypeScore(
        type="all",
        name="",
        automatic=sum(key.population.values()),
        false_positive_rate=_overall(scores),
        false_negative_rate=_false_negatives([name for name in wrong if wrong[name]], key, settled, wrong),
    )
    return [overall, *scores]


def _overall(scores: Iterable[TypeScore]) -> Rate:
    """Return the false positives of all types together, each with the weight that it has in the dataset."""
    weighted = [(each.automatic, each.false_positive_rate) for each in scores]
    judged = [(weight, each) for weight, each in weighted if each.value is not None]
    size = sum(weight for weight, _ in judged)
    share = sum(weight * (each.value or 0.0) for weight, each in judged) / max(size, 1)
    effective = size**2 / sum(weight**2 / each.judged for weight, each in judged) if judged else 0.0
    return rate(share * effective, effective, judged=sum(each.judged for _, each in judged))


def _false_negatives(names: Iterable[str], key: Key, settled: Settled, wrong: Verdicts) -> Rate:
    """Return missed concepts among missed and right ones, in the images that raters searched.

    Raters count the missed ones there. Which of the listed ones are right is not asked there; their share is
    that of the automatic concepts that were judged elsewhere.
    """
    asked = [name for name in names if name in key.asked]
    if not asked:
        return Rate(why_undefined="raters did not search for missed ones")
    if not all(wrong[name] for name in asked):
        return Rate(why_undefined="no automatic concept of it was judged")
    missed = right = 0.0
    judged = 0
    for name in asked:
        share = 1 - sum(wrong[name]) / len(wrong[name])
        for item in key.of_kind("missed"):
            answer = settled.get((item.item, missed_facet(name).name))
            if answer is not None:
                judged += 1
                missed += int(answer)
                right += share * item.automatic.get(name, 0)
    return rate(missed, missed + right, judged=judged)


def _rater_scores(key: Key, answers: Answers) -> list[RaterScore]:
    given: dict[str, dict[Question, str]] = defaultdict(dict)
    for question, values in answers.items():
        for rater, value in values.items():
            given[rater][question] = value
    decoys = {item.item for item in key.of_kind("decoy")}
    return [_rater(rater, given[rater], decoys) for rater in sorted(given)]


def _rater(rater: str, given: Mapping[Question, str], decoys: set[str]) -> RaterScore:
    verdicts = [value for (item, _), value in given.items() if item in decoys and value in (YES, NO)]
    alarms = rate(verdicts.count(YES), len(verdicts), judged=len(verdicts))
    return RaterScore(
        rater=rater,
        answers=len(given),
        unsure=sum(value == UNSURE for value in given.values()),
        false_alarms=alarms,
        is_flagged=(alarms.value or 0.0) > MOST_FALSE_ALARMS,
    )


def _why_open(question: Question, answers: Answers, undecided: set[Question]) -> str:
    if question in answers:
        is_unsure = set(answers[question].values()) == {UNSURE}
        return "raters are unsure" if is_unsure else "no majority"
    if question in undecided:
        return "different answers of a rater, without times"
    return "not answered"


def _type_table(scores: Iterable[TypeScore]) -> Table:
    return Table(
        columns=(
            Column(title="type"),
            Column(title="automatic", kind="count"),
            *_rate_columns("judged", "false positives", "false_positive_rate"),
            *_rate_columns("judged", "false negatives", "false_negative_rate"),
        ),
        rows=[
            (
                f"{each.type} {each.name}".strip(),
                each.automatic,
                *_cells(each.false_positive_rate),
                *_cells(each.false_negative_rate),
            )
            for each in scores
        ],
    )


def _rater_table(raters: Iterable[RaterScore]) -> Table:
    return Table(
        columns=(
            Column(title="rater"),
            Column(title="answers", kind="count"),
            Column(title="unsure", kind="count"),
            *_rate_columns("decoys", "accepted", "false_alarms"),
            Column(title="flagged"),
        ),
        rows=[
            (each.rater, each.answers, each.unsure, *_cells(each.false_alarms), each.is_flagged)
            for each in raters
        ],
    )


def _rate_columns(number: str, title: str, key: str) -> tuple[Column, ...]:
    return (
        Column(title=number, kind="count", key=f"{key}_judged"),
        Column(title=title, kind="score", key=key),
        Column(title="95 % interval", kind="interval", key=key),
    )


def _cells(rate: Rate) -> tuple[Value, ...]:
    ends = None if rate.low is None or rate.high is None else Interval(low=rate.low, high=rate.high)
    return rate.judged, rate.value, ends


def _remarks(
    types: Iterable[TypeScore], raters: Iterable[RaterScore], why_open: Mapping[str, int]
) -> Iterator[str]:
    yield from (f"{counted(number, 'question')} not judged: {why}" for why, number in why_open.items())
    unjudged = [f"{each.type} ({each.automatic:,})" for each in types if not each.false_positive_rate.judged]
    if unjudged:
        yield f"not covered, because no automatic concept of the type was judged: {', '.join(unjudged)}"
    flagged = [shorten(each.rater) for each in raters if each.is_flagged]
    if flagged:
        most = f"more than {MOST_FALSE_ALARMS:.0%} of the decoys accepted"
        yield f"{', '.join(flagged)}: {most}; score again without these answers"
    yield from (f"{name.replace('_', ' ')}: {text}" for name, text in DEFINITIONS.items())
