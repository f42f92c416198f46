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
from rocov2_eval.records import SampleScores


@dataclass(frozen=True, kw_only=True)
class DerivedScore:
    """A score that is the mean of others.

    Attributes:
        members: Outputs whose mean it is, which may be derived themselves.
        revision: Raised whenever a number changes.
        source: Upstream code that defines it.
    """

    members: tuple[str, ...]
    revision: int = 1
    source: str


_SOURCE_2025 = "taubsity/clef-caption-evaluation@ce13086"
_SOURCE_2026 = "taubsity/clef-caption-evaluation-2026@9966c13"

# Members stand before what is made of them.
DERIVED: Mapping[str, DerivedScore] = {
    "relevance": DerivedScore(
        members=("bertscore_f1", "rouge1", "similarity", "bleurt"), source=_SOURCE_2026
    ),
    "relevance_as_code": DerivedScore(members=("bertscore_f1", "rouge1", "similarity"), source=_SOURCE_2025),
    "factuality": DerivedScore(members=("umls_f1", "alignscore"), source=_SOURCE_2026),
    "overall": DerivedScore(
        members=("relevance", "factuality"), source=f"{_SOURCE_2026}, whose platform makes the mean"
    ),
}


def parts(name: str) -> tuple[str, ...]:
    """Return a score and all that it is made of, members of members included."""
    members = DERIVED[name].members if name in DERIVED else ()
    return (name, *(part for member in members for part in parts(member)))


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
