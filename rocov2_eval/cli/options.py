"""What several commands share: options, where things lie, how progress and answers are shown.

Environment and configuration are read here alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.command import progress_bar, silent
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS
from rocov2_eval.errors import UsageFault, is_disk_full

if TYPE_CHECKING:
    from rocov2_eval.formats import Source, Table
    from rocov2_eval.metric import Metric, Options
    from rocov2_eval.truth import Place, Truth

FORMATS = ("text", "json", "markdown", "csv", "latex", "github")
FACETS = ("modality", "region", "direction", "concepts")

edition_option = click.option(
    "--edition",
    type=click.Choice(list(EDITIONS)),
    default=DEFAULT_EDITION,
    show_default=True,
    help="Whose rules: reader, limits, metrics.",
)
truth_option = click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|FILE",
    help="ROCOv2 dataset folder or truth file; else $ROCOV2_DATA, the config file, the bundled sample.",
)
split_option = click.option(
    "--split", type=click.Choice(["train", "valid", "test"]), help="Take this split; else the ids tell."
)
task_option = click.option(
    "--task", type=click.Choice(["concepts", "captions"]), help="Else the header or the cells tell."
)
format_option = click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
output_option = click.option(
    "--output",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the answer to this file, not to stdout.",
)


def _usable_pack(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse at once a model pack that could not be loaded after hours of BERTScore."""
    if value is not None:
        from rocov2_eval.concept_extraction import require_pack

        require_pack(Path(value))
    return value


_MODEL_OPTIONS = (
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where BERTScore runs; auto takes the first of cuda, mps and cpu that is there.",
    ),
    click.option(
        "--encoder",
        default="deberta-xlarge-mnli",
        show_default=True,
        help="Text encoder of BERTScore: a name of `models list`, or the folder of a model.",
    ),
    click.option("--layer", type=click.IntRange(min=1), help="Layer of a model folder; else its last."),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16"]),
        default="fp32",
        show_default=True,
        help="Of BERTScore; fp32 is official.",
    ),
    click.option(
        "--cache/--no-cache",
        "use_cache",
        default=True,
        show_default=True,
        help="Keep token embeddings for the next run.",
    ),
    click.option(
        "--concept-model",
        type=click.Path(exists=True),
        callback=_usable_pack,
        metavar="PACK",
        help="Compute umls_f1 of captions with this model pack of MedCAT 2, a folder or a zip archive. "
        "Loading a pack runs what is in it: name none that you do not trust.",
    ),
    click.option(
        "--concept-type",
        "concept_types",
        multiple=True,
        metavar="TUI",
        help="Let umls_f1 count only concepts of this semantic type, such as T047; may be repeated.",
    ),
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of scores that need a model."""
    for option in reversed(_MODEL_OPTIONS):
        command = option(command)
    return command


def model_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Settings` that the model options set.

    Raises:
        UsageFault: Semantic types are named and no model pack that would find them.
    """
    if options["concept_types"] and options["concept_model"] is None:
        raise UsageFault("--concept-type says what --concept-model PACK counts: name a model pack too")
    names = ("encoder", "layer", "precision", "concept_model", "concept_types")
    return {name: options[name] for name in names}


def truth_places(given: Path | None) -> list[Place]:
    """Return where to look for the truth, in order."""
    from rocov2_eval.truth import Place, sample_folder

    if given:
        return [Place(path=given, origin="--truth")]
    places = []
    if os.environ.get("ROCOV2_DATA"):
        places.append(Place(path=Path(os.environ["ROCOV2_DATA"]).expanduser(), origin="$ROCOV2_DATA"))
    config = config_file()
    if config.is_file():
        places.append(Place(path=_configured_data(config), origin=f"data in {config}"))
    return [*places, Place(path=sample_folder(), origin="bundled sample")]


def read_with_options(path: Path, options: Mapping[str, Any]) -> tuple[Source, Table, Truth]:
    """Read a run and its truth as the options of the command say."""
    from rocov2_eval.reading import read

    return read(
        path,
        EDITIONS[options["edition"]],
        truth_places(options["truth"]),
        task=options["task"],
        split=options["split"],
        facets=bool(options.get("by")),
    )


def config_file() -> Path:
    """Return where the config file is looked for."""
    return Path(click.get_app_dir("rocov2-eval")) / "config.toml"


def model_opener(
    device: str, *, use_cache: bool, quiet: bool
) -> Callable[[Metric, Options], AbstractContextManager[Any]]:
    """Return what opens a metric's model, with progress on a terminal's stderr."""

    def opened(metric: Metric, options: Options) -> AbstractContextManager[Any]:
        assert metric.load is not None
        shown = sys.stderr.isatty() and not quiet
        return metric.load(
            options,
            device=device,
            cache=cache_folder() if use_cache else None,
            progress=progress_bar(metric.name) if shown else silent,
            notify=silent if quiet else note,
        )

    return opened


def note(text: str) -> None:
    """Tell the user something beside the answer."""
    click.echo(text, err=True)


def cache_folder() -> Path:
    """Return the folder of this program below the user's cache."""
    base = os.environ.get("ROCOV2_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "rocov2-eval" if base else Path.home() / ".cache" / "rocov2-eval"


def answer(text: str, output: Path | None) -> None:
    """Print an answer, or write it to a file where one is named."""
    if output is None:
        click.echo(text, nl=False)
        return
    from rocov2_eval.shelf.files import write_text

    with writing(output):
        write_text(output, text)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a message for the user who named the path."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UsageFault(f"{path} cannot be written: {error.strerror or error}") from None


def _configured_data(config: Path) -> Path:
    import tomllib

    try:
        data = tomllib.loads(config.read_text(encoding="utf-8")).get("data")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageFault(f"{config}: {error}") from None
    if not isinstance(data, str):
        raise UsageFault(f'{config}: expected a line like data = "/path/of/the/dataset"')
    return Path(data).expanduser()
