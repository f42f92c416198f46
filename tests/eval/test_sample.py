import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import rocov2_eval

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(rocov2_eval.__file__).parent / "sample"
RUNS = ROOT / "submissions/example-team"
SPLITS = ("train", "valid", "test")
MODALITIES = {"C0040405", "C1306645", "C0024485", "C0041618", "C0002978", "C0032743"}
XRAY = "C1306645"
REGIONS = {
    "C0817096",
    "C0023216",
    "C0037303",
    "C0000726",
    "C1140618",
    "C0037949",
    "C0030797",
    "C0006141",
}
DIRECTIONS = {"C1999039", "C1996865", "C0205129", "C0205106"}
KINDS = {
    **dict.fromkeys(MODALITIES, 0),
    **dict.fromkeys(REGIONS, 1),
    **dict.fromkeys(DIRECTIONS, 2),
}


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines, strict=True))


def cells(name: str) -> dict[str, str]:
    return {row[0]: row[1] for row in read(SAMPLE / name)[1:]}


def concepts(name: str) -> dict[str, list[str]]:
    return {image_id: cell.split(";") if cell else [] for image_id, cell in cells(name).items()}


def everything(kind: str) -> dict[str, list[str]]:
    return {key: cuis for split in SPLITS for key, cuis in concepts(f"{split}_{kind}.csv").items()}


@pytest.mark.parametrize("split", SPLITS)
def test_every_file_of_a_split_lists_the_same_images_in_the_same_order(split: str) -> None:
    captions = list(cells(f"{split}_captions.csv"))
    assert captions == list(cells(f"{split}_concepts.csv"))
    assert captions == list(cells(f"{split}_concepts_manual.csv"))
    assert captions == sorted(path.stem for path in (SAMPLE / split).iterdir())


@pytest.mark.parametrize(
    ("name", "header"),
    [
        *((f"{split}_captions.csv", ["ID", "Caption"]) for split in SPLITS),
        *((f"{split}_concepts.csv", ["ID", "CUIs"]) for split in SPLITS),
        *((f"{split}_concepts_manual.csv", ["ID", "CUIs"]) for split in SPLITS),
        ("cui_mapping.csv", ["CUI", "Canonical name"]),
        ("license_information.csv", ["ID", "PMCID", "Attribution", "Link"]),
    ],
)
def test_files_have_the_header_and_the_width_of_the_release(name: str, header: list[str]) -> None:
    rows = read(SAMPLE / name)
    assert header == rows[0]
    assert {len(header)} == {len(row) for row in rows}


def test_files_use_lf_and_utf_8_without_a_mark() -> None:
    contents = [path.read_bytes() for path in SAMPLE.glob("*.csv")]
    assert len(contents) == 11
    assert not any(b"\r" in content or content.startswith(b"\xef\xbb\xbf") for content in contents)
    assert all(content.decode("utf-8").endswith("\n") for content in contents)


def test_ids_are_unique_have_gaps_and_lack_capital_id() -> None:
    ids = [row[0] for split in SPLITS for row in read(SAMPLE / f"{split}_captions.csv")[1:]]
    assert len(ids) == len(set(ids))
    assert not any("ID" in image_id for image_id in ids)
    for split in SPLITS:
        numbers = [int(key.rsplit("_", 1)[1]) for key in ids if key.startswith(f"sample_{split}_")]
        assert numbers == sorted(numbers)
        assert len(numbers) < numbers[-1]


def test_the_mapping_names_exactly_the_concepts_that_occur() -> None:
    used = {cui for cuis in everything("concepts").values() for cui in cuis}
    names = cells("cui_mapping.csv")
    assert used == set(names)
    assert len(names) == len(set(names.values())) == len(read(SAMPLE / "cui_mapping.csv")) - 1


def test_manual_concepts_lead_the_concepts_of_their_image() -> None:
    manual = everything("concepts_manual")
    for image_id, cuis in everything("concepts").items():
        assert cuis[: len(manual[image_id])] == manual[image_id]
        assert len(cuis) == len(set(cuis))


def test_manual_concepts_are_modality_then_region_then_direction() -> None:
    for cuis in everything("concepts_manual").values():
        kinds = [KINDS[cui] for cui in cuis]
        assert kinds == sorted(set(kinds))
        assert not cuis or cuis[0] in MODALITIES
        assert len(cuis) <= 1 or cuis[0] == XRAY


def test_every_modality_region_and_direction_occurs() -> None:
    assert set(KINDS) == {cui for cuis in everything("concepts_manual").values() for cui in cuis}


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_an_empty_manual_row(split: str) -> None:
    assert [] in concepts(f"{split}_concepts_manual.csv").values()


