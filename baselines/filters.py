"""Train the image filters of the dataset builder: is it a radiology image, is it a compound figure?

Either is one question about one picture: a network with one logit, trained by binary cross-entropy on as many
pictures of the answer yes as of no. Training sees them greyed, tinted, inverted, blurred and cut: sources
differ in colour and sharpness, and a filter must not tell them apart by these.

What a training leaves in its folder:

    best.safetensors, last.safetensors   of the loop
    filter.json                          what the network answers, and how its images must look
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from baselines.data.decoding import Fit, PixelArray
from baselines.export import Declaration, export_onnx
from baselines.filter_pictures import Examples, balanced
from baselines.models.efficientnet import SPECS, EfficientNet
from baselines.models.weights import Normalisation, header_of, load_init
from baselines.training import checkpoint
from baselines.training.loop import BEST, TrainingOptions, train
from baselines.training.objective import Group, Share, split_by_decay
from baselines.training.runtime import Runtime
from rocov2_eval.command import silent
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.files import write_text

FACTS = "filter.json"
TASKS = ("radiology", "compound")

_SCORED_AT_ONCE = 64  # images
# How often training does to a picture what it does, and how much.
_MIRRORED, _INVERTED, _GREYED, _TINTED, _BLURRED = 0.5, 0.1, 0.5, 0.3, 0.4
_ZOOM, _LIGHT, _TINT = 0.15, 0.3, 0.25
_BLURS = (1.3, 3.0)  # times that a blurred picture is reduced
_DRAWS = 13  # random numbers a picture


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """What a filter answers, and the network that does.

    Attributes:
        task: `radiology` or `compound`.
        spec: Key of `SPECS`.
        side: Pixels of the squares that the network sees.
        fit: How a picture comes to a square: `letterbox`, or `squash`, which hides the proportions.
        init: Weights to start from, see `load_init`; none if empty.
        pictures: How many an epoch has; rare ones come several times in it.
        threshold: The score from which on the answer is yes.
        seed: Of the first weights and of what is drawn.
    """

    task: str
    spec: str = "nano"
    side: int = 96
    fit: Fit = "letterbox"
    init: str = ""
    pictures: int = 4096
    threshold: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UsageFault(f"task: {self.task!r}, expected {' or '.join(TASKS)}")
        if self.spec not in SPECS:
            raise UsageFault(f"spec: {self.spec!r}, expected one of {', '.join(SPECS)}")
        for name, least in (("side", 8), ("pictures", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageFault(f"{name}: {getattr(self, name)}, expected at least {least}")
        if not 0 <= self.threshold <= 1:
            raise UsageFault(f"threshold: {self.threshold}, expected 0 to 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFilter:
    """A trained filter.

    Attributes:
        options: Of its training.
        model: In evaluation mode.
        normalisation: How its images must look.
    """

    options: FilterOptions
    model: EfficientNet
    normalisation: Normalisation

    def scores(self, pixels: PixelArray) -> FloatArray:
        """Return the probability of yes for each picture, uint8 (n, side, side, 3); shape (n,)."""
        device = next(self.model.parameters()).device
        return filter_scores(self.model, pixels, self.normalisation, device)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How a filter answers on pictures it has not seen.

    Attributes:
        yes: Pictures whose answer is yes.
        no: The others.
        recall: Share of `yes` that it says yes to; None if there are none.
        specificity: Share of `no` that it says no to; None if there are none.
        auc: How often it scores one of `yes` above one of `no`; None unless there are both.
    """

    yes: int
    no: int
    recall: float | None
    specificity: float | None
    auc: float | None


