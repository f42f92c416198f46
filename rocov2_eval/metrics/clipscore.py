"""CLIPScore and RefCLIPScore: how near the vector of a caption is to that of its image, as CLIP sees both.

Hessel et al. (2021), "CLIPScore: a reference-free evaluation metric for image captioning", with the model and
the prompt of its authors. The challenge published both in 2023 and 2024 without its code: ours are not
official.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rocov2_eval import clip, models
from rocov2_eval.dual_encoder import DualEncoder, ImageTextEncoder, cosines, open_dual_encoder, scaled_cosines
from rocov2_eval.editions import Edition
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

OUTPUTS = ("clipscore", "refclipscore")
PROMPT = "A photo depicts "


@dataclass(frozen=True, kw_only=True)
class ClipScoreOptions(Options):
    """Options of CLIPScore.

    Attributes:
        weights: Key of `models.WEIGHTS` or a model's folder, None for those of the paper; `identified` puts
            `name@digest` in its place.
        images: Digest of the image files.
        precision: Arithmetic of the model.
        convert: Pictures of modes other than RGB and grey are converted without loss of levels.
        prompt: What stands before every caption.
    """

    weights: str | None = None
    images: str = "none"
    precision: str = "fp32"
    convert: bool = True
    prompt: str = PROMPT


DEFAULT = ClipScoreOptions()


def options_of(settings: Settings, truth: Truth) -> ClipScoreOptions:
    """Return the options that the user asks for."""
    return ClipScoreOptions(
        weights=settings.weights_of("clip"),
        images=image_folder(settings, truth).identity(truth.table.image_ids),
        precision=settings.precision,
    )


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition publishes a CLIPScore."""
    return any(map(edition.captions.publishes, OUTPUTS))


def lacks(settings: Settings, truth: Truth) -> str | None:
    """Say which weights, libraries and images are missing, and how they are brought."""
    reasons = (
        models.absence("clip", settings.weights_of("clip")),
        missing_images(settings, truth),
    )
    return "; ".join(reason for reason in reasons if reason) or None


def notes(_: ClipScoreOptions) -> Iterator[str]:
    """Say that nobody outside knows how the organisers computed it."""
    yield "clipscore and refclipscore are not official: the organisers published scores but not the code"


def columns(inputs: Inputs) -> tuple[list[str], list[CaptionedImage]]:
    """Return the captions of the run, and the references with the files of their images."""
    candidates, captions = inputs.captions
    pairs = zip(captions, inputs.image_files, strict=True)
    return candidates, [CaptionedImage(caption=caption, image=image) for caption, image in pairs]


def load(
    options: ClipScoreOptions,
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
        models.require("clip", options.weights),
        clip.load,
        precision=options.precision,
        device=device,
        cache=cache,
        progress=progress,
        notify=notify,
    )


def identified(options: ClipScoreOptions, encoder: ImageTextEncoder) -> ClipScoreOptions:
    """Return the options as the signature shows them: with the identity of what was loaded."""
    return replace(options, weights=encoder.identity)


def digest(options: ClipScoreOptions) -> str:
    """Name by content the weights that `load` would open."""
    return f"weights:{models.weights_digest(models.require('clip', options.weights))}"


def score(
    candidates: Sequence[str],
    references: Sequence[CaptionedImage],
    options: ClipScoreOptions = DEFAULT,
    resource: ImageTextEncoder | None = None,
) -> Mapping[str, SampleScores]:
    """Return CLIPScore and RefCLIPScore of every candidate.

    CLIPScore is 2.5 times the cosine of caption and image, 0 where it is negative; RefCLIPScore the harmonic
    mean of that and the cosine of both captions, negative ones counted as 0 as in the paper.

    Args:
        candidates: n captions, raw.
        references: n captions, raw, with the files of their images.
        options: The prompt; the rest says what `resource` is.
        resource: The encoder that `load` opens.

    Raises:
        ValueError: Candidates and references differ in number, or there is no encoder.
        MissingResource: An image cannot be read.
    """
    require_pairs(candidates, references)
    if resource is None:
        raise ValueError("clipscore needs an encoder: pass the result of load() as resource")
    ours = [options.prompt + caption for caption in candidates]
    theirs = [options.prompt + reference.caption for reference in references]
    plain = scaled_cosines(ours, [reference.image for reference in references], resource)
    alike = np.maximum(cosines(resource.text_vectors(ours), resource.text_vectors(theirs)), 0.0)
    total = plain + alike
    mean = np.divide(2 * plain * alike, total, out=np.zeros_like(total), where=total > 0)
    scored = np.ones(len(plain), np.bool_)
    return {
        name: SampleScores(values=values, scored=scored)
        for name, values in zip(OUTPUTS, (plain, mean), strict=True)
    }


METRIC = Metric(
    name="clipscore",
    outputs=OUTPUTS,
    meanings=(
        "Similarity of caption and image, by the vectors of CLIP.",
        "Harmonic mean of CLIPScore and the similarity of caption and reference.",
    ),
    needs="captions",
    columns=columns,
    score=score,
    options=ClipScoreOptions,
    options_of=options_of,
    revision=1,
    bounds=(0.0, 2.5),
    identity=None,  # depends on the image
    is_offered=is_offered,
    lacks=lacks,
    notes=notes,
    counted="images or captions",
    load=load,
    identify=identified,
    digest=digest,
    source="Hessel et al. 2021, CLIPScore; jmhessel/clipscore",
)
