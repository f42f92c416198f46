"""Commands that audit a dataset: `audit sample`, `audit score`, `audit licences`."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rocov2_eval import command as border
from rocov2_eval.cli.options import answer, writing
from rocov2_eval.errors import UsageFault

if TYPE_CHECKING:
    from dataset_builder.audit.handing_out import HandingOut, Picture
    from dataset_builder.audit.population import Tables
    from dataset_builder.audit.sampling import Sample
    from dataset_builder.study.annotations import Annotation

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FORMATS = ("label-studio", "csv")  # the other shows no picture
_SAMPLE_OPTIONS = (
    *("concepts", "least", "most", "decoys"),
    *("images", "least_images", "asked", "ask", "by_modality"),
)
_TABLES = {
    "manual": ("--manual", "ID,CUIs", "manual concepts, to tell them from automatic ones"),
    "captions": ("--captions", "ID,Caption", "captions, for --with-caption"),
    "names": ("--names", "CUI,Canonical name", "names that raters read"),
    "types": ("--types", "cui,types[,name]", "semantic types: a table of concepts, or mentions"),
}
_style = click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How the answer is written; json has everything.",
)
_out = click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer there, not to stdout."
)


def _table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name tables."""
    for name, (flag, columns, what) in reversed(_TABLES.items()):
        option = click.option(flag, name, multiple=True, type=_FILE, help=f"CSV with {columns}: {what}.")
        command = option(command)
    return command


@click.group()
def audit() -> None:
    """Check a dataset: its automatic concepts by radiologists who are blind, and its licences."""


