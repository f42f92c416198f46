"""Similarity and CLIPScore: the formulas on made vectors, and what an edition asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rocov2_eval.editions import EDITIONS
from rocov2_eval.metric import CaptionedImage
from rocov2_eval.metrics import clipscore, similarity
from rocov2_eval.metrics.clipscore import ClipScoreOptions
from rocov2_eval.metrics.similarity import SimilarityOptions
from rocov2_eval.settings import Settings
from rocov2_eval.truth import Place, read_truth

ANGLES = {"same": 0.0, "near": 60.0, "far": 120.0, "": 60.0, "a same": 0.0, "a near": 60.0, "a far": 120.0}


class Angles:
    """Point each text, and each file by its name, to a direction of the plane."""

    identity = "angles@123"

    def text_vectors(self, texts: Sequence[str]) -> np.ndarray:
        radians = np.radians([ANGLES[text] for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)

    def image_vectors(self, images: Sequence[Path]) -> np.ndarray:
        return self.text_vectors([image.stem for image in images])


def references(*captions: str) -> list[CaptionedImage]:
    return [CaptionedImage(caption=caption, image=Path("same.jpg")) for caption in captions]


def options_of(edition: str, sample: Path) -> SimilarityOptions:
    truth = read_truth(Place(path=sample, origin="--truth"), "captions", EDITIONS[edition], split="valid")
    return similarity.options_of(Settings(edition=EDITIONS[edition]), truth)


def test_similarity_is_two_and_a_half_times_the_cosine_and_never_negative() -> None:
    (scores,) = similarity.score(
        ["same", "near", "far"], references("x", "x", "x"), resource=Angles()
    ).values()

    assert scores.values.tolist() == pytest.approx([2.5, 1.25, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("edition", "expected"), [("imageclef-2025", [1.25, 1.0, 2.5]), ("imageclef-2026", [0.0, 0.0, 2.5])]
)
def test_empty_captions_score_as_the_edition_has_it(
    edition: str, expected: list[float], sample: Path
) -> None:
    candidates, answers = ["", "", "same"], references("x", "", "")

    (scores,) = similarity.score(candidates, answers, options_of(edition, sample), Angles()).values()

    assert scores.values.tolist() == pytest.approx(expected, abs=1e-6)


def test_vectors_given_for_the_images_take_the_place_of_files() -> None:
    answer = CaptionedImage(caption="x", image=np.array([0.0, 1.0], np.float32))

    (scores,) = similarity.score(["near"], [answer], resource=Angles()).values()

    assert scores.values.tolist() == pytest.approx([2.5 * np.sin(np.pi / 3)], abs=1e-6)


def test_refclipscore_is_the_harmonic_mean_with_the_cosine_of_both_captions() -> None:
    options = ClipScoreOptions(prompt="a ")
    answers = [CaptionedImage(caption=caption, image=Path("same.jpg")) for caption in ("same", "far", "same")]

    scores = clipscore.score(["near", "same", "far"], answers, options, Angles())

    assert scores["clipscore"].values.tolist() == pytest.approx([1.25, 2.5, 0], abs=1e-6)
    # Of the second, the captions have a negative cosine: the paper counts it as 0.
    expected = [2 * 1.25 * 0.5 / 1.75, 0, 0]
    assert scores["refclipscore"].values.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_options_name_the_images_by_content(sample: Path) -> None:
    assert options_of("imageclef-2026", sample).images.startswith("files@")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (SimilarityOptions(images="files@0"), ["our own image vectors"]),
        (SimilarityOptions(images="v.npz@0"), []),
        (SimilarityOptions(images="v.npz@0", weights="mine", precision="bf16"), ["weights mine", "bf16"]),
    ],
)
def test_notes_say_what_differs_from_the_official_similarity(
    options: SimilarityOptions, told: list[str]
) -> None:
    notes = list(similarity.notes(options))

    assert len(notes) == len(told)
    assert all(words in note for words, note in zip(told, notes, strict=True))
