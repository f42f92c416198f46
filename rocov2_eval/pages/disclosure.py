"""What participants may know while the truth is in use: decided here, for pages, JSON, CSV, `scores.json`.

The rule: the mean of each published score over all images, rounded, with its interval, rounded too. Nothing
of single images, of groups of images or of pairs of runs, and no rank finer than the rounded scores.
Organisers see everything, and so does everybody once the truth is no longer in use.

Renderers get what is left of a report or a board, so that they cannot show more. docs/statistics.md has the
reasons, and says what still leaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rocov2_eval.editions import EDITIONS
from rocov2_eval.metrics import metric_of
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.ranking import Board, Standing, nothing_common, omitted_note, placed
from rocov2_eval.records import Finding, Interval, MetricResult
from rocov2_eval.scoring import Report
from rocov2_eval.shelf.words import counted

MOST_DECIMALS = 4
# With fewer images a mean that tells no image has no decimal, and orders no runs: see `public_decimals`.
FEWEST_IMAGES = 21
# In one bootstrap resample of 270 an image is drawn five times or more: it moves an end by 4/n at most.
_MOST_DRAWS = 4
# Scores without a bound: those of a learned model stay within two in practice, and one long caption among
# short ones makes up a large part of a score over the words of all captions.
_LEARNED, _PART_OF_CORPUS = 2.0, 100.0
_MOST_SUBMISSIONS, _FEWEST_SUBMISSIONS = 100, 5  # 100 is what the platform allows by itself
_IMAGES_PER_SUBMISSION = 100
_MOST_SUBMISSIONS_PER_DAY = 5
# Captions of which nothing is left have R303 where the truth is empty too, and R304 where it is not.
# R024 tells a run that is the truth from one that differs in an answer.
_OF_TRUTH = ("R024", "R303", "R304")


def public_decimals(images: int, width: float = 1.0) -> int:
    """Return the decimals of a public mean over so many images, 0 to `MOST_DECIMALS`.

    One image moves the mean by w/n at most, w being the width of the range of the score. A step of d decimals
    hides that if half of it is more: 10^-d / 2 > w/n, that is n > 2 · w · 10^d.
    """
    return max((d for d in range(MOST_DECIMALS + 1) if images > 2 * width * 10**d), default=0)


def most_submissions(images: int) -> int:
    """Return how many submissions a participant should have: one for each 100 images, 5 to 100.

    Whoever places a mean beside the edge of a step learns one bit of one image with each further submission:
    so it stays at one image of a hundred.
    """
    return min(max(images // _IMAGES_PER_SUBMISSION, _FEWEST_SUBMISSIONS), _MOST_SUBMISSIONS)


def most_submissions_per_day(images: int) -> int:
    """Return how many submissions a participant should have a day."""
    return min(most_submissions(images), _MOST_SUBMISSIONS_PER_DAY)


def advice(images: int, decimals: int | None = None) -> str:
    """Return what organisers should know of a test set of so many images, as sentences.

    Args:
        images: Number of images.
        decimals: The decimals that an organiser named; None where they follow the images.
    """
    if images < FEWEST_IMAGES:
        told = "so few that a public score with a decimal tells single images"
        return f"{counted(images, 'image')}: {told}. Publish no score of this truth while it is in use."
    safe = public_decimals(images)
    if decimals is None or decimals <= safe:
        told = f"public scores have {counted(safe if decimals is None else decimals, 'decimal')}"
        told += ", so that one submission does not tell the score of an image"
    else:
        told = f"with {counted(decimals, 'decimal')} one submission may tell the score of an image"
        told += f", with {counted(safe, 'decimal')} it does not"
    return (
        f"{counted(images, 'image')}: {told}. Allow a participant {most_submissions(images)} submissions, "
        f"{most_submissions_per_day(images)} a day. What still leaks is in docs/statistics.md."
    )


def public_findings(findings: Sequence[Finding], truth: Sequence[tuple[str, str]] = ()) -> list[Finding]:
    """Return the findings that participants may see, in the order given.

    Args:
        findings: Any findings.
        truth: Path and SHA-256 of the truth files, whose findings are the organisers' alone.
    """
    secret = {path for path, _ in truth}
    return [item for item in findings if not _is_of_truth(item) and item.path not in secret]


def public_result(output: str, result: MetricResult, decimals: int | None = None) -> MetricResult:
    """Return a result over a whole run with its mean and interval rounded.

    Args:
        output: Name of the score.
        result: The result.
        decimals: As many decimals for both; None for those that hide single images.
    """
    width = _width(output)
    of_ends = public_decimals(result.n, _MOST_DRAWS * width) if decimals is None else decimals
    decimals = public_decimals(result.n, width) if decimals is None else decimals
    return replace(
        result,
        mean=None if result.mean is None else _rounded(result.mean, decimals),
        interval=_public_interval(result.interval, of_ends),
        decimals=decimals,
        interval_decimals=of_ends,
    )


def public_report(report: Report, decimals: int | None = None) -> Report:
    """Return what participants may know of a report; of what they may know already, the same.

    Args:
        report: The scores of a run.
        decimals: As many decimals of every score; None for those that hide single images.
    """
    if not report.samples:
        return report
    excluded = EDITIONS[report.edition].captions.excluded
    return replace(
        report,
        truth=(),
        metrics={name: public_result(name, result, decimals) for name, result in report.metrics.items()},
        samples={},
        # What the organisers lack concerns nobody else.
        not_computed={
            name: reason if name in excluded else "not computed by the organisers"
            for name, reason in report.not_computed.items()
        },
        concept_errors=None,
        breakdowns={},
        findings=tuple(public_findings(report.findings, report.truth)),
    )


def public_board(board: Board, decimals: int | None = None) -> Board:
    """Return what participants may know of a ranking: rounded scores, and ranks by them.

    Runs of equal rounded score share a rank and stand in the order of their names.

    Args:
        board: The ranking; what participants may know already is returned as it is.
        decimals: As many decimals of every score; None for those that hide single images.
    """
    entries = [
        replace(item.entry, report=public_report(item.entry.report, decimals)) for item in board.standings
    ]
    results = [entry.report.metrics[board.primary] for entry in entries]
    standings = tuple(
        Standing(
            entry=place.entry,
            rank=place.rank,
            is_best_of_team=place.is_best_of_team,
            team_rank=place.team_rank,
            result=place.entry.report.metrics[board.primary],
            letters="",
            low_rank=place.rank,
            high_rank=place.rank,
            shares=np.zeros(0),
        )
        for place in placed(entries, [_known(result.mean) for result in results])
    )
    # Of how many images a score is a mean may tell for which of them the truth is empty.
    notes = tuple(
        note
        for note in board.notes
        if note not in (omitted_note(board.omitted), nothing_common(board.primary))
    )
    return replace(board, notes=notes, standings=standings, tests=None, omitted=0)


def _known(mean: float | None) -> float:
    assert mean is not None, "a board ranks no run without a score"
    return mean


def _width(output: str) -> float:
    """Return the width of the range that the score of one image may have."""
    if output in DERIVED:
        members = DERIVED[output].members
        return sum(map(_width, members)) / len(members)
    low, high = metric_of(output).bounds
    if np.isfinite(high - low):
        return high - low
    return _PART_OF_CORPUS if np.isfinite(low) else _LEARNED


def _public_interval(interval: Interval | None, decimals: int) -> Interval | None:
    """Return an interval with rounded ends, None where only ends without a decimal would tell no image."""
    if interval is None or not decimals:
        return None
    low, high = (_rounded(end, decimals) for end in (interval.low, interval.high))
    return Interval(low=low, high=high)


def _rounded(value: float, decimals: int) -> float:
    """Return a rounded score; 0 has no sign, which would tell on which side it was."""
    return round(value, decimals) + 0.0


def _is_of_truth(item: Finding) -> bool:
    """Tell whether a finding is about the truth."""
    return item.code.startswith("R5") or item.code in _OF_TRUTH
