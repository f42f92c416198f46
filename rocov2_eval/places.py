"""Where things lie on this machine: the truth, the config file, the cache.

Environment and configuration are read here alone.
"""

from __future__ import annotations

import os
import tomllib
from os import PathLike
from pathlib import Path

import click

from rocov2_eval.errors import UsageFault
from rocov2_eval.truth import Place, sample_folder


def truth_places(truth: str | PathLike[str] | None = None) -> list[Place]:
    """Return where to look for the truth, in order.

    Args:
        truth: The one place that the user names; None for $ROCOV2_DATA, the config file and the bundled
            sample.

    Raises:
        UsageFault: The config file does not name a dataset.
    """
    if truth is not None:
        return [Place(path=Path(truth), origin="--truth")]
    places = []
    if os.environ.get("ROCOV2_DATA"):
        places.append(Place(path=Path(os.environ["ROCOV2_DATA"]).expanduser(), origin="$ROCOV2_DATA"))
    config = config_file()
    if config.is_file():
        places.append(Place(path=_configured_data(config), origin=f"data in {config}"))
    return [*places, Place(path=sample_folder(), origin="bundled sample")]


def config_file() -> Path:
    """Return where the config file is looked for."""
    return Path(click.get_app_dir("rocov2-eval")) / "config.toml"


def cache_folder() -> Path:
    """Return the folder of this program below the user's cache."""
    base = os.environ.get("ROCOV2_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "rocov2-eval" if base else Path.home() / ".cache" / "rocov2-eval"


def _configured_data(config: Path) -> Path:
    try:
        data = tomllib.loads(config.read_text(encoding="utf-8")).get("data")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageFault(f"{config}: {error}") from None
    if not isinstance(data, str):
        raise UsageFault(f'{config}: expected a line like data = "/path/of/the/dataset"')
    return Path(data).expanduser()