def test_pet_ct_carries_both_modalities_and_no_manual_concept() -> None:
    manual = everything("concepts_manual")
    combined = [
        image_id for image_id, cuis in everything("concepts").items() if {"C0032743", "C0040405"} <= set(cuis)
    ]
    assert combined
    assert all(manual[image_id] == [] for image_id in combined)


def test_exactly_one_image_has_no_concept_and_it_is_in_train() -> None:
    bare = [image_id for image_id, cuis in everything("concepts").items() if not cuis]
    assert len(bare) == 1
    assert bare[0].startswith("sample_train_")


def test_captions_exercise_quoting_and_encoding() -> None:
    captions = [caption for split in SPLITS for caption in cells(f"{split}_captions.csv").values()]
    for sign in (",", '"', "µ", "≥", "\u2013", "T2", "1.5 cm"):
        assert any(sign in caption for caption in captions), sign
    assert len(captions) - 1 == len(set(captions))
    lengths = [len(caption.split()) for caption in captions]
    assert (min(lengths), max(lengths)) == (3, 40)


def test_images_open_are_small_and_grey_unless_fused() -> None:
    modes = {}
    for path in sorted(SAMPLE.glob("*/*.jpg")):
        with Image.open(path) as image:
            image.load()
            assert image.format == "JPEG"
            assert all(192 <= side <= 256 for side in image.size)
            modes[path.stem] = image.mode
    assert len(everything("concepts")) == len(modes)
    assert {"L", "RGB"} == set(modes.values())
    manual = everything("concepts_manual")
    assert all(manual[image_id] == [] for image_id, mode in modes.items() if mode == "RGB")


def test_licence_information_covers_every_image_without_an_article() -> None:
    rows = read(SAMPLE / "license_information.csv")[1:]
    assert list(everything("concepts")) == [row[0] for row in rows]
    assert {("", "rocov2-eval sample, drawn by tools/make_sample.py")} == {(row[1], row[2]) for row in rows}


def test_the_folder_stays_under_300_kb() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 300_000


def test_the_readme_counts_what_is_there() -> None:
    counts = {split: len(cells(f"{split}_captions.csv")) for split in SPLITS}
    words = " ".join((SAMPLE / "README.md").read_text(encoding="utf-8").split())
    parts = ", ".join(f"{split} {count}" for split, count in counts.items())
    assert f"{sum(counts.values())} pictures in three splits ({parts})" in words


@pytest.mark.slow
def test_the_generator_would_write_what_is_on_disk() -> None:
    answer = make_sample("--check")
    assert (answer.returncode, answer.stdout) == (0, ""), answer.stderr


@pytest.mark.slow
def test_the_generator_notices_a_changed_caption_and_a_swapped_picture(tmp_path: Path) -> None:
    target = ("--out", str(tmp_path / "sample"), "--runs", str(tmp_path / "runs"))
    assert make_sample(*target).returncode == 0
    captions = tmp_path / "sample/test_captions.csv"
    captions.write_text(captions.read_text(encoding="utf-8") + "x,y\n", encoding="utf-8")
    swapped = tmp_path / "sample/train/sample_train_000002.jpg"
    swapped.write_bytes((tmp_path / "sample/train/sample_train_000001.jpg").read_bytes())
    answer = make_sample("--check", *target)
    assert answer.returncode == 1
    assert [str(captions), str(swapped)] == [line.split(": ")[0] for line in answer.stderr.splitlines()]


@pytest.mark.parametrize(
    ("run", "task"),
    [
        ("most-frequent", "concepts"),
        ("nearest-picture", "concepts"),
        ("nearest-caption", "captions"),
    ],
)
def test_example_runs_cover_the_valid_images_in_order(run: str, task: str) -> None:
    rows = read(RUNS / run / "run.csv")
    column = "CUIs" if task == "concepts" else "Caption"
    assert ["ID", column] == rows[0]
    assert list(cells("valid_captions.csv")) == [row[0] for row in rows[1:]]
    fields = json.loads((RUNS / run / "submission.json").read_text(encoding="utf-8"))
    assert ("example-team", run, task) == (fields["team"], fields["run"], fields["task"])
    assert (fields["edition"], fields["split"]) == ("rocov2", "valid")


def test_example_runs_copy_from_the_training_split() -> None:
    captions = set(cells("train_captions.csv").values())
    cuis = set(cells("train_concepts.csv").values())
    assert {row[1] for row in read(RUNS / "nearest-caption/run.csv")[1:]} <= captions
    assert {row[1] for row in read(RUNS / "nearest-picture/run.csv")[1:]} <= cuis


def make_sample(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools/make_sample.py"), *arguments],
        capture_output=True,
        text=True,
    )
