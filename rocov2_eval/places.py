"""Where things lie on this machine: the truth, the config file, the cache.

What the user names is taken as it is: that it does not exist is no reason to take something else.
"""

from __future__ import annotations

import os
import sys
from os import PathLike
from pathlib import Path

import click

from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.parsing import Malformed, read_plain, toml_of
from rocov2_eval.shelf.surroundings import home, named_path, variable_path
from rocov2_eval.truth import SAMPLE, Place, sample_folder

_MOST_CONFIG_BYTES = 1 << 20


def truth_places(truth: str | PathLike[str] | None = None) -> list[Place]:
    """Return where to look for the truth, in order.

    Args:
        truth: The one place that the user names; None for $ROCOV2_DATA, the config file and the bundled
            sample.

    Raises:
        UsageFault: Variable or config file do not name a dataset.
    """
    if truth is not None:
        return [Place(path=Path(truth), origin="--truth")]
    places = []
    if (data := variable_path("ROCOV2_DATA")) is not None:
        places.append(Place(path=data, origin="$ROCOV2_DATA"))
    config = config_file()
    if os.path.lexists(config):  # also a link that leads nowhere
        places.append(Place(path=_configured_data(config), origin=f"data in {config}"))
    return [*places, Place(path=sample_folder(), origin=SAMPLE)]


def config_file() -> Path:
    """Return where the config file is looked for.

    Raises:
        UsageFault: The environment names no home.
    """
    if sys.platform in ("win32", "darwin"):
        folder = Path(click.get_app_dir("rocov2-eval"))
    else:  # click takes an empty variable for the folder that one is in
        folder = (variable_path("XDG_CONFIG_HOME") or home() / ".config") / "rocov2-eval"
    return folder / "config.toml"


def cache_folder() -> Path:
    """Return the folder of this program below the user's cache.

    Raises:
        UsageFault: The environment names no home.
    """
    base = variable_path("ROCOV2_CACHE") or variable_path("XDG_CACHE_HOME") or home() / ".cache"
    return base / "rocov2-eval"


def _configured_data(config: Path) -> Path:
    try:
        data = toml_of(read_plain(config, _MOST_CONFIG_BYTES)).get("data")
    except OSError as error:
        raise UsageFault(f"{config}: {error.strerror}") from None
    except Malformed as error:
        raise UsageFault(f"{config}: {error}") from None
    if not isinstance(data, str):
        raise UsageFault(f'{config}: expected a line such as data = "/path/of/the/dataset"')
    return named_path(data, f"data in {config}")
