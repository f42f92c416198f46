"""What several commands share: options, and how answers are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.editions import AUTO, DEFAULT_EDITION, edition_of
from rocov2_eval.errors import BarNotMet, UsageFault, is_disk_full
from rocov2_eval.shelf.progress import Progress, clear_line, progress_line, silent
from rocov2_eval.shelf.streams import speak_utf8

if TYPE_CHECKING:  # rendering is loaded when there is something to show
    from rocov2_eval.rendering.document import Document

FORMATS = ("text", "json", "markdown", "csv", "latex", "github")
FACETS = ("modality", "region", "direction", "concepts")

_YEARS = "2017, 2018, 2021 to 2026"


def _edition_or_auto(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the full name of an edition that may be named by its year."""
    return value if value == AUTO else edition_of(value).name


def edition_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the full name of an edition, for commands without a run whose ids tell it."""
    if value == AUTO:
        raise UsageFault("--edition auto needs the ids of a run: name an edition")
    return None if value is None else edition_of(value).name


edition_option = click.option(
    "--edition",
    callback=_edition_or_auto,
    default=AUTO,
    show_default=True,
    metavar="YEAR|NAME",
    help=f"Edition whose reader, limits and metrics apply: {_YEARS}, or {DEFAULT_EDITION} with our own "
    f"rules; auto is the year in the ids, or {DEFAULT_EDITION} without one.",
)
truth_option = click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|FILE",
    help="ROCOv2 dataset folder or truth file.  [default: $ROCOV2_DATA, the config file, or the bundled "
    "sample]",
)
split_option = click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Split of the truth.  [default: detected from the ids]",
)
decimals_option = click.option(
    "--decimals",
    type=click.IntRange(0, 4),
    metavar="N",
    help="Number of decimals that participants see.  [default: few enough to hide the score of one image]",
)
task_option = click.option(
    "--task",
    type=click.Choice(["concepts", "captions"]),
    help="Task of the run.  [default: detected from the header or the cells]",
)
_COLUMN_OPTIONS = (
    click.option("--id-column", metavar="NAME", help="Column of the image ids.  [default: a known name]"),
    click.option("--value-column", metavar="NAME", help="Column of the answers.  [default: a known name]"),
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=20260101,
    show_default=True,
    help="Seed of all random numbers.",
)
output_option = click.option(
    "-o",
    "--out",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output file.  [default: stdout]",
)
format_option = click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Format of the output.",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Device of models; auto is the first available one of cuda, mps and cpu.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Arithmetic of models; fp32 is official.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")


def _weights(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Cut KIND=NAME|FOLDER, and refuse at once what could not be loaded after hours of BERTScore."""
    from rocov2_eval.models import KINDS, locate

    pairs = []
    for value in values:
        kind, mark, name = value.partition("=")
        offered = [row.name for row in KINDS.values() if row.option == "--weights"]
        if not mark or not name or kind not in offered:
            raise UsageFault(
                f"--weights {value}: expected KIND=NAME or KIND=FOLDER, with a KIND of {', '.join(offered)}"
            )
        if "/" in name or Path(name).exists():
            locate(kind, name)
        pairs.append((kind, name))
    return tuple(pairs)


def _usable_pack(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse at once a model pack that could not be loaded after hours of BERTScore."""
    if value is not None:
        from rocov2_eval.concept_extraction import require_pack

        require_pack(Path(value))
    return value


_MODEL_OPTIONS = (
    device_option,
    click.option(
        "--encoder",
        default="deberta-xlarge-mnli",
        show_default=True,
        help="Text encoder of BERTScore: a name of `models list`, or the folder of a model.",
    ),
    click.option(
        "--weights",
        multiple=True,
        callback=_weights,
        metavar="KIND=NAME|FOLDER",
        help="Weights for BLEURT (bleurt), AlignScore (align), Similarity (similarity), CLIPScore (clip) or "
        "the sentence splitter of AlignScore (sentences); may be repeated.  [default: the official ones]",
    ),
    precision_option,
    click.option(
        "--cache/--no-cache",
        default=True,
        show_default=True,
        help="Storage of model results for later runs.",
    ),
    click.option(
        "--images",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        help="Folder of the images, <ID>.jpg, <split>/<ID>.jpg or <split>_images.zip, for Similarity, "
        "CLIPScore and pages with pictures.  [default: the folder of the truth]",
    ),
    click.option(
        "--image-vectors",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE.npz",
        help="Image vectors of Similarity, one array per image id: those of the organisers, or a file of "
        "`embed-images`.  [default: computed from the images]",
    ),
    click.option(
        "--concept-model",
        type=click.Path(exists=True),
        callback=_usable_pack,
        metavar="PACK",
        help="Model pack of MedCAT 2 for umls_f1 of captions, a folder or a zip archive. A pack can run "
        "code: use only one that you trust.  [default: umls_f1 is not computed]",
    ),
    click.option(
        "--concept-type",
        "concept_types",
        multiple=True,
        metavar="TUI",
        help="Semantic type that umls_f1 counts, such as T047; may be repeated.  [default: all]",
    ),
)


def column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the columns of a run."""
    for option in reversed(_COLUMN_OPTIONS):
        command = option(command)
    return command


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of scores that need a model."""
    for option in reversed(_MODEL_OPTIONS):
        command = option(command)
    return command


_MODEL_CHOICES = (
    "encoder",
    "weights",
    "precision",
    "images",
    "image_vectors",
    "concept_model",
    "concept_types",
)


def model_choices(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Settings` that the model options set.

    Raises:
        UsageFault: Semantic types are named and no model pack that would find them.
    """
    if options["concept_types"] and options["concept_model"] is None:
        raise UsageFault("--concept-type needs --concept-model PACK: name a model pack too")
    return {name: options[name] for name in _MODEL_CHOICES}


def opener_choices(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `front_door.model_opener`: device, cache, and what a terminal is shown."""
    return {
        "device": options["device"],
        "cache": options["cache"],
        "progress": silent if options["quiet"] else _progress_lines(),
        "notify": silent if options["quiet"] else note,
    }


def note(text: str) -> None:
    """Write a note for the user on stderr."""
    clear_line()
    click.echo(text, err=True)


def _progress_lines() -> Callable[[str, int, int], None]:
    """Return what shows a line for each metric."""
    lines: dict[str, Progress] = {}

    def show(name: str, done: int, total: int) -> None:
        from rocov2_eval.metrics import METRICS

        if name not in lines:
            lines[name] = progress_line(name, METRICS[name].counted)
        lines[name](done, total)

    return show


def answer(document: Document, style: str, output: Path | None = None) -> None:
    """Print an answer in one of FORMATS, or write it to a file where one is named.

    What programs read is UTF-8 on stdout too.

    Raises:
        BarNotMet: The answer is given, and does not reach the bar that the user set.
    """
    from rocov2_eval.rendering.render import render

    text = render(document, style)
    clear_line()
    if output is None:
        if style != "text":
            speak_utf8()
        click.echo(text, nl=False)
    else:
        from rocov2_eval.shelf.files import write_text

        with writing(output):
            write_text(output, text)
    if document.misses:
        raise BarNotMet(f"the bar is not met: {'; '.join(document.misses)}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a message for the user who named the path."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UsageFault(f"{path} cannot be written: {error.strerror or error}") from None
