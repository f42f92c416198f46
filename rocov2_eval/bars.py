"""Bars: what the scores of a run must reach before a change is let in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocov2_eval.comparison import Comparison
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.metrics import METRICS, main_outputs
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.schemas import check_document, parse_json
from rocov2_eval.scoring import Report
from rocov2_eval.shelf.parsing import read_plain
from rocov2_eval.shelf.words import path_text, shorten, suggestion
from rocov2_eval.signature import comparable
from rocov2_eval.significance import too_few_images

DEFAULT_TOLERANCE = 0.001
_ROUNDING = 1e-9  # a mean of 0.3 may be 0.2999…: no difference that anybody made
_FEWEST_DECIMALS, _MOST_DECIMALS = 4, 17


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The result of an earlier run.

    Attributes:
        path: Its file as the user named it.
        data: The object that `schema/result.json` describes.
    """

    path: str
    data: Mapping[str, Any]


def minimum_of(text: str) -> tuple[str, float]:
    """Return the name of a score and the least mean that it must have, out of `NAME=NUMBER`.

    Raises:
        UsageFault: There is no such score, or it is never so high.
    """
    name, number = (part.strip() for part in text.partition("=")[::2])
    bounds = {output: metric.bounds for metric in METRICS.values() for output in metric.outputs}
    bounds |= dict.fromkeys(DERIVED, (-math.inf, math.inf))
    if name not in bounds:
        raise UsageFault(f"--min {shorten(text)}: no score {shorten(name)!r}; {suggestion(name, bounds)}")
    low, high = bounds[name]
    try:
        least = float(number)
    except ValueError:
        least = math.nan
    if not (math.isfinite(least) and low <= least <= high):
        raise UsageFault(f"--min {shorten(text)}: expected a number from {low:g} to {high:g} after {name}=")
    return name, least


def read_baseline(path: Path) -> Baseline:
    """Read the result of an earlier run.

    Raises:
        RejectedInput: It is no result that `score --format json` wrote.
    """
    name = path_text(path)
    try:
        text = read_plain(path).decode("utf-8")
    except OSError as error:
        raise RejectedInput(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RejectedInput(f"{name}: not UTF-8, expected a result of `score --format json`") from None
    data = parse_json(name, text)
    if findings := check_document(name, data, "result"):
        raise RejectedInput(f"{name}: not a result of `score --format json`", findings)
    assert isinstance(data, dict), "the schema requires it"
    return Baseline(path=name, data=data)


def below_minimums(report: Report, minimums: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Yield a sentence for each score that does not reach its least mean.

    Raises:
        UsageFault: A score was not computed for this run.
    """
    for name, least in minimums:
        if name not in report.metrics:
            reason = report.not_computed.get(name, f"the scores of this run are {', '.join(report.metrics)}")
            raise UsageFault(f"--min {name}: not computed for {report.run[0]}: {reason}")
        mean = report.metrics[name].mean
        if mean is None:
            yield f"{name} has no scored image; expected {least:g} or more"
        elif mean < least - _ROUNDING:
            shown, expected = _apart(mean, least)
            yield f"{name} is {shown}; expected {expected} or more"


def below_baseline(report: Report, baseline: Baseline, tolerance: float) -> Iterator[str]:
    """Yield a sentence for each metric whose main score is lower than that of an earlier run.

    Args:
        report: The scores of a run.
        baseline: The result of an earlier run on the same images.
        tolerance: How much lower a mean may be.

    Raises:
        UsageFault: The two were scored by other rules, on another truth, or by other scores.
    """
    if reason := next(_differences(report, baseline.data), None):
        raise UsageFault(
            f"--baseline {baseline.path}: not comparable with {report.run[0]}: {reason}; "
            "score the earlier run again with the options of this one"
        )
    for name in main_outputs(baseline.data["metrics"]):
        mean, least = report.metrics[name].mean, baseline.data["metrics"][name]["mean"]
        if least is None:
            continue
        if mean is None:
            yield f"{name} has no scored image; {baseline.path} has {least:.4f}"
        elif mean < least - tolerance - _ROUNDING:
            shown, earlier = _apart(mean, least)
            yield f"{name} is {shown}; {baseline.path} has {earlier}, and the tolerance is {tolerance:g}"


def worse_than_first(comparison: Comparison) -> Iterator[str]:
    """Yield a sentence for each run and score by which the first run is shown to be better.

    Where the images are too few to show anything, a lower mean counts: a bar that no run could miss is none.
    """
    names, alpha = comparison.names, comparison.options.pairs.alpha
    for pair in comparison.pairs:
        if pair.a or pair.difference >= 0:
            continue
        score = f"{pair.metric} {pair.difference:+.4f}"
        if pair.better == "a":
            yield f"{names[pair.b]} is worse than {names[0]}: {score}, p (Holm) {pair.p_holm:.2g}"
        elif too_few_images(pair.metric, (pair.n, len(names)), alpha):
            yield (
                f"{names[pair.b]} may be worse than {names[0]}: {score}; too few images "
                f"({pair.n:,}) to show a difference"
            )


def _differences(report: Report, data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps the scores of a report and of an earlier result out of one table."""
    for what, here, there in (
        ("edition", report.edition, data["edition"]),
        ("task", report.task, data["task"]),
        ("split", report.split, data["split"]),
    ):
        if here != there:
            yield f"its {what} is {there}, expected {here}"
    if [sha256 for _, sha256 in report.truth] != [item["sha256"] for item in data["inputs"]["truth"]]:
        yield f"its truth differs from {', '.join(path for path, _ in report.truth)}"
    if not data["metrics"]:
        yield "it contains no score"
    for name, before in data["metrics"].items():
        after = report.metrics.get(name)
        if after is None:
            yield f"it contains {shorten(name)}, which this run does not have"
        elif not _is_comparable(before["signature"], after.signature):
            yield (
                f"{name} has the signature {shorten(before['signature'], 300)} there and {after.signature} "
                "here"
            )
        elif before["n"] + before["unscored"] != after.n + after.unscored:
            images = before["n"] + before["unscored"]
            yield f"{name} was computed on {images:,} images there and on {after.n + after.unscored:,} here"


def _is_comparable(first: str, second: str) -> bool:
    try:
        return comparable(first, second)
    except ValueError:  # a file from outside may hold any text as a signature
        return False


def _apart(first: float, second: float) -> tuple[str, str]:
    """Return two numbers with as many decimals as tell them apart, four at least."""
    for decimals in range(_FEWEST_DECIMALS, _MOST_DECIMALS):
        shown = f"{first:.{decimals}f}", f"{second:.{decimals}f}"
        if shown[0] != shown[1]:
            return shown
    return repr(first), repr(second)
