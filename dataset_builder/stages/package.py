"""Judge the figures that are left, and write the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dataset_builder.concepts.table import ConceptOptions, read_names
from dataset_builder.earlier import Earlier
from dataset_builder.facets import MANUAL_NAMES
from dataset_builder.gates import judge
from dataset_builder.opening import SourceOptions
from dataset_builder.packaging import Contents, write_dataset
from dataset_builder.packaging.installing import checksum_path, truth_path
from dataset_builder.packaging.sums import SUMS, read_sums
from dataset_builder.record_lines import to_lines
from dataset_builder.records import Figure
from dataset_builder.stages.stage import Context, Product, Result, Stage
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.words import counted

NAME = "package"
_NAMED = 10  # concepts in a message
SALT = "salt"  # in the store: the secret that the order of the held-out images comes from
GATES = "gates.jsonl"  # in the store: what the gates came to when the dataset was last written


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Write the dataset, unless a gate that was told to fails."""
    gates = judge(figures, context.counts, context.tables["gates"])
    context.store.write(GATES, to_lines(gates))
    failed = [gate for gate in gates if gate.outcome == "fail"]
    if failed:
        messages = "; ".join(f"{gate.name}: {gate.message}" for gate in failed)
        raise RejectedInput(f"no dataset is written, because a quality gate fails: {messages}")
    salt = context.store.read(SALT) or b""
    numbered = write_dataset(
        Contents(
            figures=figures,
            read=context.read,
            concept_names=_concept_names(figures, context.tables["concepts"]),
            is_own=_has_own_images(context),
            concepts_origin=_origin(context),
            statements=tuple(context.statements),
            counts=tuple(context.counts),
            gates=gates,
            provenance={
                "stages": dict(context.provenance),
                "near_duplicate_distance": context.tables["duplicates"].distance,
            },
            salt=salt,
            earlier=_earlier_ids(figures, context.earlier),
        ),
        context.tables["package"],
        context.out,
        context.progress,
    )
    return Result(kept=numbered, products=tuple(_products(context.out)))


def _concept_names(figures: Sequence[Figure], options: ConceptOptions) -> dict[str, str]:
    """Return the name of each concept: as the table of names has it, else as the model pack."""
    named = {mention.cui: mention.name for figure in figures for mention in figure.concepts.mentions}
    given = read_names(options.names) if options.names else {}
    found = {cui for figure in figures for cui in figure.concepts.cuis}
    if given and found and not given.keys() & found:
        raise RejectedInput(
            f"[concepts] names = {options.names}: no concept of the dataset in its "
            f"{counted(len(given), 'row')}: it has {', '.join(sorted(given)[:_NAMED])}, but the concepts are "
            f"{', '.join(sorted(found)[:_NAMED])}"
        )
    return {**named, **MANUAL_NAMES, **given}


def _origin(context: Context) -> str:
    """Return where the concepts come from, in words for people."""
    options: ConceptOptions = context.tables["concepts"]
    given = "as given with an image; else " if _has_own_images(context) else ""
    return given + options.origin


def _has_own_images(context: Context) -> bool:
    source: SourceOptions = context.tables["source"]
    return source.kind == "table"


def _products(out: Path) -> Iterator[Product]:
    """Yield what was written: the sums of all files by content, and whatever they list by size."""
    for path in (out / SUMS, truth_path(out), checksum_path(out)):
        if path.is_file():
            yield Product(path=str(path), size=path.stat().st_size, sha256=file_digest(path))
    for name in read_sums(out / SUMS):
        yield Product(path=str(out / name), size=(out / name).stat().st_size)


def _earlier_ids(figures: Sequence[Figure], earlier: Earlier) -> dict[str, str]:
    """Return the ids of an earlier edition by the keys that the figures have now."""
    keys = {earlier.images.key_of(figure): figure.key for figure in figures}
    return {keys.get(key, key): assignment.image_id for key, assignment in earlier.images.rows.items()}


STAGE = Stage(
    name=NAME,
    revision=3,
    title="in the dataset",
    tables=("source", "concepts", "duplicates", "gates", "package"),
    takes=Figure,
    gives=Figure,
    run=run,
    scope="all",
    libraries=("pillow", "pyarrow", "jinja2", "pyyaml"),
)
