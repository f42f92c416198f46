from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from dataset_builder.agreement import coefficients
from dataset_builder.agreement.ratings import tabulate
from dataset_builder.agreement.report import AgreementOptions, AgreementReport, FacetAgreement, measure
from dataset_builder.agreement.reporters import (
    agreement_csv,
    agreement_document,
    agreement_json,
    agreement_markdown,
    agreement_text,
)
from dataset_builder.gates import GateOptions, judge
from dataset_builder.kappa_table import read_kappas
from dataset_builder.study.annotations import Annotation
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.resampling import Bootstrap

CT, XRAY, MRI = "C0040405", "C1306645", "C0024485"
AP, PA = "C1999039", "C1996865"
SMALL = Bootstrap(resamples=200)


def answer(image: object, cui: str, rater: str, *, facet: str = "modality", time: str = "") -> Annotation:
    return Annotation(image=str(image), facet=facet, cui=cui, rater=rater, time=time)


def of_table(
    table: Sequence[Sequence[int]], values: Sequence[str], facet: str = "modality"
) -> list[Annotation]:
    """Return the answers of two raters whose table this is."""
    given = [
        (values[i], values[j])
        for i, row in enumerate(table)
        for j, count in enumerate(row)
        for _ in range(count)
    ]
    return [
        answer(image, cui, f"rater-{number}", facet=facet)
        for image, pair in enumerate(given)
        for number, cui in enumerate(pair, 1)
    ]


def of_rows(rows: Sequence[str], facet: str = "of our own") -> list[Annotation]:
    """Return the answers of many raters, one text an image, one character a rater, a dot for no answer."""
    return [
        answer(image, mark, f"rater-{number}", facet=facet)
        for image, row in enumerate(rows)
        for number, mark in enumerate(row, 1)
        if mark != "."
    ]


def report_of(annotations: Sequence[Annotation], **options: object) -> AgreementReport:
    return measure(annotations, "made", AgreementOptions(**{"bootstrap": SMALL, **options}))  # type: ignore[arg-type]


def facet_of(annotations: Sequence[Annotation], **options: object) -> FacetAgreement:
    return report_of(annotations, **options).facets[0]


SKEWED = of_table([[80, 10], [5, 5]], [CT, MRI])
MIXED = [*of_table([[40, 5], [5, 50]], [CT, MRI]), *of_table([[80, 10], [5, 5]], [AP, PA], "direction")]


def test_two_raters_have_cohens_kappa() -> None:
    found = facet_of(of_table([[20, 5], [10, 15]], [CT, MRI]))
    assert (found.coefficient, found.agreement.kappa, found.images) == (
        "Cohen's kappa",
        pytest.approx(0.4),
        50,
    )


def test_the_first_rater_by_name_has_the_rows() -> None:
    found = facet_of(of_table([[20, 5], [10, 15]], [CT, MRI]))
    assert (found.raters, found.table) == (("rater-1", "rater-2"), ((20, 5), (10, 15)))


def test_classes_stand_in_the_order_in_which_raters_are_offered_them() -> None:
    found = facet_of(of_table([[1, 0, 0], [0, 5, 0], [0, 0, 9]], ["unsure", MRI, CT]))
    assert [each.label for each in found.classes] == ["CT", "MRI", "cannot tell"]


def test_the_share_of_a_class_is_of_all_answers() -> None:
    found = facet_of(SKEWED)
    assert [(each.answers, each.share) for each in found.classes] == [(175, 0.875), (25, 0.125)]


def test_facets_stand_in_the_order_of_curation_and_others_after_them() -> None:
    annotations = [*of_rows(["ab"], "a facet"), *MIXED[::-1]]
    assert [each.facet for each in report_of(annotations).facets] == ["modality", "direction", "a facet"]


def test_images_of_one_rater_alone_are_counted_and_left_out() -> None:
    found = facet_of([*SKEWED, answer("alone", CT, "rater-1")])
    assert (found.images, found.alone) == (100, 1)


def test_low_kappa_in_spite_of_high_raw_agreement_is_put_down_to_prevalence() -> None:
    (note,) = (note for note in facet_of(SKEWED).agreement.notes if note.startswith("prevalence"))
    assert "raw agreement of 0.850 would mean kappa 0.700" in note


def test_even_classes_with_equal_raw_agreement_need_no_explanation() -> None:
    assert facet_of(of_table([[40, 9], [6, 45]], [CT, MRI])).agreement.notes == ()


def test_raters_who_use_classes_unequally_are_told_what_kappa_they_could_reach() -> None:
    found = facet_of(of_table([[40, 40], [0, 20]], [CT, MRI]))
    assert found.agreement.greatest == pytest.approx(found.agreement.kappa)
    assert found.agreement.notes[-1].startswith("bias")


