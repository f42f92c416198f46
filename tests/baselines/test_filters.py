from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

torch = pytest.importorskip("torch")
image_module = pytest.importorskip("PIL.Image")

from baselines.cli import run  # noqa: E402
from baselines.filter_pictures import ClassedPictures, balanced, class_files, classed, divide  # noqa: E402
from baselines.filters import (  # noqa: E402
    FilterOptions,
    FilterTraining,
    export_filter,
    judge,
    open_filter,
    vary,
)
from baselines.training.loop import TrainingOptions, train  # noqa: E402
from baselines.training.objective import Share  # noqa: E402
from baselines.training.runtime import opened  # noqa: E402
from dataset_builder.stages.image_classifier import OnnxClassifier  # noqa: E402
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault  # noqa: E402

pytestmark = pytest.mark.slow

SIDE = 32
OPTIONS = FilterOptions(task="compound", side=SIDE, pictures=16)
BRIEF = TrainingOptions(epochs=1, batch=8, rate=2e-3, average=0.5, precision="fp32")


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes: a bright disc on black, and stripes."""
    for name, n in (("radiology", 3), ("other", 2)):
        for index in range(n):
            path = tmp_path / "classes" / name / f"p{index % 2}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image_module.new("L", (40, 30), 10 * index + (100 if name == "radiology" else 0)).save(path)
    (tmp_path / "classes" / "other" / "alone.jpg").write_bytes(
        (tmp_path / "classes" / "other" / "p0" / "0.png").read_bytes()
    )
    return tmp_path / "classes"


@pytest.fixture(scope="module")
def figures() -> ClassedPictures:
    """Filled squares and stripes, either of any brightness: simple, but not by the mean."""
    draw = np.random.default_rng(0)
    pixels = np.zeros((60, SIDE, SIDE, 3), np.uint8)
    for index in range(60):
        level, at = draw.integers(80, 255), draw.integers(2, 12)
        if index % 2:
            pixels[index, at : at + 16, at : at + 16] = level
        else:
            pixels[index, ::4] = pixels[index, 1::4] = level
    return ClassedPictures(
        pixels=pixels,
        answers=np.arange(60) % 2,
        groups=tuple(str(index // 3) for index in range(60)),
        weights=np.ones(60),
    )


def test_classes_become_answers_and_folders_groups(folder: Path) -> None:
    files = class_files(folder, "radiology")
    pictures = classed([place for place, _ in files], np.zeros((6, 1, 1, 3), np.uint8), "radiology")

    assert all(path == folder / place for place, path in files)
    assert pictures.answers.tolist() == [0, 0, 0, 1, 1, 1]
    assert pictures.groups == ("other/alone.jpg", "p0", "p1", "p0", "p0", "p1")  # one group in both classes


def test_every_class_is_drawn_equally_often() -> None:
    places = ["a/1.png", "b/1.png", "b/2.png", "c/1.png"]
    pictures = classed(places, np.zeros((4, 1, 1, 3), np.uint8), "c")

    assert pictures.weights.tolist() == [1, 0.5, 0.5, 1]


@pytest.mark.parametrize("positive", ["x-ray", "classes"])
def test_a_class_that_is_not_there_is_refused(folder: Path, positive: str) -> None:
    with pytest.raises(UsageFault, match="found the classes other, radiology, expected"):
        class_files(folder, positive)


def test_a_class_without_pictures_is_refused(folder: Path) -> None:
    (folder / "empty").mkdir()

    with pytest.raises(UsageFault, match="empty: no picture, expected files that end in"):
        class_files(folder, "radiology")


def test_no_group_is_on_both_sides_of_a_division(figures: ClassedPictures) -> None:
    train, aside = divide(figures.groups, 0.4, seed=1)

    assert list(range(60)) == sorted([*train.tolist(), *aside.tolist()])
    assert not {figures.groups[index] for index in train} & {figures.groups[index] for index in aside}
    assert len(aside) > 0


def test_half_of_what_is_drawn_is_yes_and_weights_say_which(figures: ClassedPictures) -> None:
    weights = np.ones(60)
    weights[1] = 29  # as much as the 29 others of its answer
    weighted = ClassedPictures(
        pixels=figures.pixels,
        answers=figures.answers,
        groups=figures.groups,
        weights=weights,
    )

    drawn = balanced(weighted, 1160, seed=0)

    assert figures.answers[drawn].sum() == 580
    counts = Counter(drawn.tolist())
    assert counts[1] == pytest.approx(290, abs=1)
    assert {10} == {counts[index] for index in range(3, 60, 2)}


def test_pictures_of_one_answer_are_refused(figures: ClassedPictures) -> None:
    alike = figures.take(np.arange(1, 60, 2))

    with pytest.raises(UsageFault, match="30 pictures of the class and 0 others, expected both"):
        FilterTraining(OPTIONS, alike, figures)
    with pytest.raises(UsageFault, match="30 pictures of the class and 0 others, expected both"):
        FilterTraining(OPTIONS, figures, alike)


def trained(
    folder: Path, pictures: ClassedPictures, options: FilterOptions = OPTIONS, seed: int = 0, **training: Any
) -> Any:
    objective = FilterTraining(options, pictures, pictures, seed)
    with opened("cpu", "fp32") as runtime:
        train(objective, replace(BRIEF, **training), runtime, folder, seed, lambda _: None)
    return open_filter(folder)


def test_a_filter_learns_to_tell_squares_from_stripes(figures: ClassedPictures, tmp_path: Path) -> None:
    found = trained(tmp_path, figures, replace(OPTIONS, pictures=160), epochs=4, batch=16)

    quality = judge(found.scores(figures.pixels), figures.answers, threshold=0.5)

    assert quality.auc is not None
    assert quality.auc > 0.95


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    figures: ClassedPictures, tmp_path: Path
) -> None:
    first, again, other = (
        trained(tmp_path / name, figures, seed=seed).classifier.model.state_dict()
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_run_folder_gives_the_filter_back(figures: ClassedPictures, tmp_path: Path) -> None:
    found = trained(tmp_path, figures)
    again = open_filter(tmp_path)

    assert (OPTIONS, found.classifier.normalisation) == (again.options, again.classifier.normalisation)
    assert found.scores(figures.pixels).tolist() == again.scores(figures.pixels).tolist()


def test_a_score_depends_on_no_other_picture(figures: ClassedPictures, tmp_path: Path) -> None:
    found = trained(tmp_path, figures)
    alone = [found.scores(figures.pixels[index : index + 1])[0] for index in range(5)]

    assert found.scores(figures.pixels[:5]).tolist() == pytest.approx(alone, abs=1e-6)


def test_an_exported_filter_scores_for_the_builder_as_it_does_here(
    figures: ClassedPictures, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    found = trained(tmp_path, figures)
    export_filter(found, tmp_path / "compound.onnx", "CC0-1.0")
    image_module.fromarray(figures.pixels[0]).save(tmp_path / "a.png")
    classifier = OnnxClassifier(tmp_path / "compound.onnx", "compound")

    assert [found.scores(figures.pixels[:1])[0]] == pytest.approx(
        classifier.scores([(tmp_path / "a.png").read_bytes()]).tolist(), abs=1e-5
    )


def test_a_folder_without_a_filter_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"filter\.json: No such file.*name the folder of a finished"):
        open_filter(tmp_path)


def test_a_damaged_description_is_told(tmp_path: Path) -> None:
    (tmp_path / "filter.json").write_text('{"spec": "nano"}')

    with pytest.raises(RejectedInput, match=r"filter\.json: changed or damaged"):
        open_filter(tmp_path)


def test_likelihood_is_that_of_both_answers_alike(figures: ClassedPictures) -> None:
    objective = FilterTraining(OPTIONS, figures, figures)
    torch.nn.init.zeros_(objective.model.classifier.weight)
    torch.nn.init.zeros_(objective.model.classifier.bias)
    objective.model.eval()

    scores = objective.validate(torch.device("cpu"))

    assert scores["likelihood"] == pytest.approx(np.log(0.5))
    assert (scores["recall"], scores["specificity"], scores["auc"]) == (1.0, 0.0, 0.5)


def test_quality_counts_both_answers_and_ranks_pairs() -> None:
    quality = judge(np.array([0.9, 0.4, 0.4, 0.1]), np.array([1, 1, 0, 0]), threshold=0.5)

    assert (quality.yes, quality.no, quality.recall, quality.specificity) == (2, 2, 0.5, 1.0)
    assert quality.auc == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_quality_without_one_answer_has_no_rate_of_it() -> None:
    quality = judge(np.array([0.9]), np.array([1]), threshold=0.5)

    assert (quality.recall, quality.specificity, quality.auc) == (1.0, None, None)


def test_varied_pictures_are_pictures_and_differ_by_chance() -> None:
    pixels = torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8)
    first, again, other = (vary(pixels, torch.Generator().manual_seed(seed), Share()) for seed in (0, 0, 1))

    assert tuple(first.shape) == (8, 3, 16, 16)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_two_processes_vary_pictures_as_one_does() -> None:
    pixels = torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8)
    whole = vary(pixels, torch.Generator().manual_seed(0), Share())

    for rank in (0, 1):
        share = Share(rank=rank, world=2)
        part = vary(pixels[rank::2], torch.Generator().manual_seed(0), share)

        assert torch.equal(whole[rank::2], part)


def test_a_filter_is_trained_by_a_recipe_and_run_by_the_builder(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, shade in (("radiology", 60), ("other", 190)):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for number in range(24):
            pixels = generator.normal(shade, 20, (48, 48, 3)).clip(0, 255).astype(np.uint8)
            image_module.fromarray(pixels).save(tmp_path / "classes" / name / f"{number}.png")
    quick = ("training.epochs=3", "filter.pictures=128", "filter.side=32")
    options = [part for setting in quick for part in ("--set", setting)]
    folder, out = tmp_path / "run", tmp_path / "radiology.onnx"
    train = [
        "train",
        "filter_radiology",
        "--data",
        str(tmp_path / "classes"),
        "--out",
        str(folder),
        "--quiet",
    ]
    assert run([*train, *options]) == 0
    assert run(["export", str(folder), "--out", str(out), "--licence", "CC0"]) == 0

    classifier = OnnxClassifier(out, "radiology")
    assert (classifier.contract.positive, classifier.contract.resize) == ("radiology", "squash")
    assert "## Limits" in (folder / "README.md").read_text()


def test_a_filter_has_no_run_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text('{"recipe": {"run": {"task": "filter"}}}')
    arguments = ["predict", str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path / "run.csv")]
    assert run(arguments) == 2
    assert "has no run file" in capsys.readouterr().err
