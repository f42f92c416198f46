from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.formats import Table
from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics import METRICS
from rocov2_eval.records import SampleScores, Task
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.scoring import Report, available, check, evaluate, not_computed, plan
from rocov2_eval.settings import Settings
from rocov2_eval.truth import Truth

CONCEPTS = [("a", "C1;C2"), ("b", "C3"), ("c", "")]
CAPTIONS = [("a", "A chest radiograph."), ("b", "A head CT."), ("c", "An ankle MRI.")]
RUN = "a,C1;C2\nb,C4\nc,\n"
CAPTION_RUN = "ID,Caption\na,A chest radiograph\nb,A pelvis CT\nc,Nothing\n"
CT = "C0040405"
Score = Callable[..., Report]
Read = Callable[..., tuple[Table, Truth]]
Dataset = Callable[..., Path]


def values(report: Report, name: str = "concept_f1") -> list[float]:
    return report.samples[name].values.tolist()


def means(report: Report) -> dict[str, float | None]:
    return {name: result.mean for name, result in report.metrics.items()}


def test_scores_come_in_the_order_of_the_truth(scored: Score, dataset: Dataset) -> None:
    report = scored("c,\nb,C4\na,C1;C2\n", dataset(concepts=CONCEPTS))

    expected = ["a", "b", "c"], [1.0, 0.0, 1.0]
    assert expected == (list(report.image_ids), values(report))


def test_the_mean_is_over_all_images_of_the_truth(scored: Score, dataset: Dataset) -> None:
    assert pytest.approx(2 / 3) == scored(RUN, dataset(concepts=CONCEPTS)).metrics["concept_f1"].mean


def test_precision_and_recall_stand_beside_concept_f1(scored: Score, dataset: Dataset) -> None:
    report = scored("a,C1\n", dataset(concepts=[("a", "C1;C2")]))

    expected = {"concept_f1": 2 / 3, "concept_precision": 1.0, "concept_recall": 0.5}
    assert pytest.approx(expected) == means(report)


def test_in_2018_an_image_without_concepts_is_left_out_of_the_mean(scored: Score, dataset: Dataset) -> None:
    report = scored(RUN.replace(",", "\t"), dataset(concepts=CONCEPTS), edition="imageclef-2018")

    expected = 0.5, 2, 1
    result = report.metrics["concept_f1"]
    assert expected == (result.mean, result.n, result.unscored)


def test_the_secondary_score_looks_at_scored_manual_concepts_alone(scored: Score, dataset: Dataset) -> None:
    folder = dataset(concepts=CONCEPTS, concepts_manual=[("a", f"{CT};C2"), ("b", "C3"), ("c", CT)])
    report = scored(f"a,{CT};C1\nb,C1\nc,C1\n", folder)

    expected = 0.5, 2, 1
    result = report.metrics["concept_f1_manual"]
    assert expected == (result.mean, result.n, result.unscored)


@pytest.mark.parametrize(
    ("edition", "expected"),
    [("rocov2", 0), ("imageclef-2024", 0), ("imageclef-2025", 1), ("imageclef-2026", 1)],
)
def test_optical_coherence_tomography_is_scored_since_2025(
    scored: Score, dataset: Dataset, edition: str, expected: int
) -> None:
    rows = [("a", "C0920367")]

    report = scored("a,C0920367\n", dataset(concepts=rows, concepts_manual=rows), edition=edition)

    assert expected == report.metrics["concept_f1_manual"].n


@pytest.mark.parametrize("edition", ["imageclef-2018", "imageclef-2022", "imageclef-2023"])
def test_editions_without_secondary_score_give_none(scored: Score, dataset: Dataset, edition: str) -> None:
    rows = [("a", CT)]
    delimiter = "\t" if edition == "imageclef-2018" else "|"

    report = scored(f"a{delimiter}{CT}\n", dataset(concepts=rows, concepts_manual=rows), edition=edition)

    assert "concept_f1_manual" not in report.metrics


def test_without_manual_concepts_the_secondary_score_is_named_as_not_computed(
    scored: Score, dataset: Dataset
) -> None:
    report = scored(RUN, dataset(concepts=CONCEPTS))

    expected = ["concept_f1_manual"]
    assert expected == list(report.not_computed)


@pytest.mark.parametrize("edition", ["imageclef-2025", "imageclef-2026"])
def test_what_an_edition_publishes_and_is_not_computed_is_named_in_its_order(
    scored: Score, dataset: Dataset, edition: str
) -> None:
    report = scored(CAPTION_RUN, dataset(captions=CAPTIONS), "captions", edition, metrics=())

    expected = [name for name in EDITIONS[edition].columns("captions") if name != "ROUGE"]
    assert expected == list(report.not_computed)