def test_kappa_of_one_class_is_undefined_with_a_reason() -> None:
    found = facet_of(of_table([[30]], [CT]))
    assert (found.agreement.kappa, found.agreement.raw, found.agreement.interval) == (None, 1.0, None)
    assert found.agreement.reason == "every answer is CT, so that chance alone would agree as well"


def test_a_facet_without_an_image_of_two_raters_is_undefined_with_a_reason() -> None:
    found = facet_of([answer(1, CT, "rater-1"), answer(2, CT, "rater-2")])
    assert (found.agreement.reason, found.alone) == ("no image has answers of two raters", 2)


def test_raters_who_never_differ_have_an_interval_that_narrows_with_images() -> None:
    few, many = (facet_of(of_table([[n, 0], [0, n]], [CT, MRI])).agreement for n in (2, 200))
    assert few.interval is not None
    assert many.interval is not None
    # Clopper and Pearson: of 4 of 4, the low end is 0.025 ** (1 / 4) = 0.3976; chance agrees on a half.
    assert few.interval.low == pytest.approx((0.025**0.25 - 0.5) / 0.5)
    assert many.interval.low > 0.95
    assert many.method == "exact"


def test_a_class_too_rare_for_the_bootstrap_has_no_interval_and_says_so() -> None:
    found = facet_of(of_table([[100, 1, 0], [0, 100, 0], [1, 0, 1]], [CT, MRI, XRAY]))
    rare = next(each for each in found.classes if each.value == XRAY)
    assert (rare.agreement.interval, rare.agreement.method) == (None, "none")
    assert rare.agreement.notes[0].startswith("no interval: kappa is undefined in ")


def test_few_images_are_remarked() -> None:
    assert (
        "20 images are few: errors are rough"
        in facet_of(of_table([[9, 1], [1, 9]], [CT, MRI])).agreement.notes
    )


def test_equal_seeds_give_equal_intervals() -> None:
    ends = [
        facet_of(SKEWED, bootstrap=Bootstrap(resamples=200, seed=seed)).agreement.interval
        for seed in (1, 1, 2)
    ]
    assert ends[0] == ends[1] != ends[2]


def test_unsure_is_a_class_unless_left_out() -> None:
    annotations = of_table([[30, 2, 3], [1, 40, 0], [2, 1, 5]], [CT, MRI, "unsure"])
    as_class, left_out = facet_of(annotations), facet_of(annotations, unsure="exclude")
    assert (as_class.images, as_class.unsure, len(as_class.classes)) == (84, 0, 3)
    assert (left_out.images, left_out.unsure, left_out.alone) == (73, 16, 6)
    assert left_out.table == ((30, 2), (1, 40))


def test_more_raters_who_answer_every_image_have_fleiss_kappa() -> None:
    found = facet_of(of_rows(["aab", "bbb", "aaa", "abb"]))
    assert found.coefficient == "Fleiss' kappa"
    assert found.agreement.kappa == pytest.approx(
        float(coefficients.fleiss_kappa(np.array([[2, 1], [0, 3], [3, 0], [1, 2]]), np.ones(4)))
    )


def test_more_raters_with_answers_missing_have_krippendorffs_alpha() -> None:
    # Krippendorff (2011): four observers, twelve units.
    observers = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    found = facet_of(of_rows(["".join(marks) for marks in zip(*observers, strict=True)]))
    assert (found.coefficient, found.alone) == ("Krippendorff's alpha", 1)
    assert found.agreement.kappa == pytest.approx(0.743, abs=5e-4)


def test_more_raters_are_compared_in_pairs_as_well() -> None:
    found = facet_of(of_rows(["aab", "bb.", "aaa", "ab."]))
    assert [(pair.first, pair.second, pair.images) for pair in found.pairs] == [
        ("rater-1", "rater-2", 4),
        ("rater-1", "rater-3", 2),
        ("rater-2", "rater-3", 2),
    ]
    assert (found.pairs[0].kappa, found.pairs[1].kappa) == (pytest.approx(0.5), 0)


def test_a_pair_that_says_one_thing_has_no_kappa_but_a_reason() -> None:
    found = facet_of(of_rows(["aab", "aab"]))
    assert (found.pairs[0].kappa, found.pairs[0].reason) == (None, "every answer of both is the same")


def test_the_later_of_two_answers_counts() -> None:
    repeated = [
        answer(0, MRI, "rater-1", time="2026-01-02T09:00:00Z"),
        answer(0, CT, "rater-1", time="2026-01-02T09:30:00Z"),
        answer(0, CT, "rater-2"),
    ]
    for given in (repeated, repeated[::-1]):
        (ratings,) = tabulate(given)
        assert (ratings.classes, ratings.replaced) == ((CT,), 1)


