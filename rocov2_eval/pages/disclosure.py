"""What a public page or file may show: decided here, for pages, JSON, CSV and Markdown alike.

Public artefacts hold no truth, no score of a single image and no picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rocov2_eval.records import Finding, Interval, MetricResult
from rocov2_eval.scoring import Group

# The mean of one image is its score, and of two or three it is nearly so: who knows the rest can subtract it.
FEWEST_IN_PUBLIC_MEAN = 5
# In a histogram of few images each bar is an image; more bins tell single scores more precisely.
FEWEST_IN_PUBLIC_HISTOGRAM = 20
PUBLIC_DECIMALS = 4
PUBLIC_BINS = 10
PRIVATE_BINS = 20


def public_findings(findings: Sequence[Finding], truth: Sequence[tuple[str, str]] = ()) -> list[Finding]:
    """Return the findings that participants may see, in the order given.

    Args:
        findings: Any findings.
        truth: Path and SHA-256 of the truth files, whose findings are the organisers' alone.
    """
    secret = {path for path, _ in truth}
    return [item for item in findings if not _is_of_truth(item) and item.path not in secret]


def public_value(value: float | None, *, private: bool) -> float | None:
    """Return a score as the reader may know it: to four decimals in public.

    From an unrounded mean, whoever chooses sets of concepts of distinct prime sizes can compute which single
    images they are right for.
    """
    return value if private or value is None else round(value, PUBLIC_DECIMALS)


def public_result(result: MetricResult, *, private: bool) -> MetricResult:
    """Return a result with its mean and interval as the reader may know them."""
    if private or result.mean is None:
        return result
    ends = result.interval
    return replace(
        result,
        mean=round(result.mean, PUBLIC_DECIMALS),
        interval=Interval(low=round(ends.low, PUBLIC_DECIMALS), high=round(ends.high, PUBLIC_DECIMALS))
        if ends
        else None,
    )


def is_secret_mean(images: int, *, private: bool) -> bool:
    """Tell whether the mean of so many images may not be shown, because it is nearly the score of one."""
    return not private and 0 < images < FEWEST_IN_PUBLIC_MEAN


def secret_groups(groups: Sequence[Group], output: str, *, private: bool) -> frozenset[str]:
    """Return the groups of a breakdown whose mean may not be shown.

    The groups of a facet add up to the whole run: a small group that is left out alone could be computed by
    subtraction, so that the next smallest one goes with it until enough images are behind the difference.
    """
    images = {group.name: group.metrics[output].n for group in groups}
    by_size = sorted((name for name, count in images.items() if count), key=images.__getitem__)
    secret = [name for name in by_size if is_secret_mean(images[name], private=private)]
    for name in by_size[len(secret) :]:
        if not secret or sum(images[other] for other in secret) >= FEWEST_IN_PUBLIC_MEAN:
            break
        secret.append(name)
    return frozenset(secret)


def _is_of_truth(item: Finding) -> bool:
    """Tell whether a finding is about the truth; R303 says for which images the truth is empty."""
    return item.code.startswith("R5") or item.code == "R303"
