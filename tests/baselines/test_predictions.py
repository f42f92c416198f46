"""Run files of one run and of several, with floors as members: they are fitted in a moment."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from errno import EACCES
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from baselines import decisions
from baselines.cli import run
from baselines.concepts import unlearnt
from baselines.data.dataset import read_pictures
from baselines.predictions import _mean
from rocov2_eval.errors import ExitCode, RejectedInput
from rocov2_eval.shelf.csv_files import read_rows, write_csv

Output = pytest.CaptureFixture[str]
Fit = Callable[..., Path]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """Return what fits a floor, `fit("name", data, "data.only=…")`, and returns its run folder."""

    def fitted(name: str, data: Path, *overrides: str, recipe: str = "floor_nearest_pixels") -> Path:
        sets = [part for override in overrides for part in ("--set", override)]
        assert run(["train", recipe, "--data", str(data), "-o", str(tmp_path / name), "-q", *sets]) == 0
        return tmp_path / name

    return fitted


def predicted(folder: Path, data: Path, out: Path, *others: Path) -> dict[str, str]:
    """Return the answers of a run, and of others with it, by image."""
    ensemble = [part for other in others for part in ("--ensemble", str(other))]
    assert run(["predict", str(folder), *ensemble, "--data", str(data), "-o", str(out), "-q"]) == ExitCode.OK
    return {row["ID"]: row["CUIs"] for _, row in read_rows(out, ("ID", "CUIs"))}


def concepts(data: Path, split: str) -> list[tuple[str, str]]:
    """Return id and concepts of each image of a split."""
    return [(row["ID"], row["CUIs"]) for _, row in read_rows(data / f"{split}_concepts.csv", ("ID", "CUIs"))]


def test_pictures_that_cannot_be_read_are_named_and_listed(
    own_dataset: Path, tmp_path: Path, fit: Fit, capsys: Output
) -> None:
    folder, broken = fit("floor", own_dataset), own_dataset / "test/tiny_test_000004.jpg"
    broken.write_bytes(b"no picture")
    answers = predicted(folder, own_dataset, tmp_path / "run.csv")

    told = capsys.readouterr().err
    assert "warning: 1 of 18 pictures of the test split cannot be decoded:\n  tiny_test_000004" in told
    assert "answered as a black picture" in told
    assert [row["ID"] for _, row in read_rows(tmp_path / "run.unread.csv", ("ID",))] == ["tiny_test_000004"]
    assert answers["tiny_test_000004"]


def test_a_list_of_unread_pictures_goes_when_they_can_be_read_again(
    tiny_dataset: Path, tmp_path: Path, fit: Fit
) -> None:
    (tmp_path / "run.unread.csv").write_text("ID,Fault\na,b\n")
    predicted(fit("floor", tiny_dataset), tiny_dataset, tmp_path / "run.csv")
    assert not (tmp_path / "run.unread.csv").exists()


def test_broken_pictures_of_both_splits_are_told_when_training_begins(
    own_dataset: Path, fit: Fit, capsys: Output
) -> None:
    for split in ("train", "valid"):
        (own_dataset / split / f"tiny_{split}_000002.jpg").write_bytes(b"no picture")
    folder = fit("floor", own_dataset, "data.allow_broken=true")

    told = capsys.readouterr().err
    assert "1 of 36 pictures of the train split cannot be decoded" in told
    assert "Validation uses black pictures instead." in told
    assert {"tiny_train_000002", "tiny_valid_000002"} == json.loads((folder / "run.json").read_text())[
        "data"
    ]["broken"].keys()


def test_a_broken_picture_of_a_filter_is_not_answered_with_a_key_of_another_recipe(
    tmp_path: Path, capsys: Output
) -> None:
    for name in ("radiology", "other"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "classes" / name / "a.png").write_bytes(b"no picture")
    arguments = [
        "train",
        "filter_radiology",
        "--data",
        str(tmp_path / "classes"),
        "-o",
        str(tmp_path / "run"),
    ]

    assert run([*arguments, "-q"]) == ExitCode.INPUT_REJECTED
    told = capsys.readouterr().err
    assert "cannot be decoded" in told
    assert "data.allow_broken" not in told


def test_concepts_that_no_training_image_has_are_told_with_what_they_cost(
    own_dataset: Path, fit: Fit, capsys: Output
) -> None:
    rows = [
        (row["ID"], row["CUIs"]) for _, row in read_rows(own_dataset / "valid_concepts.csv", ("ID", "CUIs"))
    ]
    rows[:2] = [(image_id, "C0040405;C9999999") for image_id, _ in rows[:2]]
    write_csv(own_dataset / "valid_concepts.csv", ("ID", "CUIs"), rows)
    folder = fit("floor", own_dataset)

    said = (
        "1 concept cannot be learnt, because too few training images have them (C9999999): "
        "2 of 18 images have one"
    )
    assert f"warning: of the valid split, {said}, so F1 cannot be above 0.9630" in capsys.readouterr().err
    assert said in (folder / "README.md").read_text()


def test_a_concept_of_broken_pictures_alone_cannot_be_learnt(own_dataset: Path, fit: Fit) -> None:
    rows = [
        (row["ID"], row["CUIs"]) for _, row in read_rows(own_dataset / "train_concepts.csv", ("ID", "CUIs"))
    ]
    rows[0] = (rows[0][0], "C9999999")
    write_csv(own_dataset / "train_concepts.csv", ("ID", "CUIs"), rows)
    (own_dataset / f"train/{rows[0][0]}.jpg").write_bytes(b"no picture")
    folder = fit("floor", own_dataset, "data.allow_broken=true")

    assert "C9999999" not in (folder / "labels.csv").read_text()


def test_the_largest_f1_counts_every_concept_that_is_no_label() -> None:
    found = unlearnt([("a", "b"), ("a", "x"), ("x", "y"), ()], ("a", "b"))
    assert found is not None
    assert (found.concepts, found.first, found.images, found.of) == (2, ("x", "y"), 2, 4)
    assert found.largest_f1 == pytest.approx((1 + 2 / 3 + 0 + 1) / 4)


def test_nothing_is_told_where_everything_can_be_learnt() -> None:
    assert unlearnt([("a",), ("b", "a")], ("a", "b")) is None


def test_an_ensemble_fits_its_decision_as_its_first_run_did(
    tiny_dataset: Path, tmp_path: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fit("floor", tiny_dataset, "data.only=['C0040405', 'C0024485']")
    alone = predicted(folder, tiny_dataset, tmp_path / "alone.csv")
    fitted: list[Any] = []
    real = decisions.fit
    monkeypatch.setattr(decisions, "fit", lambda *given: fitted.append(given) or real(*given))

    assert alone == predicted(folder, tiny_dataset, tmp_path / "twice.csv", folder)
    ((_, truth, _, outside),) = fitted
    assert (truth.sum(), outside.sum()) == (12, 0)  # as if an image had no other concepts


def test_an_ensemble_answers_over_the_labels_of_all_its_runs(
    tiny_dataset: Path, tmp_path: Path, fit: Fit
) -> None:
    table = tmp_path / "chest.csv"
    taught = [(image_id, "C0817096") for image_id, _ in concepts(tiny_dataset, "train")]
    write_csv(table, ("ID", "CUIs"), [*taught, *concepts(tiny_dataset, "valid")])
    chest = fit("chest", tiny_dataset, f"data.concepts={table}")
    whole = fit("whole", tiny_dataset)

    answers = predicted(chest, tiny_dataset, tmp_path / "run.csv", whole)
    assert {"C0817096", "C0040405"} <= {cui for cell in answers.values() for cui in cell.split(";")}


def test_an_ensemble_leaves_out_what_its_first_run_was_told_to(
    tiny_dataset: Path, tmp_path: Path, fit: Fit
) -> None:
    chest = fit("chest", tiny_dataset, "data.only=['C0817096', 'C0000726']")
    answers = predicted(chest, tiny_dataset, tmp_path / "run.csv", fit("whole", tiny_dataset))
    assert {cui for cell in answers.values() for cui in cell.split(";")} <= {"C0817096", "C0000726"}


def test_a_run_that_does_not_know_a_label_has_no_vote_on_it() -> None:
    def member(labels: str, row: list[float]) -> Any:
        return SimpleNamespace(labels=tuple(labels)), np.array([row])

    answers = [member("ab", [0.2, 0.4]), member("bc", [0.8, 0.6])]
    assert _mean(answers, "abc", 1).tolist() == [pytest.approx([0.2, 0.6, 0.6])]


@pytest.fixture
def pictures(tiny_dataset: Path, tmp_path: Path) -> Path:
    """Return a folder with a picture, a folder with another, and what is neither."""
    folder = tmp_path / "pictures"
    (folder / "of today").mkdir(parents=True)
    shutil.copyfile(tiny_dataset / "test/tiny_test_000001.jpg", folder / "one.jpg")
    shutil.copyfile(tiny_dataset / "test/tiny_test_000002.jpg", folder / "of today" / "two.JPG")
    (folder / "notes.txt").write_text("x")
    (folder / "of today" / "scan.dcm").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    return folder


@pytest.mark.parametrize("recipe", ["floor_nearest_pixels", "floor_constant_caption"])
def test_a_folder_of_pictures_is_answered_without_any_table(  # noqa: PLR0917  fixtures and parameters
    tiny_dataset: Path, tmp_path: Path, pictures: Path, fit: Fit, capsys: Output, recipe: str
) -> None:
    folder, out = fit("floor", tiny_dataset, recipe=recipe), tmp_path / "run.csv"
    capsys.readouterr()
    assert run(["predict", str(folder), "--data", str(pictures), "-o", str(out)]) == ExitCode.OK

    assert [row["ID"] for _, row in read_rows(out, ("ID",))] == ["two", "one"]
    told = capsys.readouterr()
    assert "2 entries without a picture, ignored: notes.txt, of today/scan.dcm" in told.err
    assert "--truth" not in told.out  # there is none


def test_a_picture_alone_is_answered_as_in_its_dataset(
    tiny_dataset: Path, tmp_path: Path, pictures: Path, fit: Fit
) -> None:
    folder = fit("floor", tiny_dataset)
    alone = predicted(folder, pictures, tmp_path / "alone.csv")
    among = predicted(folder, tiny_dataset, tmp_path / "among.csv")
    assert alone == {"one": among["tiny_test_000001"], "two": among["tiny_test_000002"]}


def test_links_that_are_not_followed_are_named(
    tiny_dataset: Path, tmp_path: Path, pictures: Path, fit: Fit, capsys: Output
) -> None:
    folder = fit("floor", tiny_dataset)
    (pictures / "circle").symlink_to(pictures, target_is_directory=True)
    (pictures / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    capsys.readouterr()
    assert (
        run(["predict", str(folder), "--data", str(pictures), "-o", str(tmp_path / "run.csv")]) == ExitCode.OK
    )
    assert "4 entries without a picture, ignored: circle, lost.jpg," in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_refused(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked, scandir = pictures / "of today", os.scandir  # root reads any folder, whatever its mode

    def refusing(place: str) -> object:
        if Path(place) == locked:
            raise PermissionError(EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(RejectedInput, match="of today: cannot be read: Permission denied"):
        read_pictures(pictures)


def test_two_pictures_of_one_name_are_refused_with_both_paths(
    tiny_dataset: Path, tmp_path: Path, pictures: Path, fit: Fit, capsys: Output
) -> None:
    shutil.copyfile(pictures / "one.jpg", pictures / "of today" / "one.png")
    arguments = [
        "predict",
        str(fit("floor", tiny_dataset)),
        "--data",
        str(pictures),
        "-o",
        str(tmp_path / "a"),
    ]
    assert run(arguments) == ExitCode.INPUT_REJECTED
    told = f"'one' has two pictures: {pictures}/of today/one.png and {pictures}/one.jpg"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "spoil", "code", "told"),
    [
        (("--split", "test"), False, ExitCode.MISSING_RESOURCE, "no picture of the test split"),
        ((), True, ExitCode.MISSING_RESOURCE, "no picture, expected files such as <ID>.jpg"),
        (("--ensemble", "floor"), False, ExitCode.USAGE, "use --combine union, where each run decides"),
    ],
)
def test_what_a_folder_of_pictures_cannot_do_is_told(  # noqa: PLR0917  fixtures and parameters
    tiny_dataset: Path,
    tmp_path: Path,
    pictures: Path,
    fit: Fit,
    capsys: Output,
    options: tuple[str, ...],
    spoil: bool,  # noqa: FBT001
    code: ExitCode,
    told: str,
) -> None:
    folder = fit("floor", tiny_dataset)
    if spoil:
        (pictures / "one.jpg").unlink()
        (pictures / "of today" / "two.JPG").unlink()
    given = [str(folder) if each == "floor" else each for each in options]
    arguments = ["predict", str(folder), "--data", str(pictures), "-o", str(tmp_path / "run.csv"), *given]
    assert run(arguments) == code
    assert told in capsys.readouterr().err


def test_a_union_has_what_each_run_decides(
    tiny_dataset: Path, tmp_path: Path, pictures: Path, fit: Fit
) -> None:
    chest = fit("chest", tiny_dataset, "data.concepts=" + _only_chest(tiny_dataset, tmp_path))
    whole = fit("whole", tiny_dataset)
    out = tmp_path / "run.csv"
    union = ["--ensemble", str(whole), "--combine", "union", "--data", str(pictures), "-o", str(out), "-q"]
    assert run(["predict", str(chest), *union]) == ExitCode.OK

    parts = [predicted(folder, pictures, tmp_path / "part.csv") for folder in (chest, whole)]
    found = {row["ID"]: row["CUIs"].split(";") for _, row in read_rows(out, ("ID", "CUIs"))}
    for image_id, cuis in found.items():
        assert set(cuis) == {cui for part in parts for cui in part[image_id].split(";")}
        assert len(set(cuis)) == len(cuis)


def _only_chest(data: Path, folder: Path) -> str:
    """Return a table in which every image has one concept."""
    rows = [(image_id, "C0817096") for split in ("train", "valid") for image_id, _ in concepts(data, split)]
    write_csv(folder / "chest.csv", ("ID", "CUIs"), rows)
    return str(folder / "chest.csv")
