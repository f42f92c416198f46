"""Recipes that train no network: floors, neighbours, a probe; concepts and captions; a board's rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec import convert

from baselines.cli import run
from baselines.concepts import DecisionOptions, Labelled
from baselines.data.cache import open_cache
from baselines.data.dataset import Examples, read_examples
from baselines.data.labels import label_matrix
from baselines.decisions import Choice, decide, fit, sample_f1
from baselines.documents import read_document, write_document
from baselines.frozen import probe
from baselines.frozen.captions import most_common, open_captions, word_sets
from baselines.frozen.concepts import (
    NUMBERS,
    SHARPNESS,
    AnswerOptions,
    FrozenDetector,
    Voters,
    fit_frozen,
    open_frozen,
    save_frozen,
)
from baselines.frozen.features import FROZEN, FeatureOptions, open_sight
from baselines.frozen.neighbours import Neighbours, nearest, vote
from baselines.training.loop import BEST
from rocov2_eval.cli import invoke as evaluate
from rocov2_eval.errors import ExitCode, RejectedInput

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a probe learn in 40 steps what 600 would not learn better."""
    monkeypatch.setattr(probe, "STEPS", 40)


def labelled(tiny_dataset: Path, cache: Path, split: str) -> tuple[Labelled, Examples]:
    examples = read_examples(tiny_dataset, split, ["concepts"])
    pictures = open_cache(examples.named_files, cache / split, 48)
    return Labelled(pictures=pictures, concepts=examples.concepts or ()), examples


@pytest.fixture(scope="module")
def splits(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Labelled]:
    """Return pictures and concepts of each split of the tiny dataset."""
    cache = tmp_path_factory.mktemp("cache")
    return {split: labelled(tiny_dataset, cache, split)[0] for split in ("train", "valid", "test")}


def fitted(
    train: Labelled, valid: Labelled, encoder: str, by: str = "neighbours"
) -> tuple[FrozenDetector, Choice]:
    answering = convert({"by": by}, AnswerOptions)
    return fit_frozen(open_sight(FeatureOptions(encoder=encoder)), answering, DecisionOptions(), train, valid)


def test_the_neighbours_are_the_best_on_the_validation_split(splits: dict[str, Labelled]) -> None:
    found, _ = fitted(splits["train"], splits["valid"], "pixels")
    assert isinstance(found.answers, Voters)
    truth, outside = label_matrix(splits["valid"].concepts, found.labels)
    near = nearest(found.answers.known, found.sight.vectors(splits["valid"].pictures, "cpu"), max(NUMBERS))

    def f1(neighbours: Neighbours) -> float:
        shares = vote(*near, found.answers.truth, neighbours)  # type: ignore[union-attr]
        return float(sample_f1(decide(shares, fit(shares, truth)), truth, outside).mean())

    every = [Neighbours(k=k, sharpness=sharpness) for k in NUMBERS for sharpness in SHARPNESS]
    assert f1(found.answers.neighbours) == max(map(f1, every))


def test_what_sees_the_pictures_beats_what_does_not(splits: dict[str, Labelled]) -> None:
    kinds = ("nothing", "neighbours"), ("pixels", "neighbours"), ("pixels", "probe")
    choices = [fitted(splits["train"], splits["valid"], *kind)[1] for kind in kinds]
    blind, pixels, probed = (choice.scores["concept_f1"] for choice in choices)
    assert blind + 0.2 < min(pixels, probed)


@pytest.mark.parametrize("by", ["neighbours", "probe"])
def test_what_is_saved_answers_as_before(splits: dict[str, Labelled], tmp_path: Path, by: str) -> None:
    found, choice = fitted(splits["train"], splits["valid"], "pixels", by)
    save_frozen(tmp_path, found, choice, {})
    again, pictures = open_frozen(tmp_path), splits["test"].pictures
    np.testing.assert_array_equal(found.probabilities(pictures, "cpu"), again.probabilities(pictures, "cpu"))
    assert (found.labels, found.decision) == (again.labels, again.decision)


def test_broken_pictures_are_not_answered_with(own_dataset: Path, tmp_path: Path) -> None:
    broken = min((own_dataset / "train").iterdir())
    broken.write_bytes(b"no picture")
    examples = read_examples(own_dataset, "train", ["concepts"])
    pictures = open_cache(examples.named_files, tmp_path / "train", 48, allow_broken=True)
    train = Labelled(pictures=pictures, concepts=examples.concepts or ())
    valid, _ = labelled(own_dataset, tmp_path, "valid")
    found, _ = fitted(train, valid, "pixels")
    assert isinstance(found.answers, Voters)
    assert len(found.answers.known) == 35