def test_where_scores_are_chosen_nothing_else_is_missing(scored: Score, dataset: Dataset) -> None:
    report = scored(CAPTION_RUN, dataset(captions=CAPTIONS), "captions", "imageclef-2026", metrics=("rouge",))

    assert report.not_computed == {}


@pytest.mark.parametrize("edition", ["imageclef-2025", "imageclef-2026"])
def test_without_its_weights_bertscore_is_not_computed_where_it_does_not_rank(
    scored: Score, dataset: Dataset, edition: str
) -> None:
    report = scored(CAPTION_RUN, dataset(captions=CAPTIONS), "captions", edition, metrics=())

    assert report.not_computed["BERTScore"].startswith("needs ")
    assert report.not_computed["BERTScore"] in report.not_computed["Overall"]


@pytest.mark.parametrize(
    ("edition", "metrics"), [("rocov2", ()), ("imageclef-2024", ()), ("imageclef-2026", ("bertscore",))]
)
def test_bertscore_is_not_left_out_where_it_ranks_or_was_asked_for(
    read: Read, dataset: Dataset, edition: str, metrics: tuple[str, ...]
) -> None:
    _, truth = read(CAPTION_RUN, dataset(captions=CAPTIONS), "captions", edition)

    steps = plan(Settings(edition=EDITIONS[edition], metrics=metrics), truth)

    assert steps[0].metric.name == "bertscore"


def test_scores_that_an_edition_has_and_we_have_not_are_named_with_a_reason(
    read: Read, dataset: Dataset
) -> None:
    _, truth = read(CAPTION_RUN, dataset(captions=CAPTIONS), "captions", "imageclef-2024")
    settings = Settings(edition=EDITIONS["imageclef-2024"])
    rules = settings.edition.captions

    reasons = not_computed(settings, truth, ["bertscore_f1", "rouge1"])

    assert rules is not None
    assert rules.excluded.items() <= reasons.items()
    assert "MedBERTScore" in reasons


def test_rouge_normalises_captions(scored: Score, dataset: Dataset) -> None:
    report = scored(CAPTION_RUN, dataset(captions=CAPTIONS), "captions")

    assert pytest.approx([1.0, 2 / 3, 0.0]) == values(report, "rouge1")


def test_without_lenient_a_run_with_an_error_is_rejected(scored: Score, dataset: Dataset) -> None:
    with pytest.raises(RejectedInput) as caught:
        scored("a,C1\n", dataset(concepts=CONCEPTS))

    assert "R105" in {item.code for item in caught.value.findings}


def test_lenient_counts_a_missing_image_as_zero(scored: Score, dataset: Dataset) -> None:
    report = scored("a,C1;C2\n", dataset(concepts=CONCEPTS), lenient=True)

    expected = [1.0, 0.0, 0.0]
    assert expected == values(report)


def test_lenient_counts_a_missing_image_as_zero_even_against_an_empty_caption(
    scored: Score, dataset: Dataset
) -> None:
    report = scored("ID,Caption\na,x\n", dataset(captions=[("a", "x"), ("b", "")]), "captions", lenient=True)

    expected = [1.0, 0.0]
    assert expected == values(report, "rouge1")


def test_lenient_leaves_out_unknown_images(scored: Score, dataset: Dataset) -> None:
    report = scored(f"z,C9\n{RUN}", dataset(concepts=CONCEPTS), lenient=True)

    expected = [1.0, 0.0, 1.0]
    assert expected == values(report)


def test_lenient_takes_the_first_of_two_rows_of_an_image(scored: Score, dataset: Dataset) -> None:
    report = scored(f"{RUN}a,C9\nb,C3\n", dataset(concepts=CONCEPTS), lenient=True)

    expected = [1.0, 0.0, 1.0]
    assert expected == values(report)


def test_lenient_scores_a_run_of_too_many_concepts(scored: Score, dataset: Dataset) -> None:
    cell = ";".join(f"C{i}" for i in range(1, 120))

    report = scored(f"a,{cell}\n", dataset(concepts=[("a", "C1")]), lenient=True)

    assert pytest.approx([2 / 120]) == values(report)


def test_lenient_refuses_a_run_without_an_image_of_the_truth(scored: Score, dataset: Dataset) -> None:
    with pytest.raises(RejectedInput, match="contains no image of"):
        scored("z,C1\n", dataset(concepts=CONCEPTS), lenient=True)