@audit.command(
    epilog="Example: rocov2-build audit sample dataset/ --types mentions.csv --raters 2 --out audit/"
)
@click.argument(
    "dataset",
    metavar="DIR|CONCEPTS.CSV...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True),
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@_table_options
@click.option(
    "--images-from",
    "pictures",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of pictures named after image ids; else those of DIR.",
)
@click.option("--concepts", type=click.IntRange(min=0), help="Automatic concepts to draw.  [default: 1000]")
@click.option("--least", type=click.IntRange(min=0), help="Of each stratum.  [default: 20]")
@click.option("--most", type=click.IntRange(min=1), help="Of each stratum.")
@click.option("--decoys", type=float, help="Their share of the concepts that raters see.  [default: 0.2]")
@click.option("--images", type=click.IntRange(min=0), help="Images for missed concepts.  [default: 100]")
@click.option(
    "--least-images", type=click.IntRange(min=0), help="Of each modality, with --by-modality.  [default: 5]"
)
@click.option(
    "--asked", type=click.IntRange(min=1), help="Semantic types asked about in these.  [default: 10]"
)
@click.option("--ask", multiple=True, metavar="TUI", help="Ask about this type instead; may be repeated.")
@click.option("--by-modality", is_flag=True, default=None, help="A stratum is a type within a modality.")
@click.option("--raters", type=click.IntRange(min=1), default=1, show_default=True, help="Folders to write.")
@click.option(
    "--overlap", type=float, default=0.2, show_default=True, help="Share of the items that all raters see."
)
@click.option(
    "--with-caption", is_flag=True, help="Show the caption, which the automatic concepts come from."
)
@click.option(
    "--format",
    type=click.Choice(_FORMATS),
    default="label-studio",
    show_default=True,
    help="Exchange format of the tasks.",
)
@click.option(
    "--address",
    default="",
    help="Where a tool finds the folder OUT/raters, for the addresses of pictures.  [default: for Label "
    "Studio its document root]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Else one that nobody knows, kept beside the key.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def sample(dataset: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Draw automatic concepts, decoys and images for raters who do not know which is which.

    DIR is a dataset folder in the ROCOv2 layout; CONCEPTS.CSV are tables of ID and CUIs. OUT/raters gets
    a folder for each rater, and OUT/secret the key, which no rater may see.
    """
    from dataset_builder.audit.handing_out import HandingOut, Material, write_audit
    from dataset_builder.audit.population import read_concepts, read_images
    from dataset_builder.audit.sampling import SampleOptions, draw_sample

    tables = _tables(dataset, options)
    chosen = {name: options[name] for name in _SAMPLE_OPTIONS if options[name] not in (None, ())}
    seed = secrets.randbits(53) if options["seed"] is None else options["seed"]
    how = SampleOptions(seed=seed, **chosen)
    handing_out = HandingOut(
        **{name: options[name] for name in ("raters", "overlap", "format", "with_caption", "address")}
    )
    images = read_images(tables)
    concepts = read_concepts(options["types"], tables.names)
    drawn = draw_sample(images, concepts, how)
    with _pictures(dataset, options["pictures"]) as pictures, writing(out):
        write_audit(
            out,
            drawn,
            Material(images={each.image_id: each for each in images}, concepts=concepts, pictures=pictures),
            how,
            handing_out,
            progress=border.progress_bar("pictures", every=10)
            if sys.stderr.isatty() and not options["quiet"]
            else None,
        )
    click.echo(_told(out, drawn, handing_out), nl=False)


@audit.command(epilog="Example: rocov2-build audit score rater-*.json --key audit/secret/key.csv")
@click.argument("answers", metavar="ANSWERS...", nargs=-1, required=True, type=_FILE)
@click.option("--key", type=_FILE, required=True, help="The key.csv that `audit sample` wrote.")
@click.option(
    "--from", "format", type=click.Choice(_FORMATS), help="Exchange format; else each file tells its own."
)
@click.option("--rater", default="", help="Who answered, where a file does not tell.")
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 1),
    help="Share of decoys taken for shown above which a rater is flagged.  [default: 0.2]",
)
@click.option("--without-flagged", is_flag=True, help="Leave out all answers of flagged raters.")
@_style
@_out
def score(answers: tuple[Path, ...], key: Path, **options: Any) -> None:
    """Return precision, false positives and false negatives by semantic type, with 95 % intervals.

    ANSWERS are exports of the tool that the raters used, several of one rater or of several.
    """
    from dataset_builder.audit.key import read_key
    from dataset_builder.audit.questions import facets_of
    from dataset_builder.audit.score_reporters import REPORTERS
    from dataset_builder.audit.scoring import MOST_FALSE_ALARMS, refuse_strangers, score_audit
    from dataset_builder.study.formats import read

    items = read_key(key)
    facets = facets_of(items.values())
    given: list[Annotation] = []
    for path in answers:
        annotations = read(path, facets, name=options["format"] or "", rater=options["rater"])
        refuse_strangers(items, annotations, str(path))
        given += annotations
    limit = MOST_FALSE_ALARMS if options["false_alarms"] is None else options["false_alarms"]
    report = score_audit(items, given, limit=limit, without_flagged=options["without_flagged"])
    answer(REPORTERS[options["style"]](report), options["output"])


@audit.command(
    epilog="Examples: rocov2-build audit licences dataset/ --articles PMC-ids.csv · "
    "rocov2-build audit licences figures.csv --where kind=radiology"
)
@click.argument("dataset", metavar="DIR|CSV", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows of a CSV with this value; may be repeated: values of one column are alternatives.",
)
@click.option(
    "--articles", multiple=True, type=_FILE, help="CSV with PMCID, and journal or year, such as PMC-ids.csv."
)
@click.option("--concepts", multiple=True, type=_FILE, help="CSV with ID,CUIs; else those of DIR.")
@click.option("--manual", multiple=True, type=_FILE, help="CSV with ID,CUIs of manual concepts; likewise.")
@click.option("--floor", type=click.IntRange(min=1), help="Images that a concept must have.  [default: 10]")
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Journals and concepts shown.",
)
@_style
@_out
def licences(dataset: Path, **options: Any) -> None:
    """Table CC BY against CC BY-NC by split, modality, year and journal, and what would be lost without NC.

    DIR is a dataset folder in the ROCOv2 layout; CSV is a table with columns of ids and licences, and of
    splits, articles, modalities, years or journals as far as it has them.
    """
    from dataset_builder.audit.licence_reporters import REPORTERS
    from dataset_builder.audit.licences import FLOOR, licence_report
    from dataset_builder.audit.licensed_images import Beside, read_licensed

    beside = Beside(articles=options["articles"], concepts=options["concepts"], manual=options["manual"])
    licensed = read_licensed(dataset, [_condition(text) for text in options["where"]], beside)
    report = licence_report(licensed, floor=options["floor"] or FLOOR)
    answer(REPORTERS[options["style"]](report, options["examples"]), options["output"])


def _tables(dataset: tuple[Path, ...], options: dict[str, Any]) -> Tables:
    """Return the tables of a folder, or those that were named, and what else was named."""
    from dataset_builder.audit.population import Tables, tables_of

    if any(path.is_dir() for path in dataset):
        if len(dataset) > 1:
            raise UsageFault("expected one dataset folder, or tables of concepts")
        found = tables_of(dataset[0])
    else:
        found = Tables(concepts=dataset)
        if not options["manual"]:
            raise UsageFault("tables of concepts need --manual, to tell automatic concepts from manual ones")
    return Tables(
        concepts=found.concepts,
        manual=options["manual"] or found.manual,
        captions=options["captions"] or found.captions,
        names=(*found.names, *options["names"]),
    )


@contextmanager
def _pictures(dataset: tuple[Path, ...], folder: Path | None) -> Iterator[dict[str, Picture]]:
    """Yield the pictures by image id: of a folder, or of a dataset, whose archives stay open as long."""
    from dataset_builder.audit.handing_out import Picture
    from dataset_builder.dataset_tables import PICTURE_SUFFIXES
    from dataset_builder.packaging.reading import ImageFiles

    if folder is not None:
        yield {
            path.stem: Picture(suffix=path.suffix.lower(), read=path.read_bytes)
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in PICTURE_SUFFIXES
        }
    elif dataset[0].is_dir():
        with ImageFiles(dataset[0]) as files:
            yield {image.image_id: Picture(suffix=".jpg", read=image.read) for image in files.files}
    else:
        yield {}


def _told(out: Path, drawn: Sample, handing_out: HandingOut) -> str:
    from dataset_builder.audit.sampling import Kind

    numbers = {kind: len(drawn.of_kind(kind)) for kind in get_args(Kind)}
    images = [
        f"{item.modality or 'no modality'} {item.population:,}" for item in drawn.of_kind("unseen-images")
    ]
    raters = f"{handing_out.raters:,} rater{'s' if handing_out.raters > 1 else ''}"
    concepts = f"{numbers['automatic']:,} automatic concepts among {numbers['decoy']:,} decoys"
    lines = [
        f"{out}: {concepts}, {numbers['missed']:,} images for missed concepts, for {raters}",
        f"{out}/secret tells which is which: keep it from the raters until all answers are in",
    ]
    if drawn.decoys_short:
        lines.append(f"{drawn.decoys_short:,} decoys fewer than asked: all images have the concepts")
    if numbers["unseen"]:
        lines.append(f"{numbers['unseen']:,} strata of which no concept was drawn; the score will name them")
    if images:
        lines.append(f"no image for missed concepts was drawn of {', '.join(images)}: ask for more --images")
    return "".join(f"{line}\n" for line in lines)


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise UsageFault(f"--where {text}: expected COLUMN=VALUE, such as kind=radiology")
    return column, value
