"""Values that travel between the modules: frozen, keyword-only, without behaviour of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Task = Literal["concepts", "captions"]
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault of one file.

    Attributes:
        code: Key of `findings.RULES`.
        severity: `error` keeps the file from being scored, `warning` does not; `note` is no fault.
        path: The file as the user named it.
        line: Physical line, from 1, where the record starts; None for the whole file.
        message: What was found and what was expected.
    """

    code: str
    severity: Severity
    path: str
    line: int | None
    message: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ConceptSets:
    """Concepts of n images as one ragged array.

    Attributes:
        offsets: Shape (n + 1,), from 0; image i holds `codes[offsets[i]:offsets[i + 1]]`.
        codes: Indices into `vocabulary`, strictly increasing within an image.
        vocabulary: Upper-cased concept strings; `''` is the pseudo-concept that an empty cell or a
            trailing `;` leaves behind in the official evaluators.
    """

    offsets: IntArray
    codes: IntArray
    vocabulary: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleScores:
    """One score an image, in the order of the truth.

    Attributes:
        values: Shape (n,); 0.0 where unscored, never NaN.
        scored: Shape (n,); False where the edition leaves the image out of the mean.
    """

    values: FloatArray
    scored: BoolArray

    def __post_init__(self) -> None:
        if self.values.shape != self.scored.shape or self.values.ndim != 1:
            raise ValueError(f"values have the shape {self.values.shape}, but scored has {self.scored.shape}")
        if not np.isfinite(self.values).all():
            raise ValueError("a score must be finite: mark the image as unscored")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n(self) -> int:
        """Number of images in the mean."""
        return int(self.scored.sum())

    @property
    def mean(self) -> float | None:
        """Mean over the scored images, None where there is none."""
        return float(self.values[self.scored].mean()) if self.n else None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Ends of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """Aggregate of one metric over one run.

    Attributes:
        mean: Not rounded, but where participants read it; None where no image was scored.
        interval: Percentile bootstrap, None where not asked for or fewer than two images were scored.
        n: Number of images in the mean.
        unscored: Number of images that are left out of the mean.
        signature: Everything that can move the number; see `signature.py`.
        decimals: With how many the mean is written.
        interval_decimals: With how many the ends of the interval are written.
    """

    mean: float | None
    interval: Interval | None
    n: int
    unscored: int
    signature: str
    decimals: int = 4
    interval_decimals: int = 4