def test_a_result_in_spite_of_errors_is_marked(scored: Score, dataset: Dataset) -> None:
    expected = ("--lenient accepted 2 errors; the official evaluator rejects this run",)

    assert expected == scored("a,C1\nz,C1\n", dataset(concepts=CONCEPTS), lenient=True).notes


def test_lenient_marks_nothing_where_there_is_no_error(scored: Score, dataset: Dataset) -> None:
    expected: tuple[str, ...] = ()

    assert expected == scored(RUN, dataset(concepts=CONCEPTS), lenient=True).notes


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ((), {"rouge1", "rouge2", "rougeL"}),
        (("rouge",), {"rouge1", "rouge2", "rougeL"}),
        (("rouge2",), {"rouge2"}),
        (("rouge1", "rougeL"), {"rouge1", "rougeL"}),
        (("rouge", "rouge1"), {"rouge1", "rouge2", "rougeL"}),
    ],
)
def test_metrics_are_chosen_by_their_name_or_that_of_an_output(
    read: Read, dataset: Dataset, chosen: tuple[str, ...], expected: set[str]
) -> None:
    everything = read(CAPTION_RUN, dataset(captions=CAPTIONS), "captions")

    report = evaluate(*everything, Settings(metrics=chosen, bootstrap=None), open_fake)

    assert expected == {name for name in report.metrics if name.startswith("rouge")}


def test_without_a_choice_every_metric_of_the_task_is_computed(read: Read, dataset: Dataset) -> None:
    everything = read(CAPTION_RUN, dataset(captions=CAPTIONS), "captions")

    report = evaluate(*everything, Settings(bootstrap=None), open_fake)

    expected = {
        output for name in available(EDITIONS["rocov2"], "captions") for output in METRICS[name].outputs
    }
    assert expected == report.metrics.keys()
    assert list(report.metrics)[:2] == ["bertscore_f1", "rouge1"]


@pytest.mark.parametrize("name", ["rouge", "bertscore", "bleu", ""])
def test_a_metric_that_the_task_does_not_have_is_refused_with_those_it_has(
    scored: Score, dataset: Dataset, name: str
) -> None:
    with pytest.raises(UsageFault, match=r"rocov2 has for concepts: concept_f1, "):
        scored(RUN, dataset(concepts=CONCEPTS), metrics=(name,))


def test_the_secondary_score_without_manual_concepts_is_refused_where_asked_for(
    scored: Score, dataset: Dataset
) -> None:
    with pytest.raises(UsageFault, match=r"--metric concept_f1_manual: there is no concepts_manual\.csv"):
        scored(RUN, dataset(concepts=CONCEPTS), metrics=("concept_f1_manual",))


@pytest.mark.parametrize(
    ("edition", "task", "expected"),
    [
        ("imageclef-2018", "concepts", ("concept_f1",)),
        ("imageclef-2023", "concepts", ("concept_f1",)),
        ("imageclef-2024", "concepts", ("concept_f1", "concept_f1_manual")),
        ("rocov2", "captions", ("bertscore", "rouge")),
        ("imageclef-2018", "captions", ("bleu",)),
        ("imageclef-2022", "captions", ("bleu", "rouge")),
        ("imageclef-2023", "captions", ("bertscore", "rouge")),
    ],
)
def test_an_edition_offers_the_metrics_that_it_has(
    edition: str, task: Task, expected: tuple[str, ...]
) -> None:
    assert expected == available(EDITIONS[edition], task)


@pytest.mark.parametrize(
    ("edition", "expected"),
    [
        ("rocov2", [0.0, 1.0]),
        ("imageclef-2017", [0.0, 1.0]),
        ("imageclef-2018", [0.0, 1.0]),
        ("imageclef-2021", [0.0, 1.0]),
        ("imageclef-2022", [0.0, 1.0]),
        ("imageclef-2023", [1.0]),
        ("imageclef-2024", [1.0]),
        ("imageclef-2025", [1.0]),
        ("imageclef-2026", [1.0]),
    ],
)
def test_an_id_that_holds_the_capitals_id_is_scored_or_skipped_as_the_edition_does(
    scored: Score, dataset: Dataset, edition: str, expected: list[float]
) -> None:
    folder = dataset(concepts=[("COVID_1", "C1"), ("b", "C2")])
    delimiter = EDITIONS[edition].concepts.dialect.delimiter.replace("auto", "|")

    report = scored(f"COVID_1{delimiter}C9\nb{delimiter}C2\n", folder, edition=edition)

    assert expected == values(report)


