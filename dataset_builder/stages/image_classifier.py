"""The image filters' models: ONNX files, run by onnxruntime.

`rocov2_eval.shelf.onnx_contract` says what a model file must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.onnx_contract import CHANNELS, PREFIX, Activation, OnnxContract, Task, read_contract
from rocov2_eval.shelf.pictures import PixelArray, Unreadable, read_pixels
from rocov2_eval.shelf.words import shorten

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

InputArray = npt.NDArray[np.float32]

MODELS = Path(__file__).parent / "models"  # those that come with the package
_AXES = 4
_MOST_SIDE = 4096  # pixels; more would fill the memory before any answer
_ROUNDING = 1e-4  # by which a model of probabilities may leave [0, 1]


def model_in_words(path: Path | None) -> str:
    """Return which model a filter goes by."""
    return "the built-in model" if path is None else f"the model {path.name}"


def find_model(task: Task, path: Path | None) -> Path:
    """Return the user's model, else the one that comes with the package.

    Raises:
        MissingResource: There is neither.
    """
    if path is not None:
        if not path.is_file():
            raise MissingResource(f"{path}: no such file, expected an ONNX model of the task {task}")
        return path
    shipped = MODELS / f"{task}.onnx"
    if shipped.is_file():
        return shipped
    switch = 'filter = "off"' if task == "radiology" else 'method = "priors" or "off"'
    raise MissingResource(
        f"the {task} filter has no model: "
        f'name one with model = "{task}.onnx" in the table [{task}], or set {switch} there'
    )


def open_classifier(path: Path, task: Task, threads: int = 1) -> OnnxClassifier:
    """Return the model of a file, loaded once a process for as long as the file stays as it is.

    Raises:
        MissingResource: There is no such file, or no onnxruntime.
        RejectedInput: The file does not keep to the contract.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        raise MissingResource(f"{path}: no such file, expected an ONNX model of the task {task}") from None
    return _opened(path, task, threads, state.st_mtime_ns, state.st_size)


class OnnxClassifier:
    """A model in an ONNX file, on the processor.

    Attributes:
        contract: What the file says about itself.
        size: Width and height of the input, in pixels.
    """

    def __init__(self, path: Path, task: Task, threads: int = 1) -> None:
        """Load a model.

        Args:
            path: The file.
            task: The filter that the model must have been made for.
            threads: Threads within one picture. Another number may move the last digits of a score.

        Raises:
            MissingResource: There is no onnxruntime.
            RejectedInput: The file does not keep to the contract.
        """
        self._path = path
        self._session = _session(path, threads)
        self.contract = read_contract(self._session.get_modelmeta().custom_metadata_map, path)
        if self.contract.task != task:
            raise RejectedInput(
                f"{path}: {PREFIX}task is {self.contract.task}, expected {task}: a model of another filter"
            )
        self._batch, self.size = _input_size(self._session, path)
        _check_output(self._session, self.contract, path)
        self._input: str = self._session.get_inputs()[0].name

    @property
    def threshold(self) -> float:
        """The threshold that comes with the model."""
        return self.contract.threshold

    def scores(self, pictures: Sequence[bytes]) -> FloatArray:
        """Return the probability of the positive class for each picture, in [0, 1], shape (n,).

        A model of open batch gets one picture at a time: a batch saves little on a processor, and the last
        digits of a score would depend on the neighbours.

        Raises:
            RejectedInput: A picture cannot be read, or the model answers what no probability is.
        """
        found = np.empty(len(pictures))
        for start in range(0, len(pictures), self._batch):
            part = [self._prepared(content) for content in pictures[start : start + self._batch]]
            blank = np.zeros((self._batch - len(part), *part[0].shape), np.float32)
            raw = self._answer(np.concatenate([np.stack(part), blank]))
            found[start : start + len(part)] = self._positive(raw)[: len(part)]
        return found

    def _prepared(self, content: bytes) -> InputArray:
        pixels = read_pixels(content, max(self.size))
        if isinstance(pixels, Unreadable):
            raise RejectedInput(f"a picture cannot be read: {pixels.detail}")
        return prepare(pixels, self.contract, self.size)

    def _answer(self, batch: InputArray) -> FloatArray:
        """Return the output for a batch, shape (batch, classes)."""
        try:
            (output,) = self._session.run(None, {self._input: batch})
        except _failures() as error:
            raise RejectedInput(f"{self._path}: the model fails: {shorten(str(error), 200)}") from None
        output = np.asarray(output, np.float64)
        expected = (len(batch), len(self.contract.classes))
        if output.shape != expected:
            raise RejectedInput(f"{self._path}: the model answers shape {output.shape}, expected {expected}")
        if not np.isfinite(output).all():
            raise RejectedInput(f"{self._path}: the model answers NaN or infinity, expected finite numbers")
        return output

    def _positive(self, output: FloatArray) -> FloatArray:
        """Return the probability of the positive class, shape (batch,)."""
        likely = _ACTIVATIONS[self.contract.activation](output)
        column: FloatArray = likely[:, self.contract.classes.index(self.contract.positive)]
        if column.min() < -_ROUNDING or column.max() > 1 + _ROUNDING:
            outlier = column[np.abs(column - 0.5).argmax()]
            raise RejectedInput(
                f"{self._path}: the model answers {outlier:.4g} for {self.contract.positive}, expected a "
                f"probability; {PREFIX}activation is {self.contract.activation}"
            )
        return np.clip(column, 0, 1)


