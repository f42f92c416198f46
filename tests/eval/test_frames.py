"""Runs and truths as objects of Python: each form scores as the file does, faults name the argument."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rocov2_eval
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.frames import frame_of, to_pandas

pa = pytest.importorskip("pyarrow")  # the light install has pandas alone
RUN = Path(__file__).resolve().parents[2] / "submissions/example-team/nearest-picture/run.csv"
TRUTH = {"a": "C1;C2", "b": "C3", "c": ""}
HALF = {"a": "C1", "b": "C3", "c": ""}  # F1 of 2/3, 1 and 1
ROWS = {"image_id": list(HALF), "cui": list(HALF.values())}


class OnlyInterchange:
    """A frame with nothing but `__dataframe__`."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:  # noqa: FBT001, FBT002
        return self._table.__dataframe__(nan_as_null, allow_copy)


class OnlyStream:
    """A table with nothing but the Arrow PyCapsule interface."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class FaceDataset:
    """What `datasets.Dataset` offers, with pictures that must not be decoded."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.column_names = ["image", *columns]
        self._columns = columns

    def __getitem__(self, name: str) -> list[Any]:
        assert name != "image", "a picture was decoded"
        return self._columns[name]

    def __iter__(self) -> Any:
        raise AssertionError("rows were decoded")


class PolarsFrame:
    """What `polars.DataFrame` offers: names as `columns`, series with `to_list`."""

    columns = ("image_id", "cui")
    iter_rows = None

    def __getitem__(self, name: str) -> Any:
        return pd.Series(ROWS[name])


