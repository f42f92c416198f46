"""Commands that make concepts of captions: `concepts model` and `concepts extract`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import answer, format_option, quiet_option, writing
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.progress import progress_line

if TYPE_CHECKING:
    from dataset_builder.concepts.caption_shards import Extracted
    from dataset_builder.concepts.concept_names import ConceptName

_FILE = click.Path(path_type=Path, dir_okay=False)
_READABLE = click.Path(path_type=Path, exists=True)


def _types_option(default: str) -> Callable[..., Any]:
    """Return the option that names semantic types; the default is for the help alone."""
    return click.option(
        "--types",
        "types",
        multiple=True,
        metavar="TYPE",
        help="Semantic type such as T023, group such as ANAT, `default` or `all`; may be repeated.  "
        f"[default: {default}]",
    )


@click.group()
def concepts() -> None:
    """Find UMLS concepts in captions with MedCAT."""


@concepts.command(epilog="Example: rocov2-build concepts model names.csv --out pack.zip")
@click.argument("tables", metavar="[TABLE.csv]...", nargs=-1, type=_READABLE)
@click.option("-o", "--out", required=True, type=_FILE, help="Model pack to write, a zip archive.")
@click.option(
    "--umls",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="META folder of a UMLS release, with MRCONSO.RRF and MRSTY.RRF, plain or gzipped.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SAB",
    help="Vocabulary of UMLS, such as SNOMEDCT_US; may be repeated.  [default: all]",
)
@_types_option("all")
def model(tables: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Make a model pack of MedCAT from names of concepts.

    Each TABLE has the columns cui and name, and may have name_status (P, A or N), type_ids and source.
    --types excludes concepts of other types; concepts without a type stay. Everyday names of the manual
    concepts of ROCOv2 are added, such as CT, X-ray and chest.
    """
    from dataset_builder.concepts.model_pack import build_pack, pack_document
    from dataset_builder.concepts.umls import release_files
    from rocov2_eval.concept_extraction import pack_identity

    if not tables and options["umls"] is None:
        raise UsageFault("no names for a model pack: give a TABLE.csv or --umls DIR")
    if options["sources"] and options["umls"] is None:
        raise UsageFault("--source needs --umls")
    sources = (*tables, *(release_files(options["umls"]) if options["umls"] else ()))
    with writing(out):
        summary = build_pack(_rows(tables, options), out, sources=sources)
    answer(pack_document(summary, pack_identity(out)), "text")


@concepts.command(
    epilog="Examples: rocov2-build concepts extract dataset/ --model pack.zip --out concepts.csv · "
    "rocov2-build concepts extract build.toml --out concepts.csv --mentions mentions.csv"
)
@click.argument("captions", metavar="CSV|DIR|BUILD.TOML", type=_READABLE)
@click.option(
    "--model",
    "pack",
    type=_READABLE,
    help="Model pack of MedCAT 2, a folder or a zip archive. It can run code: use only packs that you trust.",
)
@click.option("-o", "--out", required=True, type=_FILE, help="CSV to write, with the columns ID and CUIs.")
@click.option("--mentions", type=_FILE, help="CSV to write, with all mentions; removed ones have a reason.")
@_types_option("default")
@click.option("--min-accuracy", type=click.FloatRange(0, 1), help="Lowest accuracy of a link.  [default: 0]")
@click.option("--without", multiple=True, metavar="CUI", help="Concept to exclude; may be repeated.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Number of processes.  [default: one per 20,000 captions, at most one per processor]",
)
@format_option
@quiet_option
def extract(captions: Path, out: Path, **options: Any) -> None:
    """Find the concepts of captions.

    CSV has the columns ID and Caption; DIR is a dataset folder with *_captions.csv. The default of --types
    are semantic types that an image can show; the report counts what they exclude. Concepts without a type
    in the pack stay.

    BUILD.TOML is a finished build: its concepts are written, also those of the held-out images. Keep the
    files as secret as the truth.
    """
    from dataset_builder.concepts.extraction import extraction_document
    from rocov2_eval.shelf.files import write_text

    is_build = captions.suffix == ".toml"
    found = _of_build(captions, options) if is_build else _of_captions(captions, options)
    with writing(out):
        write_text(out, found.concepts_csv())
    if options["mentions"]:
        with writing(options["mentions"]):
            write_text(options["mentions"], found.mentions_csv())
    answer(extraction_document(found.summary, found.identity), options["style"])


def _of_captions(captions: Path, options: dict[str, Any]) -> Extracted:
    """Return the concepts that a model pack finds."""
    from dataset_builder.concepts.caption_shards import caption_files, extract_files
    from dataset_builder.concepts.extraction import ExtractionOptions
    from dataset_builder.concepts.semantic_types import DEFAULT, chosen_types

    if options["pack"] is None:
        raise UsageFault("--model is missing, expected a model pack for the captions")
    return extract_files(
        caption_files(captions),
        options["pack"],
        ExtractionOptions(
            types=chosen_types(options["types"] or (DEFAULT,)),
            min_accuracy=options["min_accuracy"] or 0.0,
            blacklist=options["without"],
        ),
        workers=options["workers"],
        progress=progress_line("concepts", "captions", quiet=options["quiet"]),
    )


def _of_build(file: Path, options: dict[str, Any]) -> Extracted:
    """Return the concepts that a finished build has found in its captions."""
    from dataset_builder.concepts.caption_shards import extracted
    from dataset_builder.concepts.extraction import CaptionConcepts
    from dataset_builder.running.config import read_build
    from dataset_builder.running.status import figures_of_build

    if any(options[name] for name in ("pack", "types", "min_accuracy", "without", "workers")):
        raise UsageFault(
            f"{file}: a build has its own tables [concepts] and [extraction]; remove the options of the "
            f"extraction"
        )
    figures = [figure for stage, figure in figures_of_build(read_build(file)) if stage == "package"]
    if not figures:
        raise UsageFault(f"{file}: the build is not finished; run rocov2-build run {file}")
    images = (
        (
            each.assignment.image_id,
            CaptionConcepts(kept=each.concepts.mentions, removed=each.concepts.removed),
        )
        for each in figures
    )
    return extracted(images, str(file))


def _rows(tables: Iterable[Path], options: dict[str, Any]) -> Iterable[ConceptName]:
    """Yield the names that the options of `model` ask for."""
    from dataset_builder.concepts.concept_names import read_concept_table, with_everyday_names
    from dataset_builder.concepts.semantic_types import ALL, chosen_types
    from dataset_builder.concepts.umls import read_umls

    types = chosen_types(options["types"] or (ALL,))

    def given() -> Iterable[ConceptName]:
        for path in tables:
            for row in read_concept_table(path):
                if not types or not row.types or not set(types).isdisjoint(row.types):
                    yield row
        if options["umls"]:
            yield from read_umls(options["umls"], sources=options["sources"], types=types)

    return with_everyday_names(given())