def test_the_same_answer_twice_counts_once_without_a_time() -> None:
    (ratings,) = tabulate([answer(0, CT, "rater-1"), answer(0, CT, "rater-1"), answer(0, CT, "rater-2")])
    assert (ratings.codes.tolist(), ratings.replaced) == ([[0, 0]], 1)


@pytest.mark.parametrize("time", ["", "2026-01-01T00:00:00Z"])
def test_of_answers_whose_order_is_not_known_none_counts_and_it_is_told(time: str) -> None:
    undecided = [answer("a", cui, "rater-1", time=time) for cui in (CT, MRI)]
    found = facet_of([*SKEWED, *undecided, answer("a", CT, "rater-2")])
    assert (found.images, found.alone, found.undecided, found.replaced) == (100, 1, 2, 0)
    text = agreement_text(report_of([*SKEWED, *undecided]))
    assert "2 answers left out, for a rater gives different ones and no time tells the latest" in text


def test_a_rater_who_uses_one_class_only_shows_nothing() -> None:
    found = facet_of(of_table([[30, 30], [0, 0]], [CT, MRI]), floor=0.0)
    assert (found.agreement.kappa, found.agreement.interval, found.agreement.method) == (0, None, "none")
    assert found.agreement.standard_error is None
    assert found.agreement.notes[0].startswith("no interval: kappa is the same in all resamples")
    assert not found.meets_floor


def test_a_floor_that_is_not_shown_to_be_reached_is_told_as_such() -> None:
    text = agreement_text(report_of(of_table([[30, 30], [0, 0]], [CT, MRI]), floor=0.0))
    assert "kappa is not shown to reach 0" in text
    assert text.splitlines()[-1] == "Kappa does not reach 0: modality (0.000 without an interval)"


def test_raters_who_never_agree_have_an_interval_that_narrows_with_images() -> None:
    few, many = (facet_of(of_table([[0, n], [n, 0]], [CT, MRI])).agreement for n in (2, 200))
    assert few.interval is not None
    assert many.interval is not None
    # Clopper and Pearson: of 0 of 4, the high end is 1 - 0.025 ** (1 / 4); chance agrees on a half.
    assert (few.interval.low, few.interval.high) == (-1, pytest.approx((1 - 0.025**0.25 - 0.5) / 0.5))
    assert many.interval.high < -0.95
    assert (many.method, many.standard_error) == ("exact", None)


def test_raters_who_each_say_one_thing_of_their_own_have_no_interval() -> None:
    found = facet_of(of_table([[0, 60], [0, 0]], [CT, MRI]), floor=-1)
    assert (found.agreement.kappa, found.agreement.interval, found.meets_floor) == (0, None, False)


def test_a_third_rater_with_a_few_images_does_not_hide_the_kappa_of_the_other_two() -> None:
    of_two = of_table([[40, 5], [5, 50]], [CT, MRI])
    found = facet_of([*of_two, answer(0, CT, "rater-3")])
    assert found.coefficient == "Krippendorff's alpha"
    assert found.agreement.notes[-1].endswith(
        "raters rater-1, rater-2 alone: kappa 0.798 on 100 images (--rater looks at some)"
    )
    assert facet_of(of_two).agreement.kappa == pytest.approx(0.798, abs=5e-4)


def test_raters_who_answer_every_image_need_no_word_about_the_coefficient() -> None:
    assert not any("alone" in note for note in facet_of(of_rows(["aab", "bbb", "aaa"])).agreement.notes)


def test_a_pair_in_which_one_says_one_thing_has_no_standard_error() -> None:
    found = facet_of(of_rows(["aab", "aba", "abb"]))
    assert [(pair.kappa, pair.standard_error) for pair in found.pairs[:2]] == [(0, None), (0, None)]


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (
            [answer("a", "CT", "rater-1")],
            "image a, rater-1: 'CT' is no answer to modality, expected one of C0040405",
        ),
        (
            [answer(i, f"{i}", rater, facet="free text") for i in range(101) for rater in "ab"],
            "facet free text has 101 different answers, expected at most 100",
        ),
    ],
)
def test_answers_that_cannot_be_compared_are_refused(annotations: list[Annotation], message: str) -> None:
    with pytest.raises(RejectedInput) as caught:
        tabulate(annotations)
    assert str(caught.value).startswith(message)


def test_a_floor_out_of_bounds_is_refused() -> None:
    with pytest.raises(UsageFault, match=r"^floor: 2, expected a number from -1 to 1$"):
        AgreementOptions(floor=2)


