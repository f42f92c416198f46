"""What to compute of a run: the choices of a user, before any file is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, ChosenBy, Edition
from rocov2_eval.resampling import Bootstrap

OFFICIAL_ENCODER = "deberta-xlarge-mnli"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to compute of a run.

    Attributes:
        edition: The edition whose reader, limits and metrics apply.
        chosen_by: Who chose it; see `editions.ChosenBy`. While it is `default`, ids may still choose another.
        metrics: Names of metrics or of their outputs; empty for all that the edition has for the task.
        by: Facets to break the scores down by.
        bootstrap: How intervals are made, None for no intervals.
        lenient: Score what can be scored; a missing image counts 0.
        encoder: Name or folder of the text encoder of BERTScore.
        precision: Arithmetic of the text encoder: `fp32`, or `bf16`, which is not official.
        concept_model: Folder or archive of the model pack of `umls_f1`, None to leave that metric out.
        concept_types: Semantic types that `umls_f1` counts, empty for all.
        weights: Kind of weights and the name or folder to take, for kinds other than the default (see
            `models.WEIGHTS`).
        images: Folder of the images, None for that of the truth (see `images.ImageFolder`).
        image_vectors: File of image vectors, one array an image, in the place of images.
    """

    edition: Edition = EDITIONS[DEFAULT_EDITION]
    chosen_by: ChosenBy = "user"
    metrics: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    bootstrap: Bootstrap | None = field(default_factory=Bootstrap)
    lenient: bool = False
    encoder: str = OFFICIAL_ENCODER
    precision: str = "fp32"
    concept_model: str | None = None
    concept_types: tuple[str, ...] = ()
    weights: tuple[tuple[str, str], ...] = ()
    images: Path | None = None
    image_vectors: Path | None = None

    def weights_of(self, kind: str) -> str | None:
        """Return the name or folder of the weights of a kind that the user asks for, None for the default."""
        return dict(self.weights).get(kind)
