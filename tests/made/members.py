"""Stand-ins for the metrics that the scores of 2025 and 2026 are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics import METRICS
from rocov2_eval.records import SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.truth import Truth

# The output of each metric that is a member, and what it scores a candidate without a good word.
MEMBERS: Mapping[str, str] = {
    "bertscore": "bertscore_f1",
    "rouge": "rouge1",
    "similarity": "similarity",
    "bleurt": "bleurt",
    "umls_f1": "umls_f1",
    "alignscore": "alignscore",
}
VALUES: Mapping[str, float] = {
    "bertscore_f1": 0.5,
    "rouge1": 0.25,
    "similarity": 1.25,
    "bleurt": -0.5,
    "umls_f1": 0.5,
    "alignscore": 0.125,
}


@dataclass(frozen=True, kw_only=True)
class MemberOptions(Options):
    """The one option that a stand-in has."""

    kind: str = "stand-in"


def replace_members(
    monkeypatch: pytest.MonkeyPatch, lacking: Mapping[str, str] | None = None, unscored: Sequence[str] = ()
) -> None:
    """Put stand-ins in the place of the metrics.

    A candidate scores `VALUES`, and 0.5 more for each `good` that is among its words.

    Args:
        monkeypatch: Takes them away again.
        lacking: For a metric that cannot be computed, the reason.
        unscored: Metrics that leave the first image out.
    """
    for name, output in MEMBERS.items():
        row = _member(name, output, (lacking or {}).get(name), is_unscored=name in unscored)
        monkeypatch.setitem(METRICS, name, row)  # type: ignore[arg-type]  # a dict behind its Mapping


def _member(name: str, output: str, reason: str | None, *, is_unscored: bool) -> Metric:
    def score(
        candidates: Sequence[str], _: Sequence[str], _options: Options, _resource: object = None
    ) -> dict[str, SampleScores]:
        values = np.array([VALUES[output] + 0.5 * text.split().count("good") for text in candidates])
        scored = np.ones(len(values), np.bool_)
        scored[0] = not is_unscored
        return {output: SampleScores(values=np.where(scored, values, 0.0), scored=scored)}

    def lacks(_: Settings, _truth: Truth) -> str | None:
        return reason

    return Metric(
        name=name,
        outputs=(output,),
        meanings=("A member.",),
        needs="captions",
        columns=lambda inputs: inputs.captions,
        score=score,
        options=MemberOptions,
        options_of=lambda _settings, _truth: MemberOptions(),
        revision=1,
        bounds=(-np.inf, np.inf),
        identity=None,
        source="a test",
        is_offered=lambda edition: edition.captions is not None and edition.captions.publishes(output),
        lacks=lacks,
    )
