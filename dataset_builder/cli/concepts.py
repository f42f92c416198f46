"""Commands that make concepts of captions: `concepts model` and `concepts extract`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval import command as border
from rocov2_eval.errors import UsageFault, is_disk_full

if TYPE_CHECKING:
    from dataset_builder.concepts.concept_names import ConceptName
    from dataset_builder.concepts.model_pack import PackSource

_DRAWN_EVERY = 500  # captions
_FILE = click.Path(path_type=Path, dir_okay=False)
_READABLE = click.Path(path_type=Path, exists=True)

_types_option = click.option(
    "--types",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Semantic type such as T023, group such as ANAT, `default` or `all`; may be repeated.",
)
_quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")


@click.group()
def concepts() -> None:
    """Find UMLS concepts in captions with MedCAT."""


@concepts.command(
    epilog="Example: rocov2-build concepts model names.csv --captions train_captions.csv --out pack.zip"
)
@click.argument("tables", metavar="[TABLE.csv]...", nargs=-1, type=_READABLE)
@click.option("--out", "--output", "out", required=True, type=_FILE, help="The model pack, a zip archive.")
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
    help="Vocabulary of UMLS to take, such as SNOMEDCT_US; else all. May be repeated.",
)
@click.option(
    "--captions",
    type=_READABLE,
    metavar="CSV|DIR",
    help="Captions to train on (ID, Caption), so that a name of several concepts is told by its context.",
)
@_types_option
@click.option(
    "--everyday/--no-everyday",
    default=True,
    show_default=True,
    help="Add everyday names of the concepts curated by hand: CT, X-ray, chest.",
)
@click.option("--plurals/--no-plurals", default=True, show_default=True, help="Make plurals of the names.")
@click.option(
    "--epochs",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Times to train on the captions.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the training.")
@_quiet_option
def model(tables: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Make a model pack of MedCAT from names of concepts.

    Each TABLE has the columns cui and name, and may have name_status (P, A or N), type_ids and source.
    --types leaves out the concepts of other types; concepts without a type stay. All of them by default.
    """
    from dataset_builder.concepts.caption_shards import caption_files, read_captions
    from dataset_builder.concepts.concept_reporters import pack_text
    from dataset_builder.concepts.model_pack import PackSettings, build_pack
    from rocov2_eval.concept_extraction import pack_identity

    if not tables and options["umls"] is None:
        raise UsageFault("nothing to make a model pack of: name a TABLE.csv, or --umls DIR")
    if options["sources"] and options["umls"] is None:
        raise UsageFault("--source goes with --umls")
    texts = caption_files(options["captions"]) if options["captions"] else ()
    shown = sys.stderr.isatty() and not options["quiet"]
    try:
        summary = build_pack(
            _rows(tables, options),
            out,
            PackSettings(plurals=options["plurals"], epochs=options["epochs"], seed=options["seed"]),
            captions=[caption for _, caption in read_captions(texts)] if texts else None,
            sources=[*map(_source, tables), *_umls_sources(options["umls"]), *map(_source, texts)],
            progress=border.progress_bar("captions", every=_DRAWN_EVERY) if shown else None,
        )
    except OSError as error:
        raise _unwritable(out, error) from None
    click.echo(pack_text(summary, pack_identity(out)), nl=False)


