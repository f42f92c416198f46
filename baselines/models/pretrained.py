"""Models of transformers that others have trained: fetched from the Hub, and opened only if they fit.

`from_pretrained` fills what a file lacks with random numbers and only logs it. A wrong prefix or a missing
matrix would so start a run from noise; here it is an error that names the file and the first tensors.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import msgspec
import torch
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    StrictDataclassError,
)
from safetensors import SafetensorError, safe_open

from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.parsing import Malformed, json_as, read_plain
from rocov2_eval.shelf.words import shorten

_TABLES_AND_TENSORS = ["*.json", "*.txt", "*.model", "*.safetensors"]
_TABLES_AND_PICKLES = ["*.json", "*.txt", "*.model", "pytorch_model*.bin"]
_SHOWN = 3  # names of parameters that a message lists

# What configurations that contradict their weights, and damaged files, come to in transformers.
DAMAGES = (
    pickle.UnpicklingError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    ZeroDivisionError,
    ImportError,  # of the library that weights of few bits need
    StrictDataclassError,
)

LICENCES: Mapping[str, str] = {
    "google/vit-base-patch16-224-in21k": "Apache-2.0",
    "google/siglip-base-patch16-224": "Apache-2.0",
    "stanford-crfm/BioMedLM": "bigscience-bloom-rail-1.0",  # its limits of use pass on to what is made of it
    "openai-community/gpt2": "MIT",
    "gpt2": "MIT",
    "distilbert/distilgpt2": "Apache-2.0",
    "distilgpt2": "Apache-2.0",
    "Qwen/Qwen2.5-0.5B": "Apache-2.0",
    "Qwen/Qwen2.5-1.5B": "Apache-2.0",
    "facebook/convnext-tiny-224": "Apache-2.0",
    "facebook/convnextv2-tiny-22k-224": "CC-BY-NC-4.0",  # as the authors publish them
    "facebook/dinov2-small": "Apache-2.0",
    "facebook/dinov2-base": "Apache-2.0",
    "microsoft/resnet-50": "Apache-2.0",
    "microsoft/swin-tiny-patch4-window7-224": "Apache-2.0",
}


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    """What the index of weights in several files holds."""

    weight_map: dict[str, str]


def licence_of(name: str) -> str:
    """Return the licence of some weights, as their publisher states it."""
    return LICENCES.get(name, "unknown: see the page of these weights")


def lasting(name: str) -> str:
    """Return the name of a model as it holds from any working directory: a folder with its whole path."""
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def fetched(name: str) -> Path:
    """Return the folder of a model: one of this disk, or one of the Hub, fetched unless it is here already.

    Raises:
        UsageFault: It is no folder, and no name that the Hub could have.
        MissingResource: It is not on this disk and cannot be fetched.
    """
    if Path(name).is_dir():
        return Path(name)

    def snapshot(hub: Any) -> Path:  # noqa: ANN401  huggingface_hub
        folder = Path(hub.snapshot_download(name, allow_patterns=_TABLES_AND_TENSORS))
        if any(folder.glob("*.safetensors")):
            return folder
        # Older repositories have nothing but pickled weights, which torch reads without running code.
        return Path(hub.snapshot_download(name, allow_patterns=_TABLES_AND_PICKLES))

    return _from_hub(name, f"hf download {name}", snapshot)


def fetched_file(name: str, file: str) -> Path:
    """Return one file of a model of the Hub, fetched unless it is here already; errors as of `fetched`."""
    return _from_hub(name, f"hf download {name} {file}", lambda hub: Path(hub.hf_hub_download(name, file)))


def config_of(folder: Path) -> Any:  # noqa: ANN401  of transformers
    """Return the configuration of a model in a folder.

    Raises:
        MissingResource: There is no `config.json`, or transformers is not installed.
        RejectedInput: It is no configuration that transformers knows.
    """
    if not (folder / "config.json").is_file():
        raise MissingResource(f"{folder}: no config.json, expected a folder with a model of transformers")
    known = auto_config()
    try:
        with quiet():
            return known.from_pretrained(folder, local_files_only=True)
    except DAMAGES as error:
        raise RejectedInput(
            f"{folder / 'config.json'}: not a model of transformers: {shorten(str(error), 160)}"
        ) from None


def auto_config() -> Any:  # noqa: ANN401  of transformers
    """Return the class of transformers that knows all configurations.

    Raises:
        MissingResource: transformers is not installed.
    """
    try:
        from transformers import AutoConfig
    except ImportError:
        raise MissingResource(f"transformers is not installed: {install_command('baselines')}") from None
    return AutoConfig


def opened(kind: Any, folder: Path, *, new: tuple[str, ...] = (), **settings: Any) -> Any:  # noqa: ANN401
    """Return a model with the weights of a folder, in float32 unless told otherwise.

    What the file has for another head, such as the classifier that a ViT was trained with, is left out.

    Args:
        kind: Class of transformers.
        folder: A folder as `save_pretrained` writes it.
        new: Parts of names; parameters with one of them start at random where the file lacks them, or
            has them of another shape.
        settings: Further arguments of `from_pretrained`.

    Raises:
        MissingResource: The weights are absent.
        RejectedInput: A file is damaged, or lacks, misshapes or exceeds what the model has.
    """
    _refuse_damaged(folder)
    given = {"dtype": torch.float32, **settings}
    try:
        with quiet():
            model, report = kind.from_pretrained(
                folder,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **given,
            )
    except FileNotFoundError as error:
        raise MissingResource(f"{folder}: a file of the weights is missing: {error}") from None
    except DAMAGES as error:
        raise RejectedInput(
            f"{folder}: cannot be opened as {kind.__name__}: {shorten(str(error), 200)}"
        ) from None
    _refuse_other(model, report, new, folder)
    return model


def refuse_faults(path: Path, lacking: list[str], beyond: list[str], misshapen: list[str]) -> None:
    """Refuse weights that are not those of a network.

    Args:
        path: Where the weights come from, for the message.
        lacking: Names that the network has and the weights have not.
        beyond: Names that the weights have and the network has not.
        misshapen: Names, found and expected shape of those that both have.

    Raises:
        RejectedInput: A list holds a name.
    """
    faults = {"lacks": lacking, "has additional tensors:": beyond, "has other shapes:": misshapen}
    found = [f"{words} {_first(sorted(names))}" for words, names in faults.items() if names]
    if found:
        raise RejectedInput(f"{path}: the weights belong to another network; the file {'; '.join(found)}")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from reporting weights that are new on purpose, and from drawing bars."""
    from transformers.utils import logging

    before, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bars:
            logging.enable_progress_bar()