def prepare(pixels: PixelArray, contract: OnnxContract, size: tuple[int, int]) -> InputArray:
    """Return a picture as a model takes it: shape (3, height, width).

    Args:
        pixels: RGB, shape (height, width, 3).
        contract: What the model says about itself.
        size: Width and height of the model's input, in pixels.
    """
    from PIL import Image

    picture = Image.fromarray(pixels)
    if contract.resize == "letterbox":
        scale = min(size[0] / picture.width, size[1] / picture.height)
        inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        canvas = Image.new("RGB", size)
        canvas.paste(
            picture.resize(inner, Image.Resampling.BILINEAR),
            ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2),
        )
    else:
        canvas = picture.resize(size, Image.Resampling.BILINEAR)
    levels = np.asarray(canvas, np.float32) / np.float32(255)
    scaled = (levels - np.array(contract.mean, np.float32)) / np.array(contract.std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


@lru_cache(maxsize=4)
def _opened(path: Path, task: Task, threads: int, _changed: int, _size: int) -> OnnxClassifier:
    """Return the model; time and size are arguments so that a replaced file is loaded anew."""
    return OnnxClassifier(path, task, threads)


def _session(path: Path, threads: int) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        message = f"models cannot be run without onnxruntime: {install_command('builder')}"
        raise MissingResource(message) from None

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.use_deterministic_compute = True
    settings.log_severity_level = 4  # its errors are told by us
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except _failures() as error:
        found = shorten(str(error), 200)
        raise RejectedInput(f"{path}: expected an ONNX model that onnxruntime runs: {found}") from None


def _failures() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises; its exceptions share no base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*own, ValueError, RuntimeError)


def _input_size(session: InferenceSession, path: Path) -> tuple[int, tuple[int, int]]:
    """Return how many pictures the model takes at once, 1 where that is open, and the size of each."""
    ports = session.get_inputs()
    shape: list[int | str | None] = (
        ports[0].shape if [port.type for port in ports] == ["tensor(float)"] else []
    )
    if len(shape) == _AXES and shape[1] == CHANNELS:
        batch, height, width = _length(shape[0]), _length(shape[2]), _length(shape[3])
        if height and width and max(height, width) <= _MOST_SIDE:
            return batch or 1, (width, height)
    found = shorten(", ".join(f"{port.type} {port.shape}" for port in ports), 120) or "none"
    raise RejectedInput(
        f"{path}: the inputs are {found}, expected one input of float32, batch x 3 x height x width, height "
        f"and width fixed, each at most {_MOST_SIDE}"
    )


def _check_output(session: InferenceSession, contract: OnnxContract, path: Path) -> None:
    ports = session.get_outputs()
    if len(ports) != 1:
        raise RejectedInput(f"{path}: found {len(ports)} outputs, expected one, batch x classes")
    columns = _length(ports[0].shape[-1]) if ports[0].shape else None
    if columns is not None and columns != len(contract.classes):
        raise RejectedInput(
            f"{path}: the output has {columns} columns, expected {len(contract.classes)} as in "
            f"{PREFIX}classes"
        )


def _length(axis: int | str | None) -> int | None:
    """Return the length of an axis, None where it is open."""
    return axis if isinstance(axis, int) and axis > 0 else None


def _softmax(output: FloatArray) -> FloatArray:
    powers = np.exp(output - output.max(axis=1, keepdims=True))
    shares: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _sigmoid(output: FloatArray) -> FloatArray:
    return 0.5 * (1 + np.tanh(output / 2))  # unlike 1 / (1 + exp(-x)) it never overflows


def _as_it_is(output: FloatArray) -> FloatArray:
    return output


_ACTIVATIONS: Mapping[Activation, Callable[[FloatArray], FloatArray]] = {
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "none": _as_it_is,
}
