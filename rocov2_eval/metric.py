"""The declaration of a metric: what it is called, reads and returns, and when it is offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rocov2_eval.align import Aligned, joint_sets
from rocov2_eval.concept_cells import ragged, taken
from rocov2_eval.editions import Edition
from rocov2_eval.errors import MissingResource
from rocov2_eval.formats import Table
from rocov2_eval.images import ImageFile, ImageFolder
from rocov2_eval.records import ConceptSets, SampleScores, Task
from rocov2_eval.settings import Settings
from rocov2_eval.truth import Truth


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of every metric's options: each field can move a number, so each reaches the signature."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionedImage:
    """What a caption is compared with by metrics that look at the image.

    Attributes:
        caption: Caption of the truth, raw.
        image: File of the image, or its vector of Euclidean length 1.
    """

    caption: str
    image: ImageFile | npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """A run and its truth as metrics read them: n images, in the order of the truth.

    Attributes:
        run: The rows of the run.
        truth: The truth of the same task.
        aligned: The cells of the run in the order of the truth.
        settings: What the user asks for.
    """

    run: Table
    truth: Truth
    aligned: Aligned
    settings: Settings

    @cached_property
    def captions(self) -> tuple[list[str], list[str]]:
        """The captions of run and truth; a missing one is the empty text."""
        return [cell or "" for cell in self.aligned.cells], [cell or "" for cell in self.truth.table.cells]

    @cached_property
    def image_files(self) -> list[ImageFile]:
        """The file of each image."""
        return image_folder(self.settings, self.truth).files(self.truth.table.image_ids)

    @cached_property
    def concepts(self) -> tuple[ConceptSets, ConceptSets, ConceptSets]:
        """The concepts of run, truth and manual truth, as sets over one vocabulary."""
        truth = self.truth.table.concepts
        manual = ragged(self.truth.manual or [None] * len(self.truth.table.cells))
        strip = self.settings.edition.concepts.strip
        run = taken(self.run.concepts, self.aligned.rows)
        run_sets, truth_sets, manual_sets = joint_sets(run, truth, manual, strip=strip)
        return run_sets, truth_sets, manual_sets


def image_folder(settings: Settings, truth: Truth) -> ImageFolder:
    """Return where the images of a truth lie: the folder that the user names, else that of the truth."""
    return ImageFolder(path=settings.images or Path(truth.table.path).parent, split=truth.split)


def missing_images(settings: Settings, truth: Truth) -> str | None:
    """Say which images of a truth have no file, None where all have one.

    Raises:
        MissingResource: The folder that the user names lacks some.
    """
    reason = image_folder(settings, truth).missing(truth.table.image_ids)
    if reason and settings.images is not None:
        raise MissingResource(reason)
    return reason


def require_pairs(candidates: Sized, references: Sized) -> None:
    """Refuse candidates and references of different number: pairs must never be cut short.

    Raises:
        ValueError: They differ in number.
    """
    if len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} candidates, but {len(references)} references")


def _in_every_edition(_: Edition) -> bool:
    return True


def _lacks_nothing(_settings: Settings, _truth: Truth) -> str | None:
    return None


def _no_notes(_: Any) -> Iterable[str]:  # noqa: ANN401  the options of any metric
    return ()


def _without_idf(_: Any) -> bool:  # noqa: ANN401  the options of any metric
    return False


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of `metrics.METRICS`: all that the rest of the package knows of a metric.

    Attributes:
        name: Key of the table.
        outputs: Names under which the scores appear in `result.json`, the main one first.
        meanings: What the score of each of `outputs` is, in one plain sentence for readers of pages.
        needs: The task it scores.
        columns: Takes the candidates and the references out of the inputs: `ConceptSets` for concepts,
            sequences of captions otherwise, both in truth order.
        score: `score(candidates, references, options, resource=None)`, pure, for columns of equal length
            (ValueError if not); returns one `SampleScores` for each of `outputs`.
        options: The frozen dataclass of its options.
        options_of: `options_of(settings, truth)` returns the options that edition and user prescribe.
        revision: Raised whenever a number changes.
        bounds: Smallest and largest possible score, infinite where there is no bound.
        identity: Score of a non-empty candidate equal to its reference, None where it depends on the data.
        source: Paper or upstream code that defines it.
        is_offered: Tells whether an edition has the metric.
        request: Field of `Settings` that asks for the metric, such as `concept_model`; empty for a metric
            that is computed unasked.
        counted: What its progress counts, such as `captions`; empty where it has none.
        takes: Field of `Settings` that no other metric reads, such as `image_vectors`; empty where there is
            none.
        lacks: `lacks(settings, truth)` says why the metric cannot be computed here, and what brings what is
            missing; None where nothing is missing.
        notes: `notes(options)` says, one sentence a note, why scores are not comparable with official ones.
        weighs_by_idf: `weighs_by_idf(options)` tells whether words weigh by how many references have them.
        load: Opens the model, a context manager whose value is passed as `resource`; None if there is none.
        identify: `identify(options, resource)` returns the options with the identity of what was loaded, as
            the signature shows them; goes with `load`.
        digest: `digest(options)` names by its content what `load` would open; goes with `load`.
    """

    name: str
    outputs: tuple[str, ...]
    meanings: tuple[str, ...]
    needs: Task
    columns: Callable[[Inputs], tuple[Any, Any]]
    score: Callable[..., Mapping[str, SampleScores]]
    options: type[Options]
    options_of: Callable[[Settings, Truth], Options]
    revision: int
    bounds: tuple[float, float]
    identity: float | None
    source: str
    is_offered: Callable[[Edition], bool] = _in_every_edition
    request: str = ""
    counted: str = ""
    takes: str = ""
    lacks: Callable[[Settings, Truth], str | None] = _lacks_nothing
    notes: Callable[[Any], Iterable[str]] = _no_notes
    weighs_by_idf: Callable[[Any], bool] = _without_idf
    load: Callable[..., AbstractContextManager[Any]] | None = None
    identify: Callable[..., Options] | None = None
    digest: Callable[[Any], str] | None = None

    def is_named(self, names: Iterable[str]) -> bool:
        """Tell whether names hold that of the metric or of one of its outputs."""
        return not {self.name, *self.outputs}.isdisjoint(names)