@pytest.mark.parametrize("name", [FROZEN, BEST, "labels.csv"])
def test_a_damaged_run_is_named(splits: dict[str, Labelled], tmp_path: Path, name: str) -> None:
    save_frozen(tmp_path, *fitted(splits["train"], splits["valid"], "pixels"), {})
    (tmp_path / name).write_text("CUI\nC1\nC1\n")
    with pytest.raises(RejectedInput, match=name):
        open_frozen(tmp_path)


def test_the_caption_told_has_most_in_common_with_all() -> None:
    captions = ("CT of the chest", "A dog", "MRI of the head", "ct of the CHEST!", "CT of the chest and head")
    assert most_common(word_sets(captions), np.ones(5)) == 0
    assert most_common(word_sets(captions[1:]), np.ones(4)) == 3
    assert most_common(word_sets(captions[1:]), np.array([1, 9, 1, 1])) == 1
    assert most_common(word_sets(("", "?")), np.ones(2)) == 0


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny ViT with random weights."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    ViTModel(ViTConfig(**shape, image_size=32, patch_size=8)).save_pretrained(folder)
    look = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(look))
    return folder


@pytest.mark.parametrize(
    ("recipe", "score"),
    [("features_knn", "concept_f1"), ("features_probe", "concept_f1"), ("captions_knn", "rouge1")],
)
def test_recipes_of_frozen_features_train_and_predict_like_any_other(  # noqa: PLR0917  fixtures
    recipe: str, score: str, encoder: Path, tiny_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    folder, out, cache = tmp_path / "run", tmp_path / "run.csv", tmp_path / "cache"
    common = ["--data", str(tiny_dataset), "--cache", str(cache), "--quiet"]
    small = [*_set("data.side=48"), *_set("data.workers=1"), *_set(f"features.encoder={encoder}")]
    assert run(["train", recipe, *common, *small, "--out", str(folder)]) == ExitCode.OK
    assert run(["predict", str(folder), *common, "--out", str(out)]) == ExitCode.OK
    truth = ["--truth", str(tiny_dataset), "--split", "test"]
    assert evaluate(["validate", str(out), "--strict", *truth]) == ExitCode.OK
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| valid_{score} |" in card
    assert f"Pictures are encoded by {encoder} (unknown: see the page of these weights)" in card
    assert len(list(cache.glob("*/features/*/*"))) == 3  # of the splits of training and the one predicted

    assert run(["train", recipe, *common, *small, "--out", str(folder)]) == ExitCode.USAGE
    assert "contains a run already" in capsys.readouterr().err


def _set(override: str) -> tuple[str, str]:
    return "--set", override


def test_recipes_share_the_vectors_of_pictures(encoder: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    common = ["--data", str(tiny_dataset), "--cache", str(tmp_path / "cache"), "--quiet"]
    small = [*_set("data.side=48"), *_set("data.workers=1"), *_set(f"features.encoder={encoder}")]
    stamps = []
    for recipe in ("features_knn", "captions_knn"):
        assert run(["train", recipe, *common, *small, "--out", str(tmp_path / recipe)]) == ExitCode.OK
        stamps.append({path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*/features/*/*")})
    assert stamps[0] == stamps[1]


def test_a_network_that_sees_more_than_is_decoded_is_refused(
    encoder: Path, tiny_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    arguments = ["train", "features_knn", "--data", str(tiny_dataset), "--out", str(tmp_path / "run"), "-q"]
    sizes = [*_set("data.side=24"), *_set("data.workers=1"), *_set(f"features.encoder={encoder}")]
    assert run([*arguments, *sizes]) == ExitCode.USAGE
    assert "data.side: 24 pixels are decoded, but the network reads 32" in capsys.readouterr().err


def test_neighbours_are_members_of_an_ensemble(tiny_dataset: Path, tmp_path: Path) -> None:
    common = ["--data", str(tiny_dataset), "--cache", str(tmp_path / "cache"), "--quiet"]
    runs = [str(tmp_path / name) for name in ("floor_nearest_pixels", "floor_most_frequent")]
    for folder in runs:
        assert run(["train", Path(folder).name, *common, "--out", folder]) == ExitCode.OK
    answered = ["predict", runs[0], "--ensemble", runs[1], *common, "--out", str(tmp_path / "run.csv")]
    assert run(answered) == ExitCode.OK
    truth = ["--truth", str(tiny_dataset), "--split", "test"]
    assert evaluate(["validate", str(tmp_path / "run.csv"), "--strict", *truth]) == ExitCode.OK


IGNORES = {"floor_constant_caption": True, "floor_nearest_caption": False}


@pytest.mark.parametrize("recipe", IGNORES)
def test_captions_told_again_are_looked_at_too(
    recipe: str, tiny_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    ignores = IGNORES[recipe]
    common = ["--data", str(tiny_dataset), "--cache", str(tmp_path / "cache"), "--quiet"]
    assert run(["train", recipe, *common, "--out", str(tmp_path / "run")]) == ExitCode.OK
    warned = capsys.readouterr().err
    scores = json.loads((tmp_path / "run/run.json").read_bytes())["scores"]
    card = (tmp_path / "run/README.md").read_text(encoding="utf-8")
    assert ignores == (scores["valid_modality_agreement"] == scores["valid_modality_by_chance"])
    assert ignores == ("These captions hardly depend on the picture" in card)
    assert ignores == ("name the modality of their picture" in warned)


def floors(data: Path, out: Path, *more: str) -> int:
    return run(["floors", str(data), "--out", str(out), "--cache", str(out.parent.parent / "cache"), *more])


def test_one_command_writes_the_rows_of_a_board(tiny_dataset: Path, tmp_path: Path, capsys: Output) -> None:
    board = tmp_path / "board"
    assert floors(tiny_dataset, board / "baselines") == ExitCode.OK
    shown = capsys.readouterr()
    assert "floor_nearest_caption (4 of 4)" in shown.err
    assert "constant-caption" in shown.out
    for options in (
        ["--task", "concepts"],
        ["--metric", "rouge", "--rank-by", "rouge1", "--task", "captions"],
    ):
        ranking = ["leaderboard", str(board), "--truth", str(tiny_dataset), "--out", str(tmp_path / "site")]
        assert evaluate([*ranking, *options, "--private"]) == ExitCode.OK
        document = json.loads((tmp_path / "site/leaderboard.json").read_text(encoding="utf-8"))
        runs = [row["run"] for row in document["boards"][0]["standings"]]
        assert runs[0].startswith("nearest-")
        assert len(runs) == 2
        assert document["rejected"] == []


def test_a_board_of_another_edition_gets_runs_in_its_format(tiny_dataset: Path, tmp_path: Path) -> None:
    assert floors(tiny_dataset, tmp_path / "b/x", "--edition", "imageclef-2023", "-q") == ExitCode.OK
    text = (tmp_path / "b/x/nearest-caption/run.csv").read_text(encoding="utf-8")
    assert text.startswith("ID|Caption\ntiny_test_000000|CT of the chest.\n")


@pytest.mark.parametrize(("gone", "left"), [("captions", "most-frequent"), ("concepts", "constant-caption")])
def test_a_dataset_of_one_task_gets_the_floors_of_that_one(
    own_dataset: Path, tmp_path: Path, gone: str, left: str
) -> None:
    for table in own_dataset.glob(f"*_{gone}.csv"):
        table.unlink()
    assert floors(own_dataset, tmp_path / "b/x", "-q") == ExitCode.OK
    assert left in {folder.name for folder in (tmp_path / "b/x").iterdir()}
    assert len(list((tmp_path / "b/x").iterdir())) == 2


def test_without_the_training_split_there_is_no_floor(
    own_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    for table in own_dataset.glob("train_*.csv"):
        table.unlink()
    shutil.rmtree(own_dataset / "train")
    assert floors(own_dataset, tmp_path / "b/x") == ExitCode.MISSING_RESOURCE
    assert (
        "no train_concepts.csv and no train_captions.csv; floors need the answers" in capsys.readouterr().err
    )
    assert not (tmp_path / "b/x").exists()


@pytest.mark.parametrize(
    ("out", "split", "message"),
    [
        ("two words", "test", "'two words' does not match"),
        ("x", "train", "floors learn from this split"),
        ("x", "extra", "'extra' is not one of"),
    ],
)
def test_what_no_board_would_take_is_refused_first(  # noqa: PLR0917  fixtures
    tiny_dataset: Path, tmp_path: Path, capsys: Output, out: str, split: str, message: str
) -> None:
    assert floors(tiny_dataset, tmp_path / "b" / out, "--split", split) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_captions_of_another_number_than_their_vectors_are_refused(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    arguments = ["--data", str(tiny_dataset), "--cache", str(tmp_path / "cache"), "-q", "--out"]
    assert run(["train", "floor_nearest_caption", *arguments, str(tmp_path / "run")]) == ExitCode.OK
    captions = read_document(tmp_path / "run/captions.json", list[str])
    write_document(tmp_path / "run/captions.json", captions[1:])
    with pytest.raises(RejectedInput, match=r"not the vectors of captions\.json"):
        open_captions(tmp_path / "run")
