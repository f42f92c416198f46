"""Captions to concepts: which mentions are kept, and why the others are not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from dataset_builder.concepts.negation import negated
from dataset_builder.concepts.semantic_types import DEFAULT_TYPES, RemovedType, removed_types
from dataset_builder.records import Reason, Removal
from rocov2_eval.concept_extraction import ConceptExtractor, MedcatExtractor, Mention, longest, open_pack
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

REASONS: Mapping[Reason, str] = {
    "type": "of a semantic type that is left out",
    "blacklist": "of a concept on the blacklist",
    "accuracy": "linked with too little accuracy",
    "nested": "within a longer mention, or overlapping it",
    "negated": "denied by the caption",
}
_CUI = re.compile(r"C\d{7}")


@dataclass(frozen=True, kw_only=True)
class ExtractionOptions:
    """Which mentions are kept.

    Attributes:
        types: Semantic types; all if empty. A concept whose type the model pack does not tell is kept: there
            is nothing to judge it by. `open_pack(types=…)`, by which `umls_f1` counts single types, leaves
            such a concept out: it is not known to be of any of them.
        negated: What becomes of mentions that the caption denies. ROCOv2 keeps them.
        min_accuracy: Least accuracy of a link, in [0, 1].
        blacklist: CUIs that are left out.
    """

    types: tuple[str, ...] = DEFAULT_TYPES
    negated: Literal["keep", "drop"] = "keep"
    min_accuracy: float = 0.0
    blacklist: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.negated not in ("keep", "drop"):
            raise UsageFault(f"negated = {self.negated!r}, expected keep or drop")
        if not 0 <= self.min_accuracy <= 1:
            raise UsageFault(f"min_accuracy = {self.min_accuracy}, expected 0 to 1")
        for cui in self.blacklist:
            if not _CUI.fullmatch(cui):
                raise UsageFault(f"blacklist: {shorten(cui)!r} is no CUI, expected C and seven digits")

    @cached_property
    def type_set(self) -> frozenset[str]:
        """The types."""
        return frozenset(self.types)

    @cached_property
    def blacklist_set(self) -> frozenset[str]:
        """The blacklist."""
        return frozenset(self.blacklist)


@dataclass(frozen=True, kw_only=True)
class CaptionConcepts:
    """What was found in one caption.

    Attributes:
        kept: Mentions, in order; none overlaps another.
        removed: The others, by reason, then in order.
    """

    kept: tuple[Mention, ...]
    removed: tuple[Removal, ...]

    @property
    def cuis(self) -> tuple[str, ...]:
        """The concepts in order of first mention, each once."""
        return tuple(dict.fromkeys(mention.cui for mention in self.kept))


@dataclass(frozen=True, kw_only=True)
class ExtractionSummary:
    """What was found in many captions.

    Attributes:
        captions: Their number.
        covered: How many have at least one concept.
        mentions: Number of mentions that are kept.
        concepts: CUI and name of the kept concepts, with the number of captions.
        untyped: Mentions kept although the model pack tells no type of theirs.
        reasons: Number of removed mentions by reason.
        by_type: Mentions removed for their type, by type, then by CUI and name.
    """

    captions: int
    covered: int
    mentions: int
    concepts: Mapping[tuple[str, str], int]
    untyped: int
    reasons: Mapping[Reason, int]
    by_type: Mapping[str, Mapping[tuple[str, str], int]]

    @property
    def removed_types(self) -> tuple[RemovedType, ...]:
        """What the type filter took out, most mentions first."""
        return removed_types(self.by_type)


@contextmanager
def open_extractor(pack: Path) -> Iterator[MedcatExtractor]:
    """Load a model pack so that it hands out every mention, nested ones too, as `extract_concepts` wants.

    Raises:
        MissingResource: medcat is not installed, or there is no such pack.
        RejectedInput: It is no pack of MedCAT 2.
    """
    with open_pack(pack, nested=True) as extractor:
        # MedCAT's own choice among nested mentions would come before any filter of ours.
        extractor.cat.config.general.show_nested_entities = True
        yield extractor


def types_of(extractor: MedcatExtractor) -> frozenset[str]:
    """Return the semantic types of which the model pack has a concept."""
    return frozenset(tui for tui, info in extractor.cat.cdb.type_id2info.items() if info.cuis)


def extract_concepts(
    captions: Sequence[str], extractor: ConceptExtractor, options: ExtractionOptions
) -> list[CaptionConcepts]:
    """Return what is found in each caption.

    Nested mentions are settled after the filter of types, as MedCAT's own filter does: where `chest pain` is
    left out, `chest` is kept. For that the extractor must hand out nested mentions.

    Args:
        captions: The texts.
        extractor: Such as `open_extractor` yields.
        options: Which mentions are kept.
    """
    found = extractor.extract(captions)
    return [sift(text, mentions, options) for text, mentions in zip(captions, found, strict=True)]


def sift(text: str, mentions: Iterable[Mention], options: ExtractionOptions) -> CaptionConcepts:
    """Return the mentions of a caption that are kept, and why the others are not."""
    passed: list[Mention] = []
    faulty: defaultdict[Reason, list[Mention]] = defaultdict(list)
    for mention in mentions:
        reason = _fault(mention, options)
        (faulty[reason] if reason else passed).append(mention)
    # Of what goes for one reason the longest stands for what is within it, as it would if it were kept.
    removed = [
        Removal(mention=one, reason=reason)
        for reason, ones in faulty.items()
        for one in sorted(longest(ones), key=_place)
    ]
    kept = sorted(longest(passed), key=_place)
    if len(kept) < len(passed):
        left = set(kept)
        removed += [Removal(mention=one, reason="nested") for one in passed if one not in left]
    if options.negated == "drop":
        denied = negated(text, kept)
        removed += [
            Removal(mention=one, reason="negated")
            for one, is_denied in zip(kept, denied, strict=True)
            if is_denied
        ]
        kept = [one for one, is_denied in zip(kept, denied, strict=True) if not is_denied]
    return CaptionConcepts(kept=tuple(kept), removed=tuple(removed))


def summarise(outcomes: Iterable[CaptionConcepts]) -> ExtractionSummary:
    """Return the counts of many captions."""
    captions = covered = mentions = untyped = 0
    concepts: Counter[tuple[str, str]] = Counter()
    reasons: Counter[Reason] = Counter()
    by_type: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for outcome in outcomes:
        captions += 1
        covered += bool(outcome.kept)
        mentions += len(outcome.kept)
        untyped += sum(not mention.types for mention in outcome.kept)
        concepts.update({(mention.cui, mention.name) for mention in outcome.kept})
        for removal in outcome.removed:
            reasons[removal.reason] += 1
            if removal.reason == "type":
                for tui in removal.mention.types:
                    by_type[tui][removal.mention.cui, removal.mention.name] += 1
    return ExtractionSummary(
        captions=captions,
        covered=covered,
        mentions=mentions,
        concepts=concepts,
        untyped=untyped,
        reasons=reasons,
        by_type=dict(by_type),
    )


def merged(summaries: Sequence[ExtractionSummary]) -> ExtractionSummary:
    """Return the counts of parts as those of the whole."""
    concepts: Counter[tuple[str, str]] = Counter()
    reasons: Counter[Reason] = Counter()
    by_type: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for part in summaries:
        concepts.update(part.concepts)
        reasons.update(part.reasons)
        for tui, counts in part.by_type.items():
            by_type[tui].update(counts)
    return ExtractionSummary(
        captions=sum(part.captions for part in summaries),
        covered=sum(part.covered for part in summaries),
        mentions=sum(part.mentions for part in summaries),
        concepts=concepts,
        untyped=sum(part.untyped for part in summaries),
        reasons=reasons,
        by_type=dict(by_type),
    )


def _fault(mention: Mention, options: ExtractionOptions) -> Reason | None:
    if options.types and mention.types and options.type_set.isdisjoint(mention.types):
        return "type"
    if mention.cui in options.blacklist_set:
        return "blacklist"
    return "accuracy" if mention.accuracy < options.min_accuracy else None


def _place(mention: Mention) -> tuple[int, int, str]:
    return mention.start, mention.end, mention.cui
