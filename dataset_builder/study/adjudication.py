"""One answer for each image and facet out of those of several raters, and what remains to be settled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset_builder.facets import FACETS, MANUAL_HEADER, MODALITY, NONE, UNSURE, choice_named
from dataset_builder.study.annotations import Annotation, refuse_formulas
from dataset_builder.study.collecting import told_apart
from rocov2_eval import __version__
from rocov2_eval.errors import RejectedInput
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.words import counted, shorten

Policy = Literal["unanimous", "majority"]

# A disagreement, with room for the answer: filled in, the file is that of an adjudicator.
OPEN_HEADER = (*MANUAL_HEADER, "rater", "reason", "answers")

Question = tuple[str, str]  # image and facet
_Votes = Mapping[Question, Mapping[str, str]]  # value by question, then by rater


@dataclass(frozen=True, kw_only=True)
class Open:
    """A question without an answer.

    Attributes:
        image: Key of the image.
        facet: Name of the facet.
        reason: Why the question is open, in a few words that can be counted.
        answers: Rater and value of each answer, by name of the rater.
    """

    image: str
    facet: str
    reason: str
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Adjudication:
    """What became of the questions: each is settled, open, or pointless.

    Attributes:
        settled: Answer by image and facet: a CUI, or a word such as `combined`; by image, then in the order
            of the facets.
        open: Questions without an answer, in the same order.
        pointless: Number of questions about X-rays that everybody answered `none` or `unsure`, of images that
            are no X-rays; they are left out.
    """

    settled: Mapping[Question, str]
    open: tuple[Open, ...]
    pointless: int


def adjudicate(
    annotations: Iterable[Annotation],
    decisions: Iterable[Annotation] = (),
    *,
    policy: Policy = "majority",
    least: int = 1,
) -> Adjudication:
    """Settle what can be settled; a rater who cannot tell has no vote, and the order does not matter.

    Args:
        annotations: One answer a rater, image and facet.
        decisions: Answers of adjudicators, which hold against all others.
        policy: What settles an answer. `unanimous`: all votes are the same. `majority`: more than half of the
            votes are the same.
        least: Least number of raters of a question, with those who cannot tell; at least 1.

    Raises:
        RejectedInput: A rater, or an adjudicator, answers one question in different ways.
    """
    annotations, decisions = list(annotations), list(decisions)
    given = told_apart([*annotations, *decisions])  # who is number 1 in one file may be another in the other
    votes, verdicts = _by_question(given[: len(annotations)]), _by_question(given[len(annotations) :])
    places = {name: number for number, name in enumerate(FACETS)}
    questions = sorted(votes.keys() | verdicts.keys(), key=lambda it: (it[0], places[it[1]]))
    outcomes = {it: _settle(votes.get(it, {}), verdicts.get(it, {}), policy, least) for it in questions}
    settled: dict[Question, str] = {}
    still_open, pointless = [], 0
    for question, (value, why) in outcomes.items():
        image, facet = question
        answers = {**votes.get(question, {}), **verdicts.get(question, {})}
        reason = _stray(facet, outcomes.get((image, MODALITY.name), ("", ""))[0])
        if reason and {NONE, UNSURE}.issuperset((verdicts.get(question) or answers).values()):
            pointless += 1
        elif reason or why:
            listed = tuple(sorted(answers.items()))
            still_open.append(Open(image=image, facet=facet, reason=reason or why, answers=listed))
        else:
            settled[question] = value
    return Adjudication(settled=settled, open=tuple(still_open), pointless=pointless)


def write_manual(path: Path, settled: Mapping[Question, str]) -> None:
    """Write what is settled, one row a question: the manual table of a build.

    Raises:
        RejectedInput: A spreadsheet would take an image for a formula.
    """
    refuse_formulas(images=(image for image, _ in settled))
    write_csv(path, MANUAL_HEADER, [(*question, cui) for question, cui in settled.items()])


def write_open(path: Path, questions: Iterable[Open]) -> None:
    """Write what is open, with the answers as raters read them and an empty cell for the right one.

    Raises:
        RejectedInput: A spreadsheet would take an image or a rater for a formula.
    """
    questions = tuple(questions)
    refuse_formulas(
        images=(each.image for each in questions),
        raters=(rater for each in questions for rater, _ in each.answers),
    )
    rows = ((each.image, each.facet, "", "", each.reason, _labelled(each)) for each in questions)
    write_csv(path, OPEN_HEADER, rows)


def adjudication_document(adjudication: Adjudication, *, policy: Policy, least: int) -> Document:
    """Return how many questions of each facet are settled by the policy, and why the others are open."""
    n_settled = Counter(facet for _, facet in adjudication.settled)
    reasons = Counter((each.facet, each.reason) for each in adjudication.open).most_common()
    images = {image for image, _ in adjudication.settled} | {each.image for each in adjudication.open}
    rows = []
    for facet in FACETS:
        mine = {reason: n for (name, reason), n in reasons if name == facet}
        listed = ", ".join(f"{reason} {n:,}" for reason, n in mine.items())
        rows.append((facet, n_settled[facet], sum(mine.values()), listed))
    numbers = (Column(title=name, kind="count") for name in ("settled", "open"))
    columns = [Column(title="facet"), *numbers, Column(title="why open")]
    notes = []
    if adjudication.pointless:
        text = f"{counted(adjudication.pointless, 'question')} about X-rays ignored: the image is no X-ray"
        notes.append(Note(text=text))
    among = f", at least {least} raters" if least > 1 else ""
    return Document(
        title=f"{counted(len(images), 'image')}, policy {policy}{among}",
        sections=[Section(tables=[Table(columns=columns, rows=rows)], notes=notes)],
        data={
            "schema_version": 1,
            "tool": {"name": "rocov2-build", "version": __version__},
            "options": {"policy": policy, "least": least},
            "images": len(images),
            "settled": dict(n_settled),
            "open": [{"facet": facet, "reason": reason, "count": n} for (facet, reason), n in reasons],
            "pointless": adjudication.pointless,
        },
    )


def _by_question(annotations: Iterable[Annotation]) -> _Votes:
    votes: dict[Question, dict[str, str]] = defaultdict(dict)
    for each in annotations:
        if votes[each.image, each.facet].setdefault(each.rater, each.cui) != each.cui:
            raise RejectedInput(
                f"{shorten(each.image)}: {shorten(each.rater)} answers {each.facet} in different ways; "
                f"rocov2-build curate import keeps the latest"
            )
    return votes


def _settle(
    votes: Mapping[str, str], verdicts: Mapping[str, str], policy: Policy, least: int
) -> tuple[str, str]:
    """Return the value and an empty reason, or an empty value and why there is none."""
    if verdicts:
        values = set(verdicts.values())
        return (values.pop(), "") if len(values) == 1 else ("", "adjudicators disagree")
    if len(votes) < least:
        return "", "too few raters"
    sure = [cui for cui in votes.values() if cui != UNSURE]
    if not sure:
        return "", "all raters are unsure"
    (value, most), *_ = Counter(sure).most_common(1)
    if policy == "majority":
        return (value, "") if 2 * most > len(sure) else ("", "no majority")
    return (value, "") if most == len(sure) else ("", "raters disagree")


def _stray(facet: str, modality: str) -> str:
    """Return why an answer does not go with the modality; empty where it does, or where that is not known."""
    only_for = FACETS[facet].only_for
    if not only_for or modality in ("", UNSURE, only_for):
        return ""
    asked, other = (choice_named(MODALITY, value) for value in (only_for, modality))
    assert asked is not None, "facets are asked of a modality that there is"
    return f"only for {asked.label}, but the modality is {other.label if other else modality}"


def _labelled(question: Open) -> str:
    """Return the raters with the labels of their answers."""
    choices = [(rater, cui, choice_named(FACETS[question.facet], cui)) for rater, cui in question.answers]
    return "; ".join(f"{rater}: {choice.label if choice else cui}" for rater, cui, choice in choices)