@concepts.command(
    epilog="Example: rocov2-build concepts extract dataset/ --model pack.zip --out concepts.csv --jobs 4"
)
@click.argument("captions", metavar="CSV|DIR", type=_READABLE)
@click.option(
    "--model",
    "pack",
    required=True,
    type=_READABLE,
    help="Model pack of MedCAT 2, a folder or a zip archive. It is unpickled: take only packs you trust.",
)
@click.option("--out", "--output", "out", required=True, type=_FILE, help="CSV with the columns ID and CUIs.")
@click.option("--mentions", type=_FILE, help="CSV of all mentions, the removed ones with their reason.")
@_types_option
@click.option(
    "--negated",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="Mentions that the caption denies; ROCOv2 keeps them.",
)
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Least accuracy of a link.",
)
@click.option("--without", multiple=True, metavar="CUI", help="Concept to leave out; may be repeated.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Processes; else as many as pay: one more for every 20,000 captions, at most one a processor.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How the answer is written; json has every concept.",
)
@_quiet_option
def extract(captions: Path, pack: Path, out: Path, **options: Any) -> None:
    """Find the concepts of captions.

    CSV has the columns ID and Caption; DIR is a dataset folder, whose *_captions.csv are read. --types are
    those that can be seen in an image unless others are named; the answer says what they cost. A concept
    of which the pack tells no type stays.
    """
    from dataset_builder.concepts.caption_shards import MENTION_COLUMNS, caption_files, extract_files
    from dataset_builder.concepts.concept_reporters import REPORTERS
    from dataset_builder.concepts.extraction import ExtractionOptions
    from dataset_builder.concepts.semantic_types import DEFAULT, absent_types, chosen_types

    words = options["types"] or (DEFAULT,)
    shown = sys.stderr.isatty() and not options["quiet"]
    found = extract_files(
        caption_files(captions),
        pack,
        ExtractionOptions(
            types=chosen_types(words),
            negated=options["negated"],
            min_accuracy=options["min_accuracy"],
            blacklist=options["without"],
        ),
        jobs=options["jobs"],
        progress=border.progress_bar("captions", every=1) if shown else None,
    )
    for word in absent_types(words, found.types):
        click.echo(f"--types {word}: no concept of {found.identity} has such a type", err=True)
    _write(out, f"ID,CUIs\n{found.concepts}")
    if options["mentions"]:
        _write(options["mentions"], f"{','.join(MENTION_COLUMNS)}\n{found.mentions}")
    click.echo(REPORTERS[options["style"]](found.summary, found.identity), nl=False)


@concepts.command(epilog="Example: rocov2-build concepts mentions build.toml --out mentions.csv")
@click.argument("file", metavar="BUILD.TOML", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", "--output", "out", required=True, type=_FILE, help="CSV with a row a mention.")
def mentions(file: Path, out: Path) -> None:
    """Write where the captions of a finished build name their concepts, with the semantic types.

    The images of every split are in it, the held-out ones too: keep it as secret as their truth. It is what
    `audit sample --types` reads.
    """
    from dataset_builder.concepts.caption_shards import mentions_csv
    from dataset_builder.concepts.extraction import CaptionConcepts
    from dataset_builder.running.config import read_build
    from dataset_builder.running.status import figures_of_build
    from rocov2_eval.shelf.files import write_text

    figures = [figure for stage, figure in figures_of_build(read_build(file)) if stage == "package"]
    if not figures:
        raise UsageFault(f"{file}: the build is not finished; rocov2-build run {file}")
    found = (
        (
            each.assignment.image_id,
            CaptionConcepts(kept=each.concepts.mentions, removed=each.concepts.removed),
        )
        for each in figures
    )
    write_text(out, mentions_csv(found))
    mentions = sum(len(each.concepts.mentions) for each in figures)
    click.echo(f"{out}: {mentions:,} mentions in {len(figures):,} captions")


def _rows(tables: Iterable[Path], options: dict[str, Any]) -> Iterable[ConceptName]:
    """Yield the names that the options of `model` ask for."""
    from dataset_builder.concepts.concept_names import read_concept_table
    from dataset_builder.concepts.everyday_names import with_everyday_names
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

    return with_everyday_names(given()) if options["everyday"] else given()


def _source(path: Path) -> PackSource:
    from dataset_builder.concepts.model_pack import PackSource
    from rocov2_eval.shelf.files import file_digest

    return PackSource(name=path.name, sha256=file_digest(path))


def _umls_sources(folder: Path | None) -> list[PackSource]:
    from dataset_builder.concepts.umls import release_files

    return [_source(path) for path in release_files(folder)] if folder else []


def _write(path: Path, text: str) -> None:
    from rocov2_eval.shelf.files import write_text

    try:
        write_text(path, text)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> Exception:
    if is_disk_full(error):
        return error
    return UsageFault(f"{path} cannot be written: {error.strerror or error}")
