"""Relevance, Factuality and Overall: means of their members on every image, and never of fewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from members import MEMBERS, VALUES, replace_members

from rocov2_eval.comparison import ComparisonOptions, compare
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.formats import Table
from rocov2_eval.metrics.derived import DERIVED, derive, parts
from rocov2_eval.pages import run_page
from rocov2_eval.ranking import Entry, rank
from rocov2_eval.records import SampleScores
from rocov2_eval.rendering.render import render
from rocov2_eval.report_document import reasons, report_document
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.scoring import Report, evaluate
from rocov2_eval.settings import Settings
from rocov2_eval.significance import PairOptions
from rocov2_eval.truth import Truth
from rocov2_eval.worst_images import worst_images

CAPTIONS = [("a", "A chest radiograph."), ("b", "A head CT."), ("c", "An ankle MRI.")]
CONCEPTS = [("a", "C1;C2"), ("b", "C3"), ("c", "")]
RUN = "ID,Caption\na,nothing\nb,good\nc,nothing\n"
ROW_2026 = [
    *("overall", "relevance", "factuality", "bertscore_f1", "rouge1"),
    *("similarity", "bleurt", "umls_f1", "alignscore"),
]
# Rows of the boards of 2025 (the first) and 2026 as they were published.
PUBLISHED = [
    (0.3211, 0.5076, 0.1346, 0.5951, 0.2535, 0.8798, 0.3020, 0.1672, 0.1021),
    (0.3755, 0.5786, 0.1724, 0.6250, 0.3234, 1.0104, 0.3555, 0.2160, 0.1287),
    (0.3603, 0.5527, 0.1679, 0.6017, 0.2725, 0.9902, 0.3463, 0.1822, 0.1537),
    (0.3571, 0.5365, 0.1777, 0.6042, 0.2809, 0.9381, 0.3229, 0.1943, 0.1610),
    (0.3516, 0.5288, 0.1743, 0.6130, 0.2728, 0.9113, 0.3183, 0.1812, 0.1674),
    (0.3458, 0.5377, 0.1539, 0.6075, 0.2725, 0.9408, 0.3299, 0.1751, 0.1327),
    (0.3343, 0.5201, 0.1484, 0.6013, 0.2226, 0.9273, 0.3293, 0.1563, 0.1406),
    (0.3193, 0.4999, 0.1388, 0.5977, 0.2243, 0.8496, 0.3278, 0.1397, 0.1379),
    (0.3065, 0.4705, 0.1426, 0.5465, 0.2224, 0.7787, 0.3342, 0.1443, 0.1408),
]
RELEVANCE = 0.375  # of VALUES
FACTUALITY = 0.3125
Dataset = Callable[..., Path]
Scored = Callable[..., Report]


@pytest.fixture
def all_scored(scored: Scored, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Scored:
    """Return a function that scores a run of 2026 by stand-ins of all metrics."""

    def score(
        run: str = RUN,
        *,
        lacking: Mapping[str, str] | None = None,
        unscored: tuple[str, ...] = (),
        edition: str = "imageclef-2026",
        **settings: object,
    ) -> Report:
        replace_members(monkeypatch, lacking, unscored)
        folder = dataset(captions=CAPTIONS, concepts=CONCEPTS)
        return scored(run, folder, "captions", edition, **{"metrics": (), **settings})

    return score


def values(report: Report, name: str) -> list[float]:
    return report.samples[name].values.tolist()


def test_each_image_has_the_mean_of_the_members(all_scored: Scored) -> None:
    report = all_scored()

    assert values(report, "relevance") == [RELEVANCE, RELEVANCE + 0.5, RELEVANCE]
    assert values(report, "factuality") == [FACTUALITY, FACTUALITY + 0.5, FACTUALITY]
    assert pytest.approx([(RELEVANCE + FACTUALITY) / 2 + step for step in (0, 0.5, 0)]) == values(
        report, "overall"
    )


def test_the_mean_of_overall_is_that_of_the_published_row(all_scored: Scored) -> None:
    means = {name: result.mean for name, result in all_scored().metrics.items()}

    relevance = sum(means[name] or 0 for name in DERIVED["relevance"].members) / 4
    factuality = sum(means[name] or 0 for name in DERIVED["factuality"].members) / 2
    assert pytest.approx((relevance + factuality) / 2, abs=1e-15) == means["overall"]


def test_all_scores_of_2026_stand_in_the_order_of_the_organisers(all_scored: Scored) -> None:
    report = all_scored()

    assert list(report.metrics) == ROW_2026
    assert report.not_computed == {}


def test_the_three_members_of_the_public_code_count_in_2025_alone(all_scored: Scored) -> None:
    of_2025, of_2026 = all_scored(edition="imageclef-2025"), all_scored()

    assert [*ROW_2026, "relevance_as_code"] == list(of_2025.metrics)
    assert pytest.approx(2 / 3) == values(of_2025, "relevance_as_code")[0]
    assert "relevance_as_code" not in of_2026.metrics


@pytest.mark.parametrize("edition", ["rocov2", "imageclef-2023", "imageclef-2024"])
def test_editions_that_publish_no_mean_of_scores_get_none(all_scored: Scored, edition: str) -> None:
    run = RUN.replace(",", "|") if edition == "imageclef-2023" else RUN

    assert DERIVED.keys().isdisjoint(all_scored(run, edition=edition).metrics)


@pytest.mark.parametrize(
    ("metric", "left"),
    [
        ("bleurt", {"factuality"}),
        ("similarity", {"factuality"}),
        ("bertscore", {"factuality"}),
        ("alignscore", {"relevance"}),
        ("umls_f1", {"relevance"}),
    ],
)
def test_without_a_member_there_is_no_mean_of_fewer(all_scored: Scored, metric: str, left: set[str]) -> None:
    report = all_scored(lacking={metric: "fetch it"})

    assert left == report.metrics.keys() & DERIVED.keys()
    missing = {"Overall", *({"Relevance", "Factuality"} - {name.capitalize() for name in left})}
    assert missing < report.not_computed.keys()


def test_the_reason_of_a_missing_mean_has_the_reasons_of_the_missing_members(all_scored: Scored) -> None:
    report = all_scored(lacking={"bleurt": "no weights: fetch bleurt", "umls_f1": "name a pack"})

    bleurt, pack = "BLEURT (no weights: fetch bleurt)", "MedCAT F1 (name a pack)"
    expected = {
        "Overall": f"needs {bleurt}, {pack}",
        "Relevance": f"needs {bleurt}",
        "Factuality": f"needs {pack}",
        "BLEURT": "no weights: fetch bleurt",
        "MedCAT F1": "name a pack",
    }
    assert expected == report.not_computed


def test_in_text_each_reason_is_told_once(all_scored: Scored) -> None:
    report = all_scored(lacking={"bleurt": "no weights", "alignscore": "no weights"})

    expected = [
        "Overall (needs BLEURT, AlignScore)",
        "Relevance (needs BLEURT)",
        "Factuality (needs AlignScore)",
        "BLEURT, AlignScore (no weights)",
    ]
    assert expected == reasons(report.not_computed)


def test_the_table_has_the_whole_row_with_what_is_missing(all_scored: Scored) -> None:
    report = all_scored(lacking={"bleurt": "no weights"})

    lines = render(report_document(report), "text").splitlines()

    first = [line.split()[0] for line in lines[5:14]]
    assert first == ROW_2026
    assert "not computed" in lines[11]
    assert any(line == "Not computed: BLEURT (no weights)" for line in lines)


def test_a_mean_brings_its_members_and_nothing_else(all_scored: Scored) -> None:
    report = all_scored(metrics=("factuality",))

    assert list(report.metrics) == ["factuality", "umls_f1", "alignscore"]


def test_a_mean_that_is_asked_for_and_lacks_a_member_is_refused_before_anything_is_scored(
    all_scored: Scored,
) -> None:
    with pytest.raises(MissingResource, match=r"--metric overall: needs AlignScore \(fetch it\)"):
        all_scored(lacking={"alignscore": "fetch it"}, metrics=("overall",))


def test_a_mean_of_another_edition_is_refused_with_what_there_is(all_scored: Scored) -> None:
    with pytest.raises(
        UsageFault,
        match=r"--metric relevance_as_code: did you mean relevance.* imageclef-2026 has .*overall",
    ):
        all_scored(metrics=("relevance_as_code",))


def test_an_image_that_a_member_leaves_out_is_left_out(all_scored: Scored) -> None:
    report = all_scored(unscored=("bleurt",))

    assert report.samples["overall"].scored.tolist() == [False, True, True]
    assert values(report, "overall")[0] == 0.0
    assert report.metrics["factuality"].n == 3


def test_a_missing_image_counts_nothing(all_scored: Scored) -> None:
    report = all_scored("ID,Caption\na,good\nb,good\n", lenient=True)

    assert values(report, "overall")[2] == 0.0


def test_the_signature_names_the_members_and_follows_theirs(all_scored: Scored) -> None:
    report = all_scored()
    other = all_scored(edition="imageclef-2025")

    signature = report.metrics["relevance"].signature
    assert signature.startswith("relevance|rev:1|members:bertscore_f1+rouge1+similarity+bleurt|of:")
    assert signature == other.metrics["relevance"].signature
    assert report.metrics["overall"].signature != report.metrics["factuality"].signature


def test_intervals_groups_and_worst_images_are_those_of_any_score(
    read: Callable[..., tuple[Table, Truth]], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_members(monkeypatch)
    folder = dataset(captions=CAPTIONS, concepts=CONCEPTS)
    run, truth = read(RUN, folder, "captions", "imageclef-2026", facets=True)
    settings = Settings(
        edition=EDITIONS["imageclef-2026"], by=("concepts",), bootstrap=Bootstrap(resamples=50)
    )

    report = evaluate(run, truth, settings, no_model)

    assert report.metrics["overall"].interval is not None
    groups = {group.name: group.metrics["overall"].mean for group in report.breakdowns["concepts"]}
    assert pytest.approx((RELEVANCE + FACTUALITY) / 2 + 0.5) == groups["1"]
    assert [image.image_id for image in worst_images(report, run, truth, "overall")] == ["a", "c", "b"]
    page = run_page(report, title="A run", private=True, worst=worst_images(report, run, truth, "overall"))
    assert (
        page.index("Overall") < page.index("Relevance") < page.index("Factuality") < page.index("BERTScore")
    )


def test_derived_scores_are_compared(all_scored: Scored) -> None:
    better = all_scored("ID,Caption\na,good\nb,good\nc,good\n")

    options = ComparisonOptions(pairs=PairOptions(trials=100))
    comparison = compare([all_scored(), better], {}, options)

    assert list(comparison.metrics) == ROW_2026
    (pair,) = [pair for pair in comparison.pairs if pair.metric == "overall"]
    assert pytest.approx(1 / 3) == pair.difference


def test_a_board_ranks_by_overall_and_needs_no_note(all_scored: Scored) -> None:
    reports = {"bad/1": all_scored(), "good/1": all_scored("ID,Caption\na,good\nb,good\nc,good\n")}

    entries = [entry(name, report) for name, report in reports.items()]
    board = rank(entries, PairOptions(trials=100), is_compared=False)

    assert (board.primary, board.notes) == ("overall", ())
    assert [standing.entry.name for standing in board.standings] == ["good/1", "bad/1"]


def test_without_overall_a_board_ranks_by_the_first_score_and_says_what_is_missing(
    all_scored: Scored,
) -> None:
    report = all_scored(lacking={"bleurt": "no weights in /secret/place"})

    board = rank([entry("a/1", report)], PairOptions(trials=100))

    assert board.primary == "factuality"
    expected = "ranked by factuality, not by overall as the edition does: it needs bleurt, not computed here"
    assert (expected,) == board.notes


@pytest.mark.parametrize("is_first", [True, False])
def test_a_board_does_not_mix_runs_with_and_without_a_score(all_scored: Scored, *, is_first: bool) -> None:
    whole, part = entry("a/1", all_scored()), entry("b/1", all_scored(lacking={"bleurt": "no weights"}))

    with pytest.raises(UsageFault, match="overall was computed differently"):
        rank([whole, part] if is_first else [part, whole], PairOptions(trials=100))


def no_model(*_: object) -> Any:
    raise AssertionError("this test has no model")


def entry(name: str, report: Report) -> Entry:
    team, _, run = name.partition("/")
    return Entry(team=team, run=run, metadata={}, report=report)


def row_id(row: Sequence[float]) -> str:
    return f"{row[0]}"


@pytest.mark.parametrize("row", PUBLISHED, ids=row_id)
def test_published_rows_are_means_of_their_members(row: Sequence[float]) -> None:
    columns = dict(zip(ROW_2026, row, strict=True))
    samples = {name: one(columns[name]) for name in MEMBERS.values()}

    for name in ("relevance", "factuality", "overall"):
        samples[name] = derive(name, samples)

    assert {name: pytest.approx(columns[name], abs=1.01e-4) for name in ROW_2026} == {
        name: scores.mean for name, scores in samples.items()
    }


def one(value: float) -> SampleScores:
    return SampleScores(values=np.array([value]), scored=np.ones(1, np.bool_))


def test_a_score_is_made_of_its_members_and_theirs() -> None:
    expected = {"overall", "relevance", "factuality", *MEMBERS.values()}

    assert expected == set(parts("overall"))
    assert parts("rouge1") == ("rouge1",)
    assert expected - {"overall", "relevance", "factuality"} == VALUES.keys()
