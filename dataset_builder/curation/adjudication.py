"""One answer for each image and facet out of those of several raters, and what remains to be settled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset_builder.curation.annotations import Annotation
from dataset_builder.curation.exchange import value_of
from dataset_builder.curation.facets import FACETS, MODALITY, NONE, UNSURE, Facets, choice_named
from dataset_builder.curation.formulas import refuse_formulas
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows, write_csv
from rocov2_eval.shelf.words import shorten

Policy = Literal["unanimous", "majority", "senior"]

MANUAL_HEADER = ("image", "facet", "CUI")
# A disagreement, with room for the answer: filled in, the file is that of an adjudicator.
OPEN_HEADER = ("image", "facet", "CUI", "rater", "reason", "answers")


@dataclass(frozen=True, kw_only=True)
class AdjudicationOptions:
    """How answers become one.

    Attributes:
        policy: `unanimous`: all answers are the same. `majority`: one has more than half of them. `senior`:
            that of one rater counts.
        senior: Name of that rater.
        least: Raters who must have answered, those who could not tell included.
        unsure: What `unsure` is: no vote, or an answer like the others.
    """

    policy: Policy = "majority"
    senior: str = ""
    least: int = 1
    unsure: Literal["abstains", "counts"] = "abstains"

    def __post_init__(self) -> None:
        if (self.policy == "senior") != bool(self.senior):
            raise UsageFault("senior: expected the name of a rater with the policy senior, and with no other")
        if self.least < 1:
            raise UsageFault(f"least: {self.least}, expected at least 1 rater")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What is known of an image.

    Attributes:
        image: Key of the image.
        facet: What was asked.
        cui: A CUI, or a word such as `combined`.
    """

    image: str
    facet: str
    cui: str


@dataclass(frozen=True, kw_only=True)
class Open:
    """What is not known of an image though it was asked.

    Attributes:
        image: Key of the image.
        facet: What was asked.
        reason: Why it is open; a few words, so that they can be counted.
        answers: Value by rater, in the order of the names.
    """

    image: str
    facet: str
    reason: str
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Adjudication:
    """What became of the answers: every image and facet asked is settled, open, or pointless.

    Attributes:
        settled: By image, then in the order of the facets.
        open: Likewise.
        pointless: Questions about X-rays that everybody answered `none` or `unsure`, of images that are no
            X-rays; they are left out.
    """

    settled: tuple[Settled, ...]
    open: tuple[Open, ...]
    pointless: int


DEFAULT = AdjudicationOptions()

_Question = tuple[str, str]  # image and facet


def adjudicate(
    annotations: Iterable[Annotation],
    options: AdjudicationOptions = DEFAULT,
    decisions: Iterable[Annotation] = (),
    facets: Facets = FACETS,
) -> Adjudication:
    """Settle what can be settled; the order of the answers does not matter.

    Args:
        annotations: One a rater, image and facet.
        options: How.
        decisions: Of an adjudicator: they hold against all other answers.
        facets: What was asked.

    Raises:
        RejectedInput: A rater, or the adjudicator, answers one question in different ways.
        UsageFault: The senior rater answered nothing.
    """
    votes = _by_question(annotations)
    verdicts = _by_question(decisions)
    _check_senior(options.senior, votes)
    settled: dict[_Question, str] = {}
    reasons: dict[_Question, str] = {}
    for question in votes.keys() | verdicts.keys():
        value, reason = _settle(votes.get(question, {}), verdicts.get(question, {}), options)
        if reason:
            reasons[question] = reason
        else:
            settled[question] = value
    pointless = 0
    for question in (*settled, *reasons):
        image, facet = question
        stray = _stray(facets[facet].only_for, settled.get((image, MODALITY.name)))
        if stray:
            settled.pop(question, None)
            reasons.pop(question, None)
            said = set((verdicts.get(question) or votes[question]).values())
            if said <= {NONE, UNSURE}:
                pointless += 1
            else:
                reasons[question] = stray
    place = {name: number for number, name in enumerate(facets)}

    def order(question: _Question) -> tuple[str, int]:
        return question[0], place[question[1]]

    return Adjudication(
        settled=tuple(
            Settled(image=it[0], facet=it[1], cui=settled[it]) for it in sorted(settled, key=order)
        ),
        open=tuple(
            Open(
                image=it[0],
                facet=it[1],
                reason=reasons[it],
                answers=tuple(sorted({**votes.get(it, {}), **verdicts.get(it, {})}.items())),
            )
            for it in sorted(reasons, key=order)
        ),
        pointless=pointless,
    )


