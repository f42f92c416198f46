"""Similarity: how near the vector of a caption is to that of its image, as MedImageInsight sees both.

The definition is that of 2025 and 2026: 2.5 times the cosine, where that is positive. The reference caption
does not count. Captions are compared raw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rocov2_eval import medimageinsight, models
from rocov2_eval.dual_encoder import DualEncoder, ImageTextEncoder, open_dual_encoder, scaled_cosines
from rocov2_eval.editions import Edition
from rocov2_eval.errors import MissingResource
from rocov2_eval.image_vectors import read_vectors, vectors_identity
from rocov2_eval.metric import (
    CaptionedImage,
    Inputs,
    Metric,
    Options,
    image_folder,
    missing_images,
    require_pairs,
)
from rocov2_eval.records import SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.progress import Notify, Progress, silent
from rocov2_eval.truth import Truth


@dataclass(frozen=True, kw_only=True)
class SimilarityOptions(Options):
    """Options of Similarity.

    Attributes:
        weights: Key of `models.WEIGHTS` or a model's folder, None for those of the challenge; `identified`
            puts `name@digest` in its place.
        images: Digest of the image files, or name and digest of the file of image vectors in their place.
        precision: Arithmetic of the model; the challenge computes in `fp32`.
        convert: Pictures of modes other than RGB and grey are converted; the official code refuses them.
        empty: Score of an empty candidate, None where it is compared like any other (2025).
        both_empty: Score where both captions are empty, None where they are compared like any others.
    """

    weights: str | None = None
    images: str = "none"
    precision: str = "fp32"
    convert: bool = True
    empty: float | None = 0.0
    both_empty: float | None = None


DEFAULT = SimilarityOptions()


def options_of(settings: Settings, truth: Truth) -> SimilarityOptions:
    """Return the options that edition and user prescribe."""
    vectors = settings.image_vectors
    if vectors is None and (reason := _missing_images(settings, truth)):
        raise MissingResource(reason)
    files = image_folder(settings, truth)
    rules = settings.edition.captions
    return SimilarityOptions(
        weights=settings.weights_of("similarity"),
        images=vectors_identity(vectors) if vectors else files.identity(truth.table.image_ids),
        precision=settings.precision,
        empty=rules.empty_similarity,
        both_empty=1.0 if rules.empty_similarity is None else None,
    )


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition publishes a Similarity."""
    return edition.captions.publishes("similarity")


def lacks(settings: Settings, truth: Truth) -> str | None:
    """Say which weights, libraries and images are missing, and how they are brought."""
    reasons = [models.absence("similarity", settings.weights_of("similarity"))]
    if settings.image_vectors is None:
        reasons.append(_missing_images(settings, truth))
    return "; ".join(reason for reason in reasons if reason) or None


def notes(options: SimilarityOptions) -> Iterator[str]:
    """Say what differs from the official score; the options are those before `identified`."""
    name = options.weights or models.default_name("similarity")
    if name != models.default_name("similarity"):
        yield f"similarity with the weights {name} is not comparable with official scores"
    if options.precision != "fp32":
        yield f"similarity in {options.precision} is not official: the official precision is fp32"
    if options.images.startswith("files@"):
        yield (
            "similarity with our own image vectors is not official: the official ones were drawn at "
            "random once, with stochastic depth active; --image-vectors FILE.npz reads them"
        )


def columns(inputs: Inputs) -> tuple[list[str], list[CaptionedImage]]:
    """Return the captions of the run, and the references with the vectors or files of their images."""
    candidates, captions = inputs.captions
    vectors = inputs.settings.image_vectors
    images = read_vectors(vectors, inputs.truth.table.image_ids) if vectors else inputs.image_files
    pairs = zip(captions, images, strict=True)
    return candidates, [CaptionedImage(caption=caption, image=image) for caption, image in pairs]


def load(
    options: SimilarityOptions,
    *,
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> AbstractContextManager[DualEncoder]:
    """Open the model that the options name, before `identified` was applied to them.

    Args:
        options: Weights and precision; the rest does not count.
        device: One of `devices.DEVICES`.
        cache: Folder of the embedding cache, None for no cache.
        progress: Called with the images, or the captions, encoded so far and in all.
        notify: Called with a sentence for the user.
    """
    return open_dual_encoder(
        models.require("similarity", options.weights),
        medimageinsight.load,
        precision=options.precision,
        device=device,
        cache=cache,
        progress=progress,
        notify=notify,
    )


def identified(options: SimilarityOptions, encoder: ImageTextEncoder) -> SimilarityOptions:
    """Return the options as the signature shows them: with the identity of what was loaded."""
    return replace(options, weights=encoder.identity)


def digest(options: SimilarityOptions) -> str:
    """Name by content the weights that `load` would open."""
    return f"weights:{models.weights_digest(models.require('similarity', options.weights))}"


def score(
    candidates: Sequence[str],
    references: Sequence[CaptionedImage],
    options: SimilarityOptions = DEFAULT,
    resource: ImageTextEncoder | None = None,
) -> Mapping[str, SampleScores]:
    """Return 2.5 times the cosine of every candidate and the image of its reference, 0 where it is negative.

    Args:
        candidates: n captions, raw.
        references: n images with their captions, of which only emptiness counts.
        options: Scores of empty captions; the rest says what `resource` is.
        resource: The encoder that `load` opens.

    Raises:
        ValueError: Candidates and references differ in number, or there is no encoder.
        UsageFault: The vectors of images are not of the model of the captions.
        MissingResource: An image cannot be read.
    """
    require_pairs(candidates, references)
    if resource is None:
        raise ValueError("similarity needs an encoder: pass the result of load() as resource")
    values = scaled_cosines(candidates, [reference.image for reference in references], resource)
    is_empty = np.array([not caption for caption in candidates], np.bool_)
    is_both_empty = is_empty & np.array([not reference.caption for reference in references], np.bool_)
    if options.empty is not None:
        values[is_empty] = options.empty
    if options.both_empty is not None:
        values[is_both_empty] = options.both_empty
    return {"similarity": SampleScores(values=values, scored=np.ones(len(values), np.bool_))}


def _missing_images(settings: Settings, truth: Truth) -> str | None:
    reason = missing_images(settings, truth)
    return reason and f"{reason}, or a file of their vectors with --image-vectors FILE.npz"


METRIC = Metric(
    name="similarity",
    outputs=("similarity",),
    meanings=("Similarity of caption and image, by the vectors of MedImageInsight.",),
    needs="captions",
    columns=columns,
    score=score,
    options=SimilarityOptions,
    options_of=options_of,
    revision=1,
    bounds=(0.0, 2.5),
    identity=None,  # depends on the image
    is_offered=is_offered,
    takes="image_vectors",
    lacks=lacks,
    notes=notes,
    counted="images or captions",
    load=load,
    identify=identified,
    digest=digest,
    source="taubsity/clef-caption-evaluation-2026@9966c13; Codella et al. 2024, MedImageInsight",
)
