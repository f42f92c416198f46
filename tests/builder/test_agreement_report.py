from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dataset_builder.gates import GateOptions, judge
from dataset_builder.kappa_table import read_kappas
from dataset_builder.study.agreement import AgreementReport, FacetAgreement, agreement_document, measure
from dataset_builder.study.annotations import Annotation
from rocov2_eval.errors import RejectedInput
from rocov2_eval.rendering.render import render

CT, XRAY, MRI = "C0040405", "C1306645", "C0024485"
AP, PA = "C1999039", "C1996865"


def answer(image: object, cui: str, rater: str, *, facet: str = "modality", time: str = "") -> Annotation:
    return Annotation(image=str(image), facet=facet, cui=cui, rater=rater, time=time)


def of_table(
    table: Sequence[Sequence[int]], values: Sequence[str], facet: str = "modality"
) -> list[Annotation]:
    """Return the answers of two raters whose table this is."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [
        answer(image, values[code], f"rater-{number}", facet=facet)
        for image, pair in enumerate(cells)
        for number, code in enumerate(pair, 1)
    ]


def of_rows(rows: Sequence[str], facet: str = "of our own") -> list[Annotation]:
    """Return the answers of many raters, one text an image, one character a rater, a dot for no answer."""
    return [
        answer(image, mark, f"rater-{number}", facet=facet)
        for image, row in enumerate(rows)
        for number, mark in enumerate(row, 1)
        if mark != "."
    ]


def facet_of(annotations: Sequence[Annotation], **options: object) -> FacetAgreement:
    return measure(annotations, "made", **options).facets[0]  # type: ignore[arg-type]


def text_of(report: AgreementReport, style: str = "text") -> str:
    return render(agreement_document(report), style)


SKEWED = of_table([[80, 10], [5, 5]], [CT, MRI])
MIXED = [*of_table([[40, 5], [5, 50]], [CT, MRI]), *of_table([[80, 10], [5, 5]], [AP, PA], "direction")]
ONE_CLASS = of_table([[30, 30], [0, 0]], [CT, MRI])


@pytest.mark.parametrize(
    ("rows", "coefficient"),
    [
        (["ab", "bb", "aa"], "Cohen's kappa"),
        (["aab", "bbb", "aaa"], "Fleiss' kappa"),
        (["aab", "bb.", "aaa"], "Krippendorff's alpha"),
    ],
)
def test_the_coefficient_follows_from_the_raters(rows: list[str], coefficient: str) -> None:
    assert facet_of(of_rows(rows)).estimate.coefficient == coefficient


def test_the_first_rater_by_name_has_the_rows_of_the_confusion() -> None:
    data = agreement_document(measure(of_table([[20, 5], [10, 15]], [CT, MRI]), "made")).data
    facet = data["facets"]["modality"]
    assert (facet["kappa"], facet["raters"]) == (pytest.approx(0.4), ["rater-1", "rater-2"])
    assert facet["table"] == {"classes": [CT, MRI], "rows": [[20, 5], [10, 15]]}


def test_classes_stand_in_the_order_in_which_raters_are_offered_them() -> None:
    found = facet_of(of_table([[1, 0, 0], [0, 5, 0], [0, 0, 9]], ["unsure", MRI, CT]))
    assert list(found.classes) == [CT, MRI, "unsure"]


def test_facets_stand_in_the_order_of_curation_and_others_after_them() -> None:
    report = measure([*of_rows(["ab"], "a facet"), *MIXED[::-1]], "made")
    assert [each.ratings.facet for each in report.facets] == ["modality", "direction", "a facet"]


@pytest.mark.parametrize("time", ["", "2026-01-01T00:00:00Z"])
def test_of_answers_whose_order_is_not_known_none_counts_and_they_are_reported(time: str) -> None:
    undecided = [answer("a", cui, "rater-1", time=time) for cui in (CT, MRI)]
    report = measure([*SKEWED, *undecided, answer("a", CT, "rater-2")], "made")
    ratings = report.facets[0].ratings
    assert (len(ratings.codes), ratings.alone, ratings.undecided) == (100, 1, 2)
    assert "different ones of a rater, without times: 2" in text_of(report)


def test_every_facet_must_reach_the_floor() -> None:
    report = measure(MIXED, "made")
    assert ([facet.meets_floor for facet in report.facets], report.meets_floor) == ([True, False], False)
    assert text_of(report).startswith("made: kappa does not reach 0.6: direction (0.3182)\n")


@pytest.mark.parametrize(
    ("annotations", "shown"),
    [(of_table([[30]], [CT]), "undefined"), (ONE_CLASS, "0.0000 without an interval")],
)
def test_without_kappa_or_its_interval_no_floor_is_met(annotations: list[Annotation], shown: str) -> None:
    report = measure(annotations, "made", floor=-1)
    assert not report.meets_floor
    assert f"kappa does not reach -1: modality ({shown})" in text_of(report)


@pytest.mark.parametrize("style", ["json", "csv"])
def test_what_is_written_passes_through_the_gate_of_a_build(tmp_path: Path, style: str) -> None:
    report = measure([*MIXED, *of_table([[30]], ["C0817096"], "region")], "made")
    path = tmp_path / f"agreement.{style}"
    path.write_text(render(agreement_document(report), style), "utf-8")
    assert read_kappas(path) == {each.ratings.facet: each.estimate.kappa for each in report.facets}
    found = judge([], [], GateOptions(agreement=path, on_failure="fail"))
    assert [each.outcome for each in found if each.unit == "kappa"] == ["pass", "not measured", "fail"]


@pytest.mark.parametrize(
    ("facets", "message"),
    [
        ('{"a": 0.5}', ": Expected `object`, got `float`"),
        ('{"a": {"raw": 1}}', ": Object missing required field `kappa`"),
        ('{"a": {"kappa": "high"}}', ": Expected `float | null`, got `str`"),
        ("{}", ": no facet, expected at least one with its kappa"),
    ],
)
def test_a_broken_report_is_no_input_of_the_gate(tmp_path: Path, facets: str, message: str) -> None:
    path = tmp_path / "agreement.json"
    path.write_text(f'{{"schema_version": 1, "facets": {facets}}}', encoding="utf-8")
    with pytest.raises(RejectedInput) as caught:
        read_kappas(path)
    assert str(caught.value).startswith(f"{path}{message}")
