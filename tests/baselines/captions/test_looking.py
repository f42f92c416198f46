"""Captions that ignore their pictures are told from those that look."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.documents import write_document
from baselines.looking import MODALITY_WORDS, REGION_WORDS, distinct, doubts, looks, named, vocabulary
from baselines.runs import doubts_of
from rocov2_eval.shelf.csv_files import write_csv

CT, XRAY, MRI, ULTRASOUND, ANGIOGRAM, PET = (
    *("C0040405", "C1306645", "C0024485"),
    *("C0041618", "C0002978", "C0032743"),
)
WANTED = ("Chest X-ray.", "CT of the abdomen.", "MRI of the brain.", "Ultrasound of the liver.")


@pytest.mark.parametrize(
    ("caption", "modality"),
    [
        ("Axial CT scan of the pelvis", {CT}),
        ("Contrast-enhanced computerised tomography", {CT}),
        ("Chest X-ray, PA view", {XRAY}),
        ("Panoramic radiograph", {XRAY}),
        ("T2-weighted image", {MRI}),
        ("Transthoracic echocardiogram", {ULTRASOUND}),
        ("Coronary angiography", {ANGIOGRAM}),
        ("PET/CT fusion", {PET, CT}),
        ("MR image of the knee", {MRI}),
        ("US of the liver in longitudinal section", {ULTRASOUND}),
        ("Mr. Smith told us of radiographically occult lesions at T1", set()),
        ("The patient suspected a petechial fracture of the octagon", set()),
    ],
)
def test_a_caption_names_its_modality(caption: str, modality: set[str]) -> None:
    assert modality == named(caption, MODALITY_WORDS)


def test_a_caption_names_its_region() -> None:
    assert {"C0817096", "C0000726"} == named("CT of thorax and ABDOMEN", REGION_WORDS)


def test_captions_that_look_raise_no_doubt() -> None:
    scores = looks(WANTED, WANTED, None, vocabulary(WANTED))
    assert (scores["modality_agreement"], scores["unknown_words"], distinct(WANTED)) == (1.0, 0.0, 100.0)
    assert not doubts({**scores, "shuffled_gap": 0.4})


def test_one_caption_for_all_agrees_as_often_as_chance() -> None:
    scores = looks(["CT of the chest."] * 4, WANTED, None, vocabulary(WANTED))
    assert scores["modality_agreement"] == scores["modality_by_chance"] == 0.25


@pytest.mark.parametrize("said", [["CT."] * 20, [f"CT number {i}." for i in range(20)]])
def test_captions_of_one_modality_are_doubted_however_many_they_are(said: list[str]) -> None:
    found = doubts(looks(said, WANTED * 5, None, vocabulary(WANTED)))
    assert any("name the modality of their picture (0.25) hardly more often" in doubt for doubt in found)


def test_few_distinct_captions_are_doubted() -> None:
    found = doubts({"distinct_captions": 2.0})
    assert found == ["only 2 of 100 captions are distinct"]


def test_a_loss_that_is_the_same_with_other_pictures_is_doubted() -> None:
    assert "0.0020" in doubts({"shuffled_gap": 0.002})[0]


def test_manual_concepts_come_before_the_words_of_captions() -> None:
    manual = [(MRI,), (CT, "C0000726"), (), (XRAY,)]
    scores = looks(["MRI", "CT", "PET", "CT"], WANTED, manual, ())
    assert pytest.approx(2 / 3) == scores["modality_agreement"]


def test_naming_every_modality_does_not_pass_for_looking() -> None:
    said = ["CT, X-ray, MRI and ultrasound."] * 4
    assert any("modality" in doubt for doubt in doubts(looks(said, WANTED, None, ())))


def test_where_all_pictures_are_alike_agreement_tells_nothing() -> None:
    scores = looks(["CT"] * 3, ["CT of the chest."] * 3, None, ())
    assert scores.keys() == {"distinct_captions", "unknown_words"}


def test_words_that_no_training_caption_has_are_counted() -> None:
    assert looks(["chest fooooo"], ["chest"], None, vocabulary(["Chest."]))["unknown_words"] == 0.5


@pytest.mark.parametrize(("task", "doubted"), [("captions", 1), ("frozen-captions", 1), ("concepts", 0)])
def test_the_run_file_of_a_captioner_is_looked_at_too(tmp_path: Path, task: str, doubted: int) -> None:
    write_document(tmp_path / "run.json", {"recipe": {"run": {"task": task}}, "scores": {}})
    write_csv(tmp_path / "run.csv", ("ID", "Caption"), [[str(i), "CT."] for i in range(20)])
    assert doubted == len(doubts_of(tmp_path, tmp_path / "run.csv"))