def write_manual(path: Path, settled: Iterable[Settled]) -> None:
    """Write what is settled, one row a facet: the manual table of a build.

    Raises:
        RejectedInput: A spreadsheet would take an image for a formula.
    """
    rows = [(each.image, each.facet, each.cui) for each in settled]
    refuse_formulas(images=(image for image, _, _ in rows))
    write_csv(path, MANUAL_HEADER, rows)


def read_manual(path: Path, facets: Facets = FACETS) -> dict[str, dict[str, str]]:
    """Return the settled value of each facet by image, from CSV with the columns image, facet and CUI.

    Raises:
        RejectedInput: A column is missing, or a row is not understood or stands twice.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line, row in read_rows(path, MANUAL_HEADER):
        place = f"{path}:{line}"
        image, facet = row["image"].strip(), row["facet"].strip()
        if not image:
            raise RejectedInput(f"{place}: the image is empty, expected its key")
        if facet not in facets:
            expected = ", ".join(facets)
            raise RejectedInput(f"{place}: the facet is {shorten(facet)!r}, expected one of {expected}")
        if facet in found[image]:
            raise RejectedInput(f"{place}: {facet} of {shorten(image)} stands twice, expected once")
        found[image][facet] = value_of(facets[facet], row["CUI"], place)
    return dict(found)


def write_open(path: Path, questions: Iterable[Open], facets: Facets = FACETS) -> None:
    """Write what is open, with the answers as raters read them and an empty cell for the right one.

    Raises:
        RejectedInput: A spreadsheet would take an image or a rater for a formula.
    """
    questions = tuple(questions)
    refuse_formulas(
        images=(each.image for each in questions),
        raters=(rater for each in questions for rater, _ in each.answers),
    )
    rows = (
        (each.image, each.facet, "", "", each.reason, "; ".join(_spoken(each, facets))) for each in questions
    )
    write_csv(path, OPEN_HEADER, rows)


def counted(questions: Sequence[Open]) -> dict[tuple[str, str], int]:
    """Return how many questions of each facet are open for each reason, the most frequent first."""
    return dict(Counter((each.facet, each.reason) for each in questions).most_common())


def _by_question(annotations: Iterable[Annotation]) -> dict[_Question, dict[str, str]]:
    """Return value by rater for each image and facet."""
    votes: dict[_Question, dict[str, str]] = defaultdict(dict)
    for each in annotations:
        if votes[each.image, each.facet].setdefault(each.rater, each.cui) != each.cui:
            raise RejectedInput(
                f"{shorten(each.image)}: {shorten(each.rater)} answers {each.facet} in different ways; "
                f"rocov2-build curate import keeps the latest"
            )
    return votes


def _check_senior(senior: str, votes: Mapping[_Question, Mapping[str, str]]) -> None:
    raters = sorted({rater for told in votes.values() for rater in told})
    if senior and senior not in raters:
        listed = shorten(", ".join(raters), 200) or "nobody"
        raise UsageFault(f"senior: {shorten(senior)} answered nothing; there are answers of {listed}")


def _settle(
    votes: Mapping[str, str], verdicts: Mapping[str, str], options: AdjudicationOptions
) -> tuple[str, str]:
    """Return the value and an empty reason, or an empty value and why there is none."""
    if verdicts:
        values = set(verdicts.values())
        return (values.pop(), "") if len(values) == 1 else ("", "adjudicators disagree")
    if len(votes) < options.least:
        return "", "too few raters"
    if options.policy == "senior":
        votes = {rater: cui for rater, cui in votes.items() if rater == options.senior}
        return _agreed(votes, options) if votes else ("", "not seen by the senior rater")
    return _agreed(votes, options)


def _agreed(votes: Mapping[str, str], options: AdjudicationOptions) -> tuple[str, str]:
    """Return what enough of the votes say, or why there is nothing."""
    counting = [cui for cui in votes.values() if options.unsure == "counts" or cui != UNSURE]
    if not counting:
        return "", "nobody can tell"
    (value, most), *_ = Counter(counting).most_common(1)
    enough = 2 * most > len(counting) if options.policy == "majority" else most == len(counting)
    return (
        (value, "") if enough else ("", "no majority" if options.policy == "majority" else "raters disagree")
    )


def _stray(only_for: str, modality: str | None) -> str:
    """Return why an answer does not go with the modality; empty where it does, or where that is not known."""
    if not only_for or modality in (None, UNSURE, only_for):
        return ""
    asked = choice_named(MODALITY, only_for)
    found = choice_named(MODALITY, modality)
    assert asked is not None
    return f"asked of {asked.label} alone, and the modality is {found.label if found else modality}"


def _spoken(question: Open, facets: Facets) -> Iterator[str]:
    for rater, cui in question.answers:
        choice = choice_named(facets[question.facet], cui)
        yield f"{rater}: {choice.label if choice else cui}"