FORMS: dict[str, Callable[[], object]] = {
    "mapping of ids": lambda: HALF,
    "mapping of ids to lists": lambda: {key: cell.split(";") if cell else [] for key, cell in HALF.items()},
    "mapping of columns": lambda: ROWS,
    "mapping of arrays": lambda: {name: np.array(cells) for name, cells in ROWS.items()},
    "mapping of records": lambda: {key: {"cui": cell} for key, cell in HALF.items()},
    "records": lambda: [{"image_id": key, "cui": cell} for key, cell in HALF.items()],
    "generator of records": lambda: ({"image_id": key, "cui": cell} for key, cell in HALF.items()),
    "pairs": lambda: list(HALF.items()),
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas, index of ids": lambda: pd.DataFrame(ROWS).set_index("image_id"),
    "pandas, other columns": lambda: pd.DataFrame({"score": [0.1, 0.2, 0.3], **ROWS}),
    "pandas, no names": lambda: pd.DataFrame(list(HALF.items())),
    "pandas, missing values": lambda: pd.DataFrame(ROWS).replace("", None),
    "pandas, NA": lambda: pd.DataFrame(ROWS).replace("", pd.NA).astype("string"),
    "pandas, NaN": lambda: pd.DataFrame(ROWS).replace("", float("nan")),
    "pandas, sets": lambda: pd.DataFrame({"image_id": list(HALF), "cui": [{"C1"}, {"C3"}, set()]}),
    "pandas series": lambda: pd.Series(HALF),
    "pyarrow": lambda: pa.table(ROWS),
    "pyarrow lists": lambda: pa.table({"image_id": list(HALF), "cui": [["C1"], ["C3"], []]}),
    "polars": PolarsFrame,
    "only __dataframe__": lambda: OnlyInterchange(pa.table(ROWS)),
    "only __arrow_c_stream__": lambda: OnlyStream(pa.table(ROWS)),
    "datasets": lambda: FaceDataset({"image_id": list(HALF), "cui": [["C1"], ["C3"], []]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_run_scores_as_the_file_does(form: str, tmp_path: Path) -> None:
    truth, run = tmp_path / "truth.csv", tmp_path / "run.csv"
    for path, answers in ((truth, TRUTH), (run, HALF)):
        path.write_text("ID,CUIs\n" + "".join(f"{key},{cell}\n" for key, cell in answers.items()), "utf-8")
    of_file = rocov2_eval.score(run, truth)
    of_object = rocov2_eval.score(FORMS[form](), truth)

    assert of_object.metrics == of_file.metrics
    assert of_object.per_image().equals(of_file.per_image())
    assert of_object.run[0] == "run"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_truth_is_one(form: str) -> None:
    report = rocov2_eval.score(HALF, FORMS[form]())
    assert (report.metrics["concept_f1"].mean, report.truth[0][0]) == (1.0, "truth")


def test_frames_of_polars_itself_are_read() -> None:
    pl = pytest.importorskip("polars")
    lists = pl.DataFrame({"image_id": list(HALF), "cui": [["C1"], ["C3"], []]})
    for run in (pl.DataFrame(ROWS), lists, pl.DataFrame(ROWS).lazy()):
        assert rocov2_eval.score(run, TRUTH).metrics == rocov2_eval.score(HALF, TRUTH).metrics


def test_datasets_of_hugging_face_itself_are_read() -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"image_id": list(HALF), "cui": [["C1"], ["C3"], []]})
    for run in (made, made.to_iterable_dataset()):
        assert rocov2_eval.score(run, TRUTH).metrics == rocov2_eval.score(HALF, TRUTH).metrics
    with pytest.raises(UsageFault, match=r"such as truth\['train'\]"):
        rocov2_eval.score(HALF, datasets.DatasetDict({"train": made, "validation": made}))


def test_a_dataset_with_captions_and_concepts_is_the_truth_of_both() -> None:
    truth = FaceDataset({"image_id": ["a", "b"], "caption": ["a chest", "a hand"], "cui": [["C1"], ["C2"]]})
    captions = rocov2_eval.score({"a": "a chest", "b": "a foot"}, truth, metrics=["rouge1"])
    concepts = rocov2_eval.score({"a": "C1", "b": "C1"}, truth)

    assert captions.metrics["rouge1"].mean == pytest.approx(0.75)
    assert concepts.metrics["concept_f1"].mean == 0.5


def test_tables_of_a_folder_bring_the_manual_concepts() -> None:
    truth = {
        "concepts": pd.DataFrame({"ID": ["a", "b"], "CUIs": ["C0040405;C1", "C1306645"]}),
        "concepts_manual": {"a": "C0040405", "b": "C1306645"},
    }
    report = rocov2_eval.score({"a": "C0040405", "b": "C1"}, truth, by=["modality"])

    assert report.metrics["concept_f1_manual"].mean == 0.5
    assert report.breakdown("modality")["images"].to_dict() == {"CT": 1, "X-ray": 1}


def test_numbers_as_ids_are_compared_as_they_are_written() -> None:
    run = pd.DataFrame({"ID": [1, 2], "CUIs": ["C1", "C2"]})
    assert rocov2_eval.score(run, {"1": "C1", "2": "C2"}).metrics["concept_f1"].mean == 1.0
    unknown = rocov2_eval.validate(run, {"001": "C1", "002": "C2"})
    assert "'1' should be '001'" in unknown[0].message


def test_findings_of_an_object_name_argument_and_row() -> None:
    run = pd.DataFrame({"image_id": ["a", "b", "b"], "cui": ["C1", "C3", "C3"]})
    (finding,) = [item for item in rocov2_eval.validate(run, TRUTH) if item.code == "R103"]
    assert (finding.path, finding.line) == ("run", 3)
    assert finding.message == "'b' appeared in row 2 already"
    with pytest.raises(RejectedInput) as caught:
        rocov2_eval.compare([HALF, run], TRUTH)
    assert {item.path for item in caught.value.findings if item.severity == "error"} == {"runs[1]"}
    with pytest.raises(RejectedInput, match="truth"):
        rocov2_eval.score(HALF, run)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (["C1", "C2"], r"run\[0\] is a str 'C1': expected a path, a frame, "),
        ([("a", "C1"), ("b",)], r"run\[1\] is a tuple: expected"),
        (3, "run is a int 3: expected a path"),
        (dict, "run is a type: expected"),
        ({"train": pd.DataFrame(ROWS), "valid": pd.DataFrame(ROWS)}, r"such as run\['train'\]"),
        ({"image_id": ["a"], "cui": ["C1", "C2"]}, "columns of different lengths: image_id, cui"),
    ],
)
def test_what_is_no_run_is_refused_with_what_would_be_one(run: Any, message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        rocov2_eval.score(run, TRUTH)


def test_a_frame_without_ids_is_a_finding_that_lists_its_columns() -> None:
    (finding,) = rocov2_eval.validate(pd.DataFrame({"x": ["a"], "y": [1], "z": [2]}), TRUTH)
    assert (finding.code, finding.path) == ("R012", "run")
    assert "'x', 'y', 'z'" in finding.message


def test_the_format_check_of_a_file_is_refused_for_an_object() -> None:
    with pytest.raises(UsageFault, match="strict checks the format of a file"):
        rocov2_eval.validate(HALF, TRUTH, strict=True)


def test_an_object_is_no_file_that_the_platform_would_refuse() -> None:
    assert rocov2_eval.validate(HALF, TRUTH) == rocov2_eval.validate(pd.Series(HALF), TRUTH)
    assert {item.code for item in rocov2_eval.validate(HALF, TRUTH)} <= {"R502"}


def test_ids_of_an_object_choose_the_rules() -> None:
    truth = {f"ImageCLEFmedical_Caption_2023_test_00000{i}": "C1" for i in (1, 2)}
    report = rocov2_eval.score(truth, pd.Series(truth))
    assert (report.edition, report.chosen_by) == ("imageclef-2023", "ids")


def test_records_that_come_once_are_the_truth_of_every_run() -> None:
    truth = ({"image_id": key, "cui": cell} for key, cell in TRUTH.items())
    compared = rocov2_eval.compare([HALF, TRUTH, HALF], truth)
    assert [report.metrics["concept_f1"].mean for report in compared.reports][1] == 1.0


def test_a_mapping_of_series_is_one_table() -> None:
    run = {"image_id": pd.Series(list(HALF)), "cui": pd.Series(list(HALF.values()))}
    assert rocov2_eval.score(run, TRUTH).metrics == rocov2_eval.score(HALF, TRUTH).metrics


def test_a_year_may_be_a_number() -> None:
    assert rocov2_eval.score(HALF, TRUTH, edition=2026).edition == "imageclef-2026"  # type: ignore[arg-type]


def test_the_digest_of_an_object_is_that_of_its_answers() -> None:
    first, second = (rocov2_eval.score(run, TRUTH).run for run in (HALF, pd.DataFrame(ROWS)))
    other = rocov2_eval.score(TRUTH, TRUTH).run
    assert first == second != other


def test_what_is_missing_for_a_frame_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **others: Any) -> Any:
        if name.partition(".")[0] in ("pandas", "pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **others)

    table = OnlyStream(pa.table(ROWS))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingResource, match="pip install pandas"):
        to_pandas({"a": [1]})
    with pytest.raises(MissingResource, match="a OnlyStream is read with pyarrow: pip install pyarrow"):
        frame_of(table, "run")


