"""Captions to concepts: which mentions are kept, and why the others are not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dataset_builder.concepts.identifiers import cui_fault
from dataset_builder.concepts.semantic_types import DEFAULT_TYPES, type_name
from dataset_builder.records import Reason, Removal
from rocov2_eval import __version__
from rocov2_eval.concept_extraction import (
    ConceptExtractor,
    MedcatExtractor,
    Mention,
    longest,
    open_pack,
    place_of,
)
from rocov2_eval.errors import UsageFault
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table
from rocov2_eval.shelf.words import counted, shorten

REASONS: Mapping[Reason, str] = {
    "type": "semantic type excluded",
    "blacklist": "concept on the blacklist",
    "accuracy": "accuracy of the link too low",
    "nested": "overlaps a longer mention",
}
_MOST_SHOWN = 20  # concepts in a report
_MOST_EXAMPLES = 3  # concepts of a type in a report

Concept = tuple[str, str]  # CUI and name


@dataclass(frozen=True, kw_only=True)
class ExtractionOptions:
    """Which mentions are kept.

    Attributes:
        types: Semantic types that are kept; all if empty. A concept whose type the model pack does not tell
            is kept too: there is nothing to judge it by. `open_pack(types=…)`, by which `umls_f1` counts
            single types, leaves such a concept out.
        min_accuracy: Least accuracy of a link, in [0, 1].
        blacklist: CUIs that are left out.
    """

    types: tuple[str, ...] = DEFAULT_TYPES
    min_accuracy: float = 0.0
    blacklist: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.min_accuracy <= 1:
            raise UsageFault(f"min_accuracy = {self.min_accuracy}, expected 0 to 1")
        if fault := next(filter(None, map(cui_fault, self.blacklist)), ""):
            raise UsageFault(f"blacklist: {fault}")


@dataclass(frozen=True, kw_only=True)
class CaptionConcepts:
    """The concepts of one caption.

    Attributes:
        kept: Mentions that are kept, in order; none overlaps another.
        removed: Mentions that are not kept, by reason, then in order.
    """

    kept: tuple[Mention, ...]
    removed: tuple[Removal, ...]

    @property
    def cuis(self) -> tuple[str, ...]:
        """The concepts in order of first mention, each once."""
        return tuple(dict.fromkeys(mention.cui for mention in self.kept))


@dataclass(frozen=True, kw_only=True)
class RemovedType:
    """What the filter took out of one semantic type.

    Attributes:
        tui: Identifier of the type.
        name: Name of the type; empty if it is not one of UMLS.
        mentions: Number of mentions.
        concepts: Number of distinct concepts.
        examples: Names of the most frequent concepts, with the number of mentions.
    """

    tui: str
    name: str
    mentions: int
    concepts: int
    examples: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class ExtractionSummary:
    """The concepts of many captions, counted; the sum of two is that of the captions of both.

    Attributes:
        captions: Number of captions.
        covered: Number of captions with at least one concept.
        mentions: Number of mentions that are kept.
        untyped: Number of mentions that are kept although the model pack tells no type of theirs.
        concepts: Number of captions by concept that is kept.
        reasons: Number of removed mentions by reason.
        by_type: Number of mentions that were removed for their type, by type and concept.
    """

    captions: int
    covered: int
    mentions: int
    untyped: int
    concepts: Counter[Concept]
    reasons: Counter[Reason]
    by_type: Counter[tuple[str, Concept]]

    def __add__(self, other: ExtractionSummary) -> ExtractionSummary:
        return ExtractionSummary(
            captions=self.captions + other.captions,
            covered=self.covered + other.covered,
            mentions=self.mentions + other.mentions,
            untyped=self.untyped + other.untyped,
            concepts=self.concepts + other.concepts,
            reasons=self.reasons + other.reasons,
            by_type=self.by_type + other.by_type,
        )

    @property
    def removed_types(self) -> tuple[RemovedType, ...]:
        """What the type filter took out, most mentions first; a concept of two types counts in both."""
        groups: defaultdict[str, Counter[Concept]] = defaultdict(Counter)
        for (tui, concept), n in self.by_type.items():
            groups[tui][concept] = n
        lines = (
            RemovedType(
                tui=tui,
                name=type_name(tui),
                mentions=concepts.total(),
                concepts=len({cui for cui, _ in concepts}),
                examples=tuple((name, n) for (_, name), n in _most(concepts)[:_MOST_EXAMPLES]),
            )
            for tui, concepts in groups.items()
        )
        return tuple(sorted(lines, key=lambda line: (-line.mentions, line.tui)))


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


def extract_concepts(
    captions: Sequence[str], extractor: ConceptExtractor, options: ExtractionOptions
) -> list[CaptionConcepts]:
    """Return the concepts of each caption.

    Nested mentions are settled after the filter of types, as MedCAT's own filter does: where `chest pain` is
    left out, `chest` is kept. For that the extractor must hand out nested mentions.

    Args:
        captions: Texts of the captions.
        extractor: What finds mentions, such as `open_extractor` yields.
        options: Which mentions are kept.
    """
    return [sift(mentions, options) for mentions in extractor.extract(captions)]


def sift(mentions: Iterable[Mention], options: ExtractionOptions) -> CaptionConcepts:
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
        for one in sorted(longest(ones), key=place_of)
    ]
    kept = sorted(longest(passed), key=place_of)
    if len(kept) < len(passed):
        left = set(kept)
        removed += [Removal(mention=one, reason="nested") for one in passed if one not in left]
    return CaptionConcepts(kept=tuple(kept), removed=tuple(removed))


def summarise(outcomes: Iterable[CaptionConcepts]) -> ExtractionSummary:
    """Return the counts of many captions."""
    outcomes = list(outcomes)
    kept = [mention for outcome in outcomes for mention in outcome.kept]
    removed = [removal for outcome in outcomes for removal in outcome.removed]
    return ExtractionSummary(
        captions=len(outcomes),
        covered=sum(bool(outcome.kept) for outcome in outcomes),
        mentions=len(kept),
        untyped=sum(not mention.types for mention in kept),
        concepts=Counter(
            concept for outcome in outcomes for concept in {(one.cui, one.name) for one in outcome.kept}
        ),
        reasons=Counter(removal.reason for removal in removed),
        by_type=Counter(
            (tui, (removal.mention.cui, removal.mention.name))
            for removal in removed
            if removal.reason == "type"
            for tui in removal.mention.types
        ),
    )


def extraction_document(summary: ExtractionSummary, identity: str) -> Document:
    """Return the counts of an extraction; JSON has every concept, the tables have the most frequent ones.

    Args:
        summary: The counts.
        identity: Name of the model pack with its digest, or of the build.
    """
    share = summary.covered / summary.captions if summary.captions else 0.0
    covered = f"{summary.covered:,} ({share:.1%}) with a concept"
    return Document(
        title=f"{identity}: {counted(summary.captions, 'caption')}, {covered}",
        sections=list(_sections(summary)),
        data={
            "schema_version": 1,
            "tool": {"name": "rocov2-build", "version": __version__},
            "model_pack": identity,
            "captions": summary.captions,
            "covered": summary.covered,
            "mentions": summary.mentions,
            "untyped": summary.untyped,
            "concepts": [
                {"cui": cui, "name": name, "captions": n} for (cui, name), n in _most(summary.concepts)
            ],
            "removed": {reason: summary.reasons[reason] for reason in REASONS},
            "removed_types": [
                {**asdict(line), "examples": [{"name": name, "mentions": n} for name, n in line.examples]}
                for line in summary.removed_types
            ],
        },
    )


def _sections(summary: ExtractionSummary) -> Iterator[Section]:
    number = {name: Column(title=name, kind="count") for name in ("captions", "mentions", "concepts")}
    n_more = len(summary.concepts) - _MOST_SHOWN
    concepts = Table(
        title=f"{counted(summary.mentions, 'mention')} of {counted(len(summary.concepts), 'concept')}",
        columns=[number["captions"], Column(title="CUI"), Column(title="concept")],
        rows=[(n, cui, shorten(name)) for (cui, name), n in _most(summary.concepts)[:_MOST_SHOWN]],
    )
    more = [Note(text=f"… and {n_more:,} more; --format json lists all")] if n_more > 0 else []
    yield Section(tables=[concepts], notes=more)
    reasons = [(summary.reasons[reason], words) for reason, words in REASONS.items()]
    yield Section(tables=[Table(columns=[number["mentions"], Column(title="removed")], rows=reasons)])
    types = [
        (
            line.mentions,
            line.concepts,
            f"{line.tui} {line.name}".rstrip(),
            ", ".join(f"{shorten(name, 30)} {n:,}" for name, n in line.examples),
        )
        for line in summary.removed_types
    ]
    columns = [number["mentions"], number["concepts"], Column(title="type excluded"), Column(title="such as")]
    if types:
        yield Section(tables=[Table(columns=columns, rows=types)])
    if summary.untyped:
        text = f"{counted(summary.untyped, 'kept mention')} without a semantic type in this model pack"
        yield Section(notes=[Note(text=text)])


def _most(concepts: Counter[Concept]) -> list[tuple[Concept, int]]:
    return sorted(concepts.items(), key=lambda item: (-item[1], item[0]))


def _fault(mention: Mention, options: ExtractionOptions) -> Reason | None:
    if options.types and mention.types and not any(tui in options.types for tui in mention.types):
        return "type"
    if mention.cui in options.blacklist:
        return "blacklist"
    return "accuracy" if mention.accuracy < options.min_accuracy else None
