"""Where a command works: the dataset, the picture cache, the device, and what is shown meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.config import DataOptions
from baselines.data.cache import PictureCache, broken_text, open_cache
from baselines.data.dataset import Examples
from baselines.training.runtime import Runtime
from rocov2_eval.shelf.progress import Progress, silent


@dataclass(frozen=True, kw_only=True)
class Display:
    """What a command shows while it works; nothing by default.

    Attributes:
        note: Called with a sentence about what comes next.
        warn: Called with what is wrong and does not end the command; the first line says it.
        pictures: Called with the number of pictures decoded and of all.
        steps: Called with the number of steps, or of images answered, and of all.
        epoch: Called with the facts of an epoch.
    """

    note: Callable[[str], None] = silent
    warn: Callable[[str], None] = silent
    pictures: Progress = silent
    steps: Progress = silent
    epoch: Callable[[Mapping[str, Any]], None] = silent


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where a command works.

    Attributes:
        data: A dataset folder in the layout of ROCOv2; for an image filter, a folder of classes.
        cache: The folder that keeps decoded pictures between commands.
        runtime: The device, its precision, and the processes that share a batch.
        display: What is shown meanwhile.
    """

    data: Path
    cache: Path
    runtime: Runtime
    display: Display = Display()


def cached_split(
    session: Session,
    examples: Examples,
    options: DataOptions,
    *,
    allow_broken: bool,
    then: str = "Black pictures are used instead.",
) -> PictureCache:
    """Return the decoded pictures of a split; those that are not in the cache are decoded first.

    Args:
        session: Where the cache lies; it is warned of broken pictures.
        examples: The images of the split.
        options: How pictures are decoded.
        allow_broken: Whether a picture may be broken.
        then: A sentence about what becomes of broken pictures.

    Raises:
        RejectedInput: A picture is broken and may not be.
    """
    name = f"{examples.folder.resolve().name}-{examples.split}-{len(examples)}-{options.side}-{options.fit}"
    cache = open_cache(
        examples.named_files,
        session.cache / name,
        options.side,
        fit=options.fit,
        workers=options.workers,
        progress=session.display.pictures,
        allow_broken=allow_broken,
        advice=f"Replace them, or add --set data.allow_broken=true. {then}",
    )
    if cache.broken:
        session.display.warn(broken_text(cache.broken, f"{examples.split} split", len(cache), then))
    return cache