@pytest.mark.parametrize("edition", ["imageclef-2024", "imageclef-2025"])
def test_a_skipped_id_is_told_for_run_and_truth(scored: Score, dataset: Dataset, edition: str) -> None:
    folder = dataset(concepts=[("COVID_1", "C1"), ("b", "C2")])

    report = scored("COVID_1,C9\nb,C2\n", folder, edition=edition)

    expected = [report.run[0], str(folder / "concepts.csv")]
    assert expected == [item.path for item in report.findings if item.code == "R106"]


def test_the_skipping_of_ids_stands_in_the_signature(scored: Score, dataset: Dataset) -> None:
    report = scored("a,C1\n", dataset(concepts=[("a", "C1")]), edition="imageclef-2024")

    assert "skip_id_rows:yes" in report.metrics["concept_f1"].signature.split("|")


def test_rocov2_rejects_a_caption_with_an_unquoted_comma(scored: Score, dataset: Dataset) -> None:
    with pytest.raises(RejectedInput):
        scored("ID,Caption\na,x, y\n", dataset(captions=[("a", "x, y")]), "captions")


def test_2025_scores_a_caption_up_to_its_unquoted_comma(scored: Score, dataset: Dataset) -> None:
    report = scored("ID,Caption\na,x, y\n", dataset(captions=[("a", "x, y")]), "captions", "imageclef-2025")

    assert pytest.approx([2 / 3]) == values(report, "rouge1")


def test_rocov2_scores_a_caption_empty_on_both_sides_as_one(scored: Score, dataset: Dataset) -> None:
    report = scored("ID,Caption\na,\n", dataset(captions=[("a", "...")]), "captions")

    expected = [1.0]
    assert expected == values(report, "rouge1")


@pytest.mark.parametrize("header", ["", "id,cuis\n", "\ufeffID,CUIs\n"])
def test_rocov2_takes_any_header_or_none(scored: Score, dataset: Dataset, header: str) -> None:
    expected = [1.0]

    assert expected == values(scored(f"{header}a,C1\n", dataset(concepts=[("a", "C1")])))


@pytest.mark.parametrize(
    "edition", [name for name, row in EDITIONS.items() if row.captions.publishes("bertscore_f1")]
)
def test_idf_is_used_since_2025(read: Read, dataset: Dataset, edition: str) -> None:
    text = CAPTION_RUN.replace(",", "|") if edition == "imageclef-2023" else CAPTION_RUN
    everything = read(text, dataset(captions=CAPTIONS), "captions", edition)

    settings = Settings(edition=EDITIONS[edition], metrics=("bertscore",), bootstrap=None)
    report = evaluate(*everything, settings, open_fake)

    expected = "idf:yes" if edition in ("imageclef-2025", "imageclef-2026") else "idf:no"
    assert expected in report.metrics["bertscore_f1"].signature.split("|")


def test_the_signature_names_what_was_opened(read: Read, dataset: Dataset) -> None:
    everything = read(CAPTION_RUN, dataset(captions=CAPTIONS), "captions")

    report = evaluate(*everything, Settings(metrics=("bertscore",), bootstrap=None), open_fake)

    assert "encoder:fake@123" in report.metrics["bertscore_f1"].signature.split("|")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        ({"encoder": "minilm"}, ["BERTScore with encoder minilm"]),
        ({"encoder": "/a/folder"}, ["BERTScore with encoder /a/folder"]),
        ({"precision": "bf16"}, ["BERTScore in bf16"]),
        ({"encoder": "minilm", "metrics": ("rouge",)}, []),
    ],
)
def test_a_bertscore_that_is_not_the_official_one_is_noted(
    read: Read, dataset: Dataset, settings: dict[str, Any], expected: list[str]
) -> None:
    everything = read(CAPTION_RUN, dataset(captions=CAPTIONS), "captions")

    notes = evaluate(*everything, Settings(**settings, bootstrap=None), open_fake).notes

    assert expected == [start for note, start in zip(notes, expected, strict=True) if note.startswith(start)]


def test_a_model_is_opened_with_the_options_of_the_settings(read: Read, dataset: Dataset) -> None:
    everything = read(CAPTION_RUN, dataset(captions=CAPTIONS), "captions")
    opened: list[Any] = []

    @contextmanager
    def opener(metric: Metric, options: Options) -> Iterator[Opened]:
        opened.append(options)
        with open_fake(metric, options) as resource:
            yield resource

    evaluate(*everything, Settings(encoder="minilm", precision="bf16", bootstrap=None), opener)

    expected = [("minilm", None, "bf16", False)]
    assert expected == [(item.encoder, item.layer, item.precision, item.idf) for item in opened]


