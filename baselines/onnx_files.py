"""Write a trained network as ONNX, checked against torch, with metadata that say how it is to be used."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from baselines.models.backbone import STRETCH
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.onnx_contract import CHANNELS
from rocov2_eval.shelf.words import shorten

TOLERANCE = 1e-4  # of a logit over the largest one or 1: float32 rounds by some 1e-6 of it
OPSET = 17
_CHECKED = 8  # images of the comparison with torch


def export_onnx(model: Any, path: Path, *, side: int, metadata: Mapping[str, str]) -> float:  # noqa: ANN401
    """Write a network of images as ONNX: float32 of shape (batch, 3, side, side) to (batch, classes).

    Batch is open. The file is complete or absent: it is compared with torch before it takes its name.

    Args:
        model: A network of torch, on any device and in any mode; left as it is.
        path: The ONNX file, replaced if it exists.
        side: Height and width of the images in pixels.
        metadata: What the file says about itself, see `rocov2_eval.shelf.onnx_contract`.

    Returns:
        The largest difference between a logit of onnxruntime and one of torch, over the largest logit or 1.

    Raises:
        MissingResource: onnx or onnxruntime is not installed.
        RejectedInput: It is more than `TOLERANCE`, or ONNX lacks an operation of the network.
    """
    _require()
    import torch

    still = copy.deepcopy(model).cpu().float().eval()
    for module in still.modules():
        if hasattr(module, STRETCH):
            setattr(module, STRETCH, _once(getattr(module, STRETCH)))
    images = torch.randn(_CHECKED, CHANNELS, side, side, generator=torch.Generator().manual_seed(0)) * 2
    with torch.no_grad():
        expected: FloatArray = still(images).numpy().astype(np.float64)
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _trace(still, images, partial)
        _declare(partial, metadata)
        scale = max(1.0, float(np.abs(expected).max()))
        difference = float(np.abs(_run(partial, images.numpy()) - expected).max()) / scale
        if not difference <= TOLERANCE:  # NaN is refused too
            raise RejectedInput(
                f"{path}: the output of onnxruntime differs from that of torch by {difference:.2g} of "
                f"the largest logit, expected at most {TOLERANCE:g}; nothing was written"
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return difference


def _once(stretch: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stretches positions once: the side is fixed, and ONNX cannot stretch as all models do."""
    found: list[Any] = []

    def first(*given: Any) -> Any:  # noqa: ANN401  torch is Any
        if not found:
            found.append(stretch(*given))
        return found[0]

    return first


def _require() -> None:
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingResource(
            f"the export needs onnx and onnxruntime ({error}): {install_command('baselines')}"
        ) from None
    del onnx


def _trace(model: Any, images: Any, path: Path) -> None:  # noqa: ANN401  torch is Any
    """Write what one pass through the network does.

    The exporter by tracing needs no further library; the newer one needs onnxscript.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Padding that follows the side becomes a constant, and the side is fixed.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        try:
            torch.onnx.export(
                model,
                (images,),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise RejectedInput(
                f"{path}: ONNX {OPSET} cannot represent this network: {shorten(str(error))}"
            ) from None


def _declare(path: Path, metadata: Mapping[str, str]) -> None:
    import onnx

    document = onnx.load(str(path))
    onnx.helper.set_model_props(document, dict(metadata))
    onnx.checker.check_model(document, full_check=True)
    onnx.save(document, str(path))


def _run(path: Path, images: Any) -> FloatArray:  # noqa: ANN401  an array of float32
    """Return the logits by onnxruntime, the images one at a time, as the builder asks."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: images[at : at + 1]})[0] for at in range(len(images))]
    return np.concatenate(rows).astype(np.float64)
