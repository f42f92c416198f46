"""Where models run and in which arithmetic; the libraries that run them, imported when they are needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.shelf.extras import install_command

Precision = Literal["fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda", "mps"]

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda", "mps")
# Tokens in a batch. A CPU gains nothing from larger ones; an accelerator needs them to be busy.
TOKEN_BUDGETS = {"cpu": 2048, "cuda": 32768, "mps": 8192}


def choose_device(wanted: str) -> str:
    """Return the device to take, for `auto` the first of cuda, mps and cpu that is there.

    Raises:
        UsageFault: There is no such device anywhere.
        MissingResource: This machine has none, or torch is not installed.
    """
    torch = import_library("torch")
    is_there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, found in is_there.items() if found)
    if wanted not in is_there:
        raise UsageFault(f"no device {wanted!r}, expected one of {', '.join(DEVICES)}")
    if not is_there[wanted]:
        raise MissingResource(f"this machine has no {wanted} device: use `--device auto`")
    return wanted


def describe_device() -> str:
    """Return what `--device auto` takes on this machine, with the name of the accelerator.

    Raises:
        MissingResource: torch is not installed.
    """
    chosen, torch = choose_device("auto"), import_library("torch")
    if chosen == "cuda":
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu: {torch.get_num_threads()} threads" if chosen == "cpu" else chosen


def dtype_of(precision: str) -> Any:  # noqa: ANN401
    """Return the type of torch that a precision names.

    Raises:
        UsageFault: There is no such precision.
    """
    torch = import_library("torch")
    if precision not in PRECISIONS:
        raise UsageFault(f"no precision {precision!r}, expected one of {', '.join(PRECISIONS)}")
    return torch.float32 if precision == "fp32" else torch.bfloat16


def import_library(name: str, extra: str = "captions") -> Any:  # noqa: ANN401
    """Import a library that an extra of this distribution brings.

    Raises:
        MissingResource: It is not installed.
        UsageFault: A variable of the environment holds what it cannot use.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        library = name.partition(".")[0]
        raise MissingResource(f"{library} is not installed: {install_command(extra)}") from error
    except ValueError as error:  # what it reads from the environment when it is imported
        raise UsageFault(f"{name} rejects an environment variable: {error}") from None


@contextmanager
def quiet_transformers() -> Iterator[Any]:
    """Give transformers, with loading reports and bars off the terminal: what matters is checked here."""
    transformers = import_library("transformers")
    logging = transformers.utils.logging
    verbosity, shows_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if shows_bar:
            logging.enable_progress_bar()
