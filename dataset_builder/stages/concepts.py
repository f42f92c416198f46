"""Concepts of every figure: looked up in a table, or found in its caption and merged with what people say.

What the source itself says of a figure, as a table of own images may, goes before both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dataset_builder.concepts.extraction import CaptionConcepts, extract_concepts, open_extractor
from dataset_builder.concepts.merging import ORDER, MergeOptions, merge
from dataset_builder.concepts.plain_names import named_concepts
from dataset_builder.concepts.table import (
    NO_CONCEPT,
    ConceptOptions,
    read_names,
    read_table,
    select,
)
from dataset_builder.concepts.table import STAGE as NAME
from dataset_builder.earlier import read_earlier
from dataset_builder.facets import MODALITY, UNSURE, read_manual
from dataset_builder.figure_tables import FigureTable, key_of_row
from dataset_builder.records import Drop, Figure, FigureConcepts, StageCount, kept_and_drops
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped
from rocov2_eval.concept_extraction import ConceptExtractor, pack_identity, require_pack
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.words import shorten

Answers = Mapping[str, str]
NO_ANSWERS: FigureTable[Answers] = FigureTable(rows={})


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Give every figure its concepts."""
    options: ConceptOptions = context.tables["concepts"]
    merging: MergeOptions = context.tables["merging"]
    asked = [
        figure
        for figure in figures
        if not (figure.concepts.cuis if options.table else figure.concepts.automatic)
    ]
    outcomes: dict[str, Figure | Drop] = {}
    if options.table:
        kept, drops = select(asked, _table(options.table, file_digest(options.table)), options)
        outcomes |= {figure.key: figure for figure in kept} | {drop.key: drop for drop in drops}
    else:
        manual = _answers(options)
        found = _found([figure.text.caption for figure in asked], context)
        outcomes = {
            figure.key: _merged(figure, outcome, manual.of(figure) or _said(figure), merging, options)
            for figure, outcome in zip(asked, found, strict=True)
        }
    kept, drops = kept_and_drops(
        outcomes[figure.key] if figure.key in outcomes else _as_given(figure, merging) for figure in figures
    )
    return Result(kept=kept, drops=drops)


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Look at what concepts are made of before anything is fetched for them."""
    options: ConceptOptions = tables["concepts"]
    if options.table:
        _table(options.table, file_digest(options.table))
    if options.model:
        require_pack(options.model)
    _answers(options)
    if options.names:
        read_names(options.names)
    return ()


def figure_tables(tables: Mapping[str, Any]) -> Mapping[str, FigureTable[Any]]:
    """Return the tables about figures, by their key in build.toml."""
    options: ConceptOptions = tables["concepts"]
    named: dict[str, FigureTable[Any]] = {}
    if options.table:
        named[f"[concepts] table = {options.table.name}"] = _table(options.table, file_digest(options.table))
    if options.manual:
        named[f"[concepts] manual = {options.manual.name}"] = _answers(options)
    return named


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say where the concepts come from."""
    options: ConceptOptions = tables["concepts"]
    left_out = f" Dropped without a concept: {share_dropped(count)}." if options.drops_without else ""
    given = "as given with an image; else " if count.unit == "images" else ""
    return f"Concepts: {given}{options.origin}.{left_out}"


def _answers(options: ConceptOptions) -> FigureTable[Answers]:
    """Return what people have settled of each figure."""
    if not options.manual:
        return NO_ANSWERS
    ids = options.assignments
    digests = (file_digest(options.manual), file_digest(ids) if ids else "")
    return _manual(options.manual, ids, digests)


def _found(captions: Sequence[str], context: Context) -> Sequence[CaptionConcepts]:
    """Return what captions name: by a model pack, else by built-in names."""
    options: ConceptOptions = context.tables["concepts"]
    if options.model:
        return extract_concepts(captions, _extractor(options.model), context.tables["extraction"])
    return [CaptionConcepts(kept=named_concepts(caption), removed=()) for caption in captions]


def _said(figure: Figure) -> Answers:
    """Return what the source says of the facets of a figure."""
    return {facet: cui for facet, cuis in ORDER.items() for cui in figure.concepts.manual if cui in cuis}


def _as_given(figure: Figure, merging: MergeOptions) -> Figure:
    """Return a figure with the very concepts that its source gives it."""
    merged = merge(_said(figure), (), merging)
    automatic = tuple(cui for cui in figure.concepts.automatic if cui not in merged.manual)
    concepts = FigureConcepts(
        manual=merged.manual,
        is_annotated=figure.concepts.is_annotated,
        automatic=automatic,
        conflicts=merged.conflicts,
    )
    return replace(figure, concepts=concepts)


def _merged(
    figure: Figure, outcome: CaptionConcepts, answers: Answers, merging: MergeOptions, options: ConceptOptions
) -> Figure | Drop:
    merged = merge(answers, outcome.kept, merging)
    if not merged.concepts and options.drops_without:
        return Drop(
            stage=NAME, key=figure.key, reason=NO_CONCEPT, detail="neither in the caption nor by hand"
        )
    concepts = FigureConcepts(
        manual=merged.manual,
        is_annotated=answers.get(MODALITY.name, UNSURE) != UNSURE or figure.concepts.is_annotated,
        automatic=merged.concepts[len(merged.manual) :],
        mentions=outcome.kept,
        removed=outcome.removed,
        gave_way=merged.dropped,
        conflicts=merged.conflicts,
    )
    return replace(figure, concepts=concepts)


@lru_cache(maxsize=1)
def _table(path: Path, digest: str) -> FigureTable[FigureConcepts]:
    """Return a table, read once a process while its content stays."""
    del digest
    return read_table(path)


@lru_cache(maxsize=1)
def _manual(path: Path, assignments: Path | None, digests: tuple[str, str]) -> FigureTable[Answers]:
    """Return what people have settled, read once a process while it stays.

    An image is named by PMCID and file, or by the id that it has in the dataset of the assignments.
    """
    del digests
    images = read_earlier(assignments).images.rows if assignments else {}
    keys = {assignment.image_id: key for key, assignment in images.items()}
    rows: dict[str, Answers] = {}
    for image, answers in read_manual(path).items():
        if "/" not in image and assignments is None:
            raise RejectedInput(
                f"{path}: image {shorten(image)!r}, expected PMCID/file, as `curate export` writes it; where "
                f"images are named by their ids in a dataset, name its assignments.csv with assignments"
            )
        key = key_of_row(*image.split("/", 1)) if "/" in image else keys.get(image, image)
        if key in rows:
            raise RejectedInput(
                f"{path}: {shorten(image)} is {shorten(key)}, which occurs twice, expected once"
            )
        rows[key] = answers
    return FigureTable(rows=rows)


def _extractor(pack: Path) -> ConceptExtractor:
    """Return the extractor of a model pack, loaded once a process while the pack stays."""
    return _loaded(pack, pack_identity(pack))


@lru_cache(maxsize=1)
def _loaded(pack: Path, identity: str) -> ConceptExtractor:
    del identity
    with open_extractor(pack) as extractor:  # it outlives the context, which only unpacks
        return extractor


STAGE = Stage(
    name=NAME,
    revision=2,
    title="search for concepts",
    tables=("concepts", "extraction", "merging"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("medcat",),
    figure_tables=figure_tables,
    says=says,
    inputs=inputs,
)