def test_the_floor_is_met_by_every_facet_that_reaches_it() -> None:
    report = report_of(MIXED)
    assert ([facet.meets_floor for facet in report.facets], report.meets_floor) == ([True, False], False)


def test_the_lower_end_may_be_held_to_the_floor() -> None:
    table = of_table([[40, 9], [6, 45]], [CT, MRI])
    assert [facet_of(table, by_lower=by_lower).meets_floor for by_lower in (False, True)] == [True, False]


def test_a_facet_without_kappa_does_not_meet_the_floor() -> None:
    assert not facet_of(of_table([[30]], [CT]), floor=-1).meets_floor


@pytest.mark.parametrize("write", [agreement_json, agreement_csv])
def test_what_is_written_passes_through_the_gate_of_a_build(
    tmp_path: Path, write: Callable[[AgreementReport], str]
) -> None:
    report = report_of([*MIXED, *of_table([[30]], ["C0817096"], "region")])
    path = tmp_path / f"agreement.{'json' if write is agreement_json else 'csv'}"
    path.write_text(write(report), encoding="utf-8")
    assert read_kappas(path) == {facet.facet: facet.agreement.kappa for facet in report.facets}
    found = judge([], [], GateOptions(agreement=path, on_failure="fail"))
    assert [each.outcome for each in found if each.unit == "kappa"] == ["pass", "not measured", "fail"]


@pytest.mark.parametrize(
    ("facets", "message"),
    [
        ('{"a": 0.5}', ": a: expected an object with 'kappa'"),
        ('{"a": {"raw": 1}}', ": a: expected an object with 'kappa'"),
        ('{"a": {"kappa": "high"}}', ": a: kappa high, expected a number from -1 to 1"),
        ("{}", ": no facet, expected at least one with its kappa"),
    ],
)
def test_a_broken_report_is_no_input_of_the_gate(tmp_path: Path, facets: str, message: str) -> None:
    path = tmp_path / "agreement.json"
    path.write_text(f'{{"schema_version": 1, "facets": {facets}}}', encoding="utf-8")
    with pytest.raises(RejectedInput) as caught:
        read_kappas(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_json_has_what_made_each_figure() -> None:
    document = agreement_document(report_of(SKEWED, floor=0.7, by_lower=True))
    assert document["floor"] == {"kappa": 0.7, "of": "the lower end of the interval", "met": False}
    assert document["bootstrap"] == {"resamples": 200, "level": 0.95, "seed": 20260101}
    assert document["facets"]["modality"]["table"]["rows"] == [[80, 10], [5, 5]]
    assert json.loads(agreement_json(report_of(SKEWED)))["unsure"] == "class"


def test_csv_has_a_row_a_facet() -> None:
    rows = list(csv.DictReader(io.StringIO(agreement_csv(report_of(MIXED)))))
    assert [(row["facet"], row["coefficient"], row["images"]) for row in rows] == [
        ("modality", "Cohen's kappa", "100"),
        ("direction", "Cohen's kappa", "100"),
    ]


def test_text_has_the_table_and_the_verdict() -> None:
    lines = agreement_text(report_of(MIXED)).splitlines()
    table = [line.split() for line in lines if line.startswith("  CT ")]
    assert table[1] == ["CT", "40", "5"]
    assert lines[-1] == "Kappa does not reach 0.6: direction (0.318)"


def test_markdown_has_a_table_a_class() -> None:
    text = agreement_markdown(report_of(MIXED))
    assert "| CT | 90 | 0.450 | 0.900 | 0.798 | [" in text
    assert "| rater-1 \\\\ rater-2 | CT | MRI |" in text


@pytest.mark.slow
@pytest.mark.parametrize(("raters", "kappa"), [(2, 0.5), (2, 0.8), (3, 0.6)])
def test_bootstrap_intervals_cover_kappa_as_often_as_they_say(raters: int, kappa: float) -> None:
    generator = np.random.default_rng(7)
    shares, images, studies = np.array([0.5, 0.3, 0.2]), 150, 600
    covered = 0
    for _ in range(studies):
        # One draw is shared by all raters with probability kappa, else each has one of their own.
        own = generator.choice(3, size=(images, raters), p=shares)
        together = generator.random((images, 1)) < kappa
        answers = np.where(together, own[:, :1], own)
        found = facet_of(of_rows(["".join("abc"[code] for code in row) for row in answers]))
        assert found.agreement.interval is not None
        covered += found.agreement.interval.low <= kappa <= found.agreement.interval.high
    assert 0.925 <= covered / studies <= 0.975
