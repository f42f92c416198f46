"""Scores made of other scores: the Relevance, Factuality and Overall of 2025 and 2026.

Each is the mean of its members on every image, so that intervals, breakdowns, comparisons and boards treat it
like any other score. As every member scores every image, its mean is the mean of the members' means, which
is what the organisers publish.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rocov2_eval import __version__
from rocov2_eval.editions import Edition
from rocov2_eval.records import SampleScores


@dataclass(frozen=True, kw_only=True)
class DerivedScore:
    """A score that is the mean of others.

    Attributes:
        name: Name of the output.
        members: Outputs whose mean it is, which may be derived themselves.
        bounds: Smallest and largest possible score.
        revision: Raised whenever a number changes.
        source: Paper or upstream code that defines it.
    """

    name: str
    members: tuple[str, ...]
    bounds: tuple[float, float]
    revision: int = 1
    source: str


_ORGANISERS = "taubsity/clef-caption-evaluation-2026@9966c13; the platform makes Overall"
_INFINITE = (-np.inf, np.inf)  # BLEURT has no bounds

DERIVED: Mapping[str, DerivedScore] = {
    score.name: score
    for score in (
        DerivedScore(
            name="relevance",
            members=("bertscore_f1", "rouge1", "similarity", "bleurt"),
            bounds=_INFINITE,
            source=_ORGANISERS,
        ),
        DerivedScore(
            name="relevance_as_code",  # the public code of 2025 leaves BLEURT out, its leaderboard does not
            members=("bertscore_f1", "rouge1", "similarity"),
            bounds=(-1.0, 1.5),
            source="taubsity/clef-caption-evaluation@ce13086",
        ),
        DerivedScore(
            name="factuality", members=("umls_f1", "alignscore"), bounds=(0.0, 1.0), source=_ORGANISERS
        ),
        DerivedScore(
            name="overall", members=("relevance", "factuality"), bounds=_INFINITE, source=_ORGANISERS
        ),
    )
}


def is_offered(name: str, edition: Edition) -> bool:
    """Tell whether an edition publishes a derived score."""
    return edition.captions.publishes(name)


def leaves(name: str) -> tuple[str, ...]:
    """Return the outputs of metrics that a score is made of in the end: itself where it is not derived."""
    if name not in DERIVED:
        return (name,)
    return tuple(leaf for member in DERIVED[name].members for leaf in leaves(member))


def derive(name: str, samples: Mapping[str, SampleScores]) -> SampleScores:
    """Return the mean of the members on each image; an image that one of them leaves out is left out.

    Args:
        name: Key of `DERIVED`.
        samples: The scores of all members by output, each of shape (n,).
    """
    members = [samples[member] for member in DERIVED[name].members]
    scored = np.logical_and.reduce([member.scored for member in members])
    mean = np.mean([member.values for member in members], axis=0)
    return SampleScores(values=np.where(scored, mean, 0.0), scored=scored)


def derived_signature(name: str, signatures: Mapping[str, str]) -> str:
    """Return the signature of a derived score: its members, and a digest of their signatures.

    Args:
        name: Key of `DERIVED`.
        signatures: The signatures of all members by output.
    """
    score = DERIVED[name]
    lines = "\n".join(signatures[member].rpartition("|v:")[0] for member in score.members)
    digest = hashlib.sha256(lines.encode()).hexdigest()[:12]
    return f"{name}|rev:{score.revision}|members:{'+'.join(score.members)}|of:{digest}|v:{__version__}"
