"""Types of options with their bounds, which `read_options` checks."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Side = Annotated[int, Meta(ge=8)]  # of pictures, in pixels
CaptionLength = Annotated[int, Meta(ge=2)]  # in tokens: one and the end
Amount = Annotated[float, Meta(ge=0)]
Factor = Annotated[float, Meta(gt=0)]
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
Probability = Annotated[float, Meta(ge=0, le=1)]
