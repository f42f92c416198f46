"""UMLS F1: how far candidate and reference name the same concepts, as MedCAT finds them in the raw captions.

The definition is that of the MedCAT F1 of 2025 and 2026. The concepts are those of whatever model pack is
loaded, so that the scores of one pack stand beside those of the same pack alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rocov2_eval.concept_extraction import (
    ConceptExtractor,
    MedcatExtractor,
    Mention,
    medcat_version,
    open_pack,
    pack_identity,
)
from rocov2_eval.editions import Edition
from rocov2_eval.errors import UsageFault
from rocov2_eval.metric import Metric, Options, require_pairs
from rocov2_eval.records import FloatArray, SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.progress import Progress, silent
from rocov2_eval.truth import Truth

OUTPUTS = ("umls_f1", "umls_precision", "umls_recall")
_TYPE = re.compile(r"T\d{3}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class UmlsF1Options(Options):
    """Options of UMLS F1.

    Attributes:
        pack: Folder or archive of the model pack; `identified` puts `name@digest` in its place. None for none
            yet.
        medcat: Version of the library, which holds the algorithm; None, before `identified`, for the one that
            is installed.
        types: Semantic types that count, such as `T047`; empty for all that the pack finds. The official
            filter lists 127, which are practically all of UMLS.
        nested: Count a mention within a longer one too. The official evaluator does not: MedCAT 1 keeps the
            longest of mentions that overlap.
        both_empty: Score where both captions are the empty text.
    """

    pack: str | None = None
    medcat: str | None = None
    types: tuple[str, ...] = ()
    nested: bool = False
    both_empty: float = 1.0

    def __post_init__(self) -> None:
        for name in self.types:
            if not _TYPE.fullmatch(name):
                raise UsageFault(f"types contains {name!r}, expected a semantic type such as T047")


DEFAULT = UmlsF1Options()


def options_of(settings: Settings, _: Truth) -> UmlsF1Options:
    """Return the options that the user asks for."""
    return UmlsF1Options(pack=settings.concept_model, types=tuple(sorted(set(settings.concept_types))))


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition has a MedCAT F1, or is our own, which has this one."""
    return edition.captions.publishes("umls_f1")


def lacks(settings: Settings, _: Truth) -> str | None:
    """Say how a model pack is named: none is free to come with this toolkit."""
    return None if settings.concept_model else "needs a model pack of MedCAT: --concept-model PACK"


def notes(_: UmlsF1Options) -> Iterator[str]:
    """Say that no pack which can be had gives the official score."""
    yield (
        "umls_f1 is not comparable with the official MedCAT F1, which uses MedCAT 1 and a model pack "
        "that may not be redistributed"
    )


def load(
    options: UmlsF1Options,
    *,
    device: str = "cpu",  # noqa: ARG001  every model is opened alike
    cache: Path | None = None,  # noqa: ARG001
    progress: Progress = silent,
    notify: object = None,  # noqa: ARG001
) -> AbstractContextManager[MedcatExtractor]:
    """Open the model pack that the options name, before `identified` was applied to them.

    Args:
        options: Model pack, semantic types and nesting; the rest does not count.
        device: Not used.
        cache: Not used.
        progress: Called with the texts read so far and in all.
        notify: Not used.

    Raises:
        UsageFault: The options name no pack.
    """
    if options.pack is None:
        raise UsageFault("umls_f1 needs a model pack of MedCAT: name one with --concept-model")
    return open_pack(Path(options.pack), types=options.types, nested=options.nested, progress=progress)


def identified(options: UmlsF1Options, extractor: ConceptExtractor) -> UmlsF1Options:
    """Return the options as the signature shows them: with what was loaded, and the library's version."""
    return replace(options, pack=extractor.identity, medcat=medcat_version())


def digest(options: UmlsF1Options) -> str:
    """Name by content the pack that `load` would open, and the library that reads it."""
    return f"pack:{pack_identity(Path(str(options.pack)))}|medcat:{medcat_version()}"


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: UmlsF1Options = DEFAULT,
    resource: ConceptExtractor | None = None,
) -> Mapping[str, SampleScores]:
    """Return F1, precision and recall of the concepts of every candidate.

    Each distinct text is read once, on whichever side and however often it stands.

    Args:
        candidates: n captions.
        references: n captions.
        options: The score of two empty captions; the rest says what `resource` finds.
        resource: The extractor that `load` opens.

    Raises:
        ValueError: Candidates and references differ in number, or there is no extractor.
    """
    require_pairs(candidates, references)
    if resource is None:
        raise ValueError("umls_f1 needs an extractor: pass the result of load() as resource")
    distinct = list(dict.fromkeys([*references, *candidates]))
    found = dict(zip(distinct, map(concepts, resource.extract(distinct)), strict=True))
    pairs = [(found[c], found[r]) for c, r in zip(candidates, references, strict=True)]
    hits = _counts(len(ours & theirs) for ours, theirs in pairs)
    precision = _quotient(hits, _counts(len(ours) for ours, _ in pairs))
    recall = _quotient(hits, _counts(len(theirs) for _, theirs in pairs))
    f1 = _quotient(2 * precision * recall, precision + recall)
    is_both_empty = np.array([not c and not r for c, r in zip(candidates, references, strict=True)], np.bool_)
    scored = np.ones(len(pairs), np.bool_)
    return {
        name: SampleScores(values=np.where(is_both_empty, options.both_empty, column), scored=scored)
        for name, column in zip(OUTPUTS, (f1, precision, recall), strict=True)
    }


def concepts(mentions: Iterable[Mention]) -> frozenset[str]:
    """Return the CUIs of a text; what each is called does not matter."""
    return frozenset(mention.cui for mention in mentions)


def _counts(numbers: Iterable[int]) -> FloatArray:
    return np.fromiter(numbers, np.float64)


def _quotient(dividend: FloatArray, divisor: FloatArray) -> FloatArray:
    """Divide, 0 where the divisor is 0: a caption without concepts has neither precision nor recall."""
    return np.divide(dividend, divisor, out=np.zeros_like(dividend), where=divisor != 0)


METRIC = Metric(
    name="umls_f1",
    outputs=OUTPUTS,
    meanings=(
        "F1 of the UMLS concepts that MedCAT finds in both captions.",
        "Share of the UMLS concepts in the run's caption that the reference has.",
        "Share of the UMLS concepts in the reference that the run's caption has.",
    ),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=UmlsF1Options,
    options_of=options_of,
    revision=2,
    bounds=(0.0, 1.0),
    identity=None,  # 0 for a caption without concepts
    is_offered=is_offered,
    request="concept_model",
    lacks=lacks,
    notes=notes,
    counted="captions",
    load=load,
    identify=identified,
    digest=digest,
    source="MedCAT F1 of taubsity/clef-caption-evaluation-2026@9966c13; Kraljevic et al. 2021, MedCAT",
)