def test_a_report_is_frames(sample: Path) -> None:
    report = rocov2_eval.score(RUN, sample, by=["modality"])
    scores, images, groups = report.to_frame(), report.per_image(), report.breakdown("modality")

    assert list(scores.index) == list(report.metrics)
    assert scores.loc["concept_f1", "mean"] == report.metrics["concept_f1"].mean
    assert list(images.index) == list(report.image_ids)
    assert images["concept_f1"].mean() == pytest.approx(report.metrics["concept_f1"].mean)
    assert images["concept_f1_manual"].isna().sum() == report.metrics["concept_f1_manual"].unscored == 1
    assert list(groups.index) == [group.name for group in report.breakdowns["modality"]]
    assert groups["images"].sum() == 13
    with pytest.raises(UsageFault, match=r"no scores by 'region': call score\(…, by=\['region'\]\)"):
        report.breakdown("region")


def test_a_comparison_of_three_runs_is_frames(sample: Path) -> None:
    answers = dict.fromkeys(rocov2_eval.score(RUN, sample).image_ids, "C0040405")
    compared = rocov2_eval.compare([RUN, sample / "valid_concepts.csv", answers], sample)
    pairs, images, groups = compared.to_frame(), compared.per_image(), compared.breakdown("modality")

    assert len(pairs) == len(compared.pairs) == 6
    assert list(pairs["difference"]) == [pair.difference for pair in compared.pairs]
    second, third = dict.fromkeys(pairs["b"])
    assert second.endswith("valid_concepts.csv")
    assert not Path(second).is_absolute()
    assert third == "runs[2]"
    assert images.shape == (13, 6)
    assert images["concept_f1"]["runs[2]"].mean() == compared.reports[2].metrics["concept_f1"].mean
    assert len(groups) == sum(len(pair.effects["modality"]) for pair in compared.pairs)
    with pytest.raises(UsageFault, match=r"call compare\(…, by=\['direction'\]\)"):
        compared.breakdown("direction")


def test_a_notebook_shows_the_answer_of_the_command_and_runs_nothing_of_a_stranger() -> None:
    report = rocov2_eval.score({"a": "<script>alert(1)</script>", "b": "C3", "c": ""}, TRUTH)
    compared = rocov2_eval.compare([HALF, TRUTH, HALF], TRUTH)
    html = report._repr_html_()

    assert "run: concepts, rocov2, 3 images; our own rules, because the ids name no year" in html
    assert ">0.6667<" in html
    assert "<script" not in html
    assert "3 runs: concepts" in compared._repr_html_()
    assert "runs[1]" in compared._repr_html_()