def _from_hub(name: str, command: str, fetch: Callable[[Any], Path]) -> Path:
    # The client below huggingface_hub, whichever it is, raises errors of its own while a file is on its way.
    clients = tuple(sys.modules[client].HTTPError for client in ("httpx", "httpx2") if client in sys.modules)
    try:
        return fetch(huggingface_hub)
    except HFValidationError:
        raise UsageFault(f"{shorten(name)}: neither a folder nor a valid name on the Hub") from None
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError, *clients) as error:
        raise MissingResource(
            f"{name} is not on this machine and cannot be downloaded: {shorten(str(error), 160)}\nWith "
            f"a connection, `{command}` downloads it into the cache. Without one, copy the cache to "
            "this machine, or name a folder or file of your own"
        ) from None


def _first(names: list[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{rest}"


def _refuse_damaged(folder: Path) -> None:
    """Refuse absent shards and files that are not whole; transformers names neither in its errors."""
    files = sorted(folder.glob("model*.safetensors"))
    for index in folder.glob("model.safetensors.index.json"):
        try:
            shards = json_as(read_plain(index), _Index).weight_map.values()
        except (OSError, Malformed) as error:
            raise RejectedInput(f"{index}: {error}; expected a weight_map of tensors to files") from None
        files = [folder / shard for shard in sorted(set(shards))]
    if not files and not any(folder.glob("pytorch_model*.bin")):
        raise MissingResource(f"{folder}: neither model.safetensors nor pytorch_model.bin")
    for file in files:
        if not file.is_file():
            raise MissingResource(f"{file}: missing, but the index of the weights names it")
        try:
            with safe_open(str(file), "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise RejectedInput(f"{file}: expected a complete safetensors file: {error}") from None


def _refuse_other(model: Any, report: Mapping[str, Any], new: tuple[str, ...], folder: Path) -> None:  # noqa: ANN401
    """Refuse what would leave a part of the model at random, or cut a part of the weights off."""

    def is_new(name: str) -> bool:
        return any(part in name for part in new)

    def is_part(name: str) -> bool:
        first, *rest = name.removeprefix(f"{model.base_model_prefix}.").split(".")
        owners = (model, model.base_model)  # the same where the model is one without a head
        return bool(rest) and any(getattr(owner, first, None) is not None for owner in owners)

    misshapen = [
        f"{name} {list(found)} instead of {list(wanted)}"
        for name, found, wanted in map(tuple, report["mismatched_keys"])
        if not is_new(name)
    ]
    lacking = [name for name in report["missing_keys"] if not is_new(name)]
    beyond = [name for name in report["unexpected_keys"] if is_part(name) and not is_new(name)]
    refuse_faults(folder, lacking, beyond, misshapen)