class FilterTraining:
    """The objective of an image filter."""

    main = "likelihood"  # unlike rates it goes on to tell epochs apart when every answer is right

    def __init__(self, options: FilterOptions, train: Examples, aside: Examples) -> None:
        """Build the network.

        Args:
            options: What it is.
            train: Pictures to learn from.
            aside: Pictures of other groups, to choose the best epoch by.

        Raises:
            UsageFault: One of the answers is missing.
        """
        torch.manual_seed(options.seed)
        self.model = EfficientNet(SPECS[options.spec], classes=1, dropout=0.2, drop_path=0.1)
        # Every picture is seen in every epoch, however many there are of the more frequent answer.
        self.n = max(options.pictures, 2 * int(np.bincount(train.answers, minlength=2).max()))
        self._options = options
        self._normalisation = load_init(self.model, options.init or None)
        self._train = train
        self._drawn = balanced(train, self.n, options.seed)
        balanced(aside, 2, 0)  # refuses pictures of one answer
        self._aside = aside

    def groups(self) -> tuple[Group, ...]:
        """Return all parameters, those that decay apart."""
        return split_by_decay(list(self.model.named_parameters()))

    def fetch(self, indices: IntArray) -> tuple[Any, Any]:
        """Return pictures, uint8 of shape (b, side, side, 3), and answers, float32 of shape (b,)."""
        chosen = self._drawn[indices]
        pixels = np.ascontiguousarray(self._train.pixels[chosen])
        return torch.from_numpy(pixels), torch.from_numpy(self._train.answers[chosen].astype(np.float32))

    def loss(self, model: Any, fetched: Any, generator: Any, device: Any, share: Share) -> Any:  # noqa: ANN401
        """Return the mean binary cross-entropy."""
        pixels, answers = (each.to(device, non_blocking=True) for each in fetched)
        images = _normalised(vary(pixels, generator, share), self._normalisation)
        return functional.binary_cross_entropy_with_logits(model(images)[:, 0].float(), answers)

    def validate(self, model: Any, device: Any) -> dict[str, float]:  # noqa: ANN401  torch is Any
        """Return how pictures kept aside are answered, and the mean logarithm of the right probability."""
        answers = self._aside.answers
        scores = filter_scores(model, self._aside.pixels, self._normalisation, device)
        likely = np.where(answers == 1, scores, 1 - scores)
        sides = [np.log(np.maximum(likely[answers == answer], 1e-7)).mean() for answer in (0, 1)]
        quality = judge(scores, answers, self._options.threshold)
        rates = {name: value for name, value in asdict(quality).items() if name not in {"yes", "no"}}
        return {"likelihood": float(np.mean(sides)), **rates}

    def header(self) -> dict[str, str]:
        """Return how images must look, as `load_init` reads it."""
        return header_of(self._normalisation)

    def save(self, folder: Path) -> None:
        """Write what the network answers, and how its images must look."""
        document = {"options": asdict(self._options), "normalisation": asdict(self._normalisation)}
        write_text(folder / FACTS, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def fit_filter(  # noqa: PLR0917  what, on what, how, where
    options: FilterOptions,
    examples: Examples,
    aside: Examples,
    training: TrainingOptions,
    runtime: Runtime,
    folder: Path,
    *,
    report: Callable[[Mapping[str, Any]], None] = silent,
    progress: Callable[[int, int], None] = silent,
    resume: bool = False,
) -> ImageFilter:
    """Train a filter and return the best of its epochs.

    Args:
        options: What it is.
        examples: To learn from.
        aside: To choose by.
        training: How long and how fast.
        runtime: Where.
        folder: Of the run.
        report: Called with the facts of every epoch.
        progress: Called with the number of steps done and of all.
        resume: Go on with the run in the folder.

    Raises:
        RocoError: The pictures or options cannot work.
    """
    objective = FilterTraining(options, examples, aside)
    folder.mkdir(parents=True, exist_ok=True)
    train(objective, training, runtime, folder, options.seed, report, resume=resume, progress=progress)
    return open_filter(folder)


def open_filter(folder: Path) -> ImageFilter:
    """Return the trained filter of a run folder, on the CPU.

    Raises:
        MissingResource: A file is missing.
        RejectedInput: A file is damaged.
    """
    path = folder / FACTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        options = FilterOptions(**document["options"])
        said = document["normalisation"]
        normalisation = Normalisation(**{**said, "mean": tuple(said["mean"]), "std": tuple(said["std"])})
    except OSError as error:
        raise MissingResource(f"{path}: {error.strerror}; name the folder of a finished filter run") from None
    except (ValueError, TypeError, KeyError, UsageFault) as error:
        raise RejectedInput(f"{path}: expected options and normalisation of a filter ({error})") from None
    model = EfficientNet(SPECS[options.spec], classes=1)
    tensors, _ = checkpoint.read(folder / BEST)
    checkpoint.fill(model, tensors, folder / BEST)
    return ImageFilter(options=options, model=model.eval(), normalisation=normalisation)


def export_filter(trained: ImageFilter, path: Path, licence: str) -> float:
    """Write a filter as the builder takes it; return how far a logit is from torch, at most.

    Args:
        trained: The filter.
        path: Replaced if it exists.
        licence: Of the weights: what the licences of its pictures leave open.

    Raises:
        MissingResource: onnx or onnxruntime is not installed.
        RejectedInput: The file answers otherwise than torch.
    """
    options = trained.options
    declaration = Declaration(
        task=options.task,
        mean=trained.normalisation.mean,
        std=trained.normalisation.std,
        classes=(options.task,),
        positive=options.task,
        threshold=options.threshold,
        resize=options.fit,
        activation="sigmoid",
        licence=licence,
    )
    return export_onnx(trained.model, path, side=options.side, metadata=declaration.metadata())


def filter_scores(model: Any, pixels: PixelArray, normalisation: Normalisation, device: Any) -> FloatArray:  # noqa: ANN401
    """Return the probability of yes for each picture, shape (n,).

    Args:
        model: In evaluation mode, on the device.
        pixels: uint8, shape (n, side, side, 3).
        normalisation: How the images of the model must look.
        device: Of the model.
    """
    scores = np.empty(len(pixels))
    with torch.inference_mode():
        for start in range(0, len(pixels), _SCORED_AT_ONCE):
            part = torch.from_numpy(np.array(pixels[start : start + _SCORED_AT_ONCE])).to(device)
            logits = model(_normalised(_levels(part), normalisation))
            scores[start : start + len(part)] = torch.sigmoid(logits.float())[:, 0].cpu().numpy()
    return scores


def judge(scores: FloatArray, answers: IntArray, threshold: float) -> Quality:
    """Return how scores agree with the answers.

    Args:
        scores: Probabilities of yes, shape (n,).
        answers: 0 or 1, shape (n,).
        threshold: The score from which on it says yes.
    """
    of_yes, of_no = scores[answers == 1], scores[answers == 0]
    pairs = of_yes[:, None] - of_no[None, :]
    return Quality(
        yes=len(of_yes),
        no=len(of_no),
        recall=float((of_yes >= threshold).mean()) if len(of_yes) else None,
        specificity=float((of_no < threshold).mean()) if len(of_no) else None,
        auc=float(((pairs > 0) + 0.5 * (pairs == 0)).mean()) if pairs.size else None,
    )


def vary(pixels: Any, chance: Any, share: Share) -> Any:  # noqa: ANN401  torch is Any
    """Return pictures changed as no answer depends on: uint8 (b, s, s, 3) to float32 (b, 3, s, s) in [0, 1].

    Args:
        pixels: Of this process, on any device.
        chance: A generator on the CPU; it draws for the whole batch, in all processes the same.
        share: Which pictures of the batch these are.
    """
    images = _levels(pixels)
    side = images.shape[-1]
    drawn = torch.rand(len(images) * share.world, _DRAWS, generator=chance)
    blur = _BLURS[0] + (_BLURS[1] - _BLURS[0]) * float(torch.rand((), generator=chance))
    drawn = drawn[share.rank :: share.world].to(images.device)[:, :, None, None, None]
    signed = 2 * drawn - 1
    images = functional.grid_sample(images, _grid(drawn, images), padding_mode="border", align_corners=False)
    small = functional.interpolate(images, size=(max(1, round(side / blur)),) * 2, mode="area")
    blurred = functional.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)
    images = torch.where(drawn[:, 4] < _BLURRED, blurred, images)
    images = torch.where(drawn[:, 5] < _GREYED, images.mean(1, keepdim=True), images)
    tints = 1 + _TINT * torch.cat([signed[:, 6], signed[:, 7], signed[:, 8]], 1)
    images = torch.where(drawn[:, 9] < _TINTED, images * tints, images)
    images = torch.where(drawn[:, 10] < _INVERTED, 1 - images, images)
    images = (images - 0.5) * (1 + _LIGHT * signed[:, 11]) + 0.5 + _LIGHT / 2 * signed[:, 12]
    return images.clamp(0, 1)


def _grid(drawn: Any, images: Any) -> Any:  # noqa: ANN401  torch is Any
    """Return where each pixel comes from: the picture mirrored, and cut a little."""
    first = drawn[:, :4, 0, 0, 0]
    scale = 1 - _ZOOM * first[:, 0]
    shifts = (1 - scale)[:, None] * (2 * first[:, 1:3] - 1)
    across = torch.where(first[:, 3] < _MIRRORED, -scale, scale)
    zero = torch.zeros_like(scale)
    rows = torch.stack([across, zero, shifts[:, 0], zero, scale, shifts[:, 1]], 1)
    return functional.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)


def _levels(pixels: Any) -> Any:  # noqa: ANN401  torch is Any
    return pixels.permute(0, 3, 1, 2).float() / 255


def _normalised(images: Any, normalisation: Normalisation) -> Any:  # noqa: ANN401  torch is Any
    """Return images in [0, 1], shape (b, 3, s, s), as a network takes them."""
    mean, std = (images.new_tensor(row)[:, None, None] for row in (normalisation.mean, normalisation.std))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)