def test_a_breakdown_averages_within_its_groups(scored: Score, dataset: Dataset) -> None:
    report = scored(RUN, dataset(concepts=CONCEPTS), by=("concepts",))

    expected = [("0", 1, 1.0), ("1", 1, 0.0), ("2", 1, 1.0)]
    groups = report.breakdowns["concepts"]
    assert expected == [(group.name, group.images, group.metrics["concept_f1"].mean) for group in groups]


def test_the_images_of_a_breakdown_add_up(scored: Score, sample: Path) -> None:
    text = (sample / "train_concepts.csv").read_bytes()

    report = scored(text, sample, by=("modality", "region", "direction", "concepts"))

    expected = {len(report.image_ids)}
    assert expected == {sum(group.images for group in groups) for groups in report.breakdowns.values()}


def test_the_truth_against_itself_scores_one(scored: Score, sample: Path) -> None:
    text = (sample / "valid_concepts.csv").read_bytes()

    expected = dict.fromkeys(("concept_f1", "concept_precision", "concept_recall", "concept_f1_manual"), 1.0)
    assert expected == means(scored(text, sample))


def test_intervals_are_made_where_asked_for(scored: Score, dataset: Dataset) -> None:
    report = scored(RUN, dataset(concepts=CONCEPTS), bootstrap=Bootstrap(resamples=200))

    result = report.metrics["concept_f1"]
    assert result.interval is not None
    assert 0 <= result.interval.low < result.mean < result.interval.high <= 1


def test_without_intervals_asked_for_there_are_none(scored: Score, dataset: Dataset) -> None:
    assert scored(RUN, dataset(concepts=CONCEPTS)).metrics["concept_f1"].interval is None


def test_the_errors_of_a_concept_run_are_listed(scored: Score, dataset: Dataset) -> None:
    found = scored(RUN, dataset(concepts=CONCEPTS)).concept_errors

    expected = ["C3"], ["C4"]
    assert found is not None
    assert expected == ([item.cui for item in found.missed], [item.cui for item in found.invented])


def test_a_caption_run_has_no_concept_errors(scored: Score, dataset: Dataset) -> None:
    assert scored(CAPTION_RUN, dataset(captions=CAPTIONS), "captions").concept_errors is None


def test_findings_come_in_the_order_of_their_lines_those_of_the_whole_file_last(
    read: Read, dataset: Dataset
) -> None:
    everything = read("b,C3;C3\n\na,C1;\n", dataset(concepts=CONCEPTS))

    found = check(*everything, EDITIONS["rocov2"])

    expected = [("R202", 1), ("R101", 2), ("R203", 3), ("R105", None), ("R502", None)]
    assert expected == [(item.code, item.line) for item in found]


def test_strict_adds_the_format_check_of_2026(read: Read, dataset: Dataset) -> None:
    everything = read("id,CUIs\nb,C3\na,C1\nc,\n", dataset(concepts=CONCEPTS))

    plain, strict = (check(*everything, EDITIONS["rocov2"], strict=flag) for flag in (False, True))

    expected = {"R401", "R402"}
    assert expected == {item.code for item in set(strict) - set(plain)}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Stand for a loaded encoder under which every caption scores 0.5."""

    scores: dict[str, SampleScores]
    identity: str = "fake@123"
    layer: int = 40


@contextmanager
def open_fake(metric: Metric, _: Options) -> Iterator[Opened]:
    half = SampleScores(values=np.full(len(CAPTIONS), 0.5), scored=np.ones(len(CAPTIONS), np.bool_))
    yield Opened(scores=dict.fromkeys(metric.outputs, half))


@pytest.fixture(autouse=True)
def _fake_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let metrics with a model return what `open_fake` opened."""
    faked = {
        name: replace(metric, score=lambda *arguments: arguments[-1].scores) if metric.load else metric
        for name, metric in METRICS.items()
    }
    monkeypatch.setattr("rocov2_eval.scoring.METRICS", faked)


@pytest.mark.parametrize("edition", ["rocov2", "imageclef-2024"])
def test_image_vectors_are_refused_where_no_score_takes_them(
    scored: Score, dataset: Dataset, edition: str
) -> None:
    truth = dataset(captions=CAPTIONS)

    with pytest.raises(UsageFault, match=r"--image-vectors: \S+ has no similarity; editions with it"):
        scored(CAPTION_RUN, truth, "captions", edition, metrics=("rouge",), image_vectors=Path("v.npz"))
