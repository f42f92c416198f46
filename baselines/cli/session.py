"""What the commands that train or predict have in common: options, libraries, and the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.progress import clear_line, progress_line, silent
from rocov2_eval.shelf.surroundings import variable_number

if TYPE_CHECKING:
    from baselines.session import Session
    from baselines.training.runtime import Precision

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
NEW_FOLDER = click.Path(path_type=Path, file_okay=False)
NEW_FILE = click.Path(path_type=Path, dir_okay=False)

DATA = click.option("--data", required=True, type=FOLDER, help="Dataset folder in the ROCOv2 layout.")
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Changed key of the recipe; may be repeated.  [default: none]",
)
DEVICE = click.option(
    "--device", default="auto", show_default=True, help="Device, one of auto, cpu, cuda or cuda:1."
)
CACHE = click.option(
    "--cache",
    type=NEW_FOLDER,
    help="Folder of decoded pictures, kept for later commands.  [default: cache beside the run]",
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")

NETWORKS = ("torch", "safetensors", "huggingface_hub", "PIL")
_TEXT = ("transformers", "tokenizers", "peft")
# What has to be installed, by the task of a recipe.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "concepts": NETWORKS,
    "frozen-concepts": NETWORKS,
    "frozen-captions": NETWORKS,
    "captions": (*NETWORKS, *_TEXT),
    "self-critical": (*NETWORKS, *_TEXT),
    "filter": NETWORKS,
}


def require(*names: str) -> None:
    """Say which library is missing before anything else is done.

    Raises:
        MissingResource: One is not installed.
    """
    for name in names:
        if find_spec(name) is None:
            raise MissingResource(f"{name} is not installed: {install_command('baselines')}")


def warn(doubts: Iterable[str]) -> None:
    """Warn of captions that ignore their pictures, even where nothing else is said."""
    for doubt in doubts:
        click.echo(f"warning: captions hardly depend on the picture: {doubt}", err=True)


@contextmanager
def opened_session(  # noqa: PLR0917  what the options say
    data: Path,
    cache: Path,
    device: str,
    precision: Precision,
    steps: str,
    epoch: Callable[[Mapping[str, Any]], None] = silent,
    *,
    speaks: bool,
) -> Iterator[Session]:
    """Yield the session of a command.

    Args:
        data: The dataset folder.
        cache: The folder of decoded pictures.
        device: Value of `--device`.
        precision: Precision of forward passes.
        steps: What the second progress bar counts.
        epoch: Called with the facts of an epoch.
        speaks: Whether anything is shown; bars go to a terminal alone.
    """
    from baselines.session import Display, Session
    from baselines.training.runtime import opened

    warned: set[str] = set()

    def warn(text: str) -> None:
        if text not in warned:  # networks of an ensemble see the same pictures
            warned.add(text)
            clear_line()
            click.echo(f"warning: {text}", err=True)

    display = Display(
        note=(lambda text: click.echo(text, err=True)) if speaks else silent,
        warn=warn if variable_number("RANK", 0) == 0 else silent,
        pictures=progress_line("cache", "pictures decoded", quiet=not speaks),
        steps=progress_line("model", steps, quiet=not speaks),
        epoch=epoch,
    )
    with opened(device, precision) as runtime:
        yield Session(data=data, cache=cache, runtime=runtime, display=display)
