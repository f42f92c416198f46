"""Train the image filters of the dataset builder: is it a radiology image, is it a compound figure?

Either is one question about one picture: a network with one logit, trained by binary cross-entropy on as many
pictures of the answer yes as of no. Training sees them greyed, tinted, inverted, blurred and cut: sources
differ in colour and sharpness, and a filter must not tell them apart by these.

folder/
  best.safetensors, network.json  see `classifiers`
  filter.json                     the options: what the network answers, and from which score on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from msgspec import Meta
from torch.nn import functional

from baselines.bounds import Probability, Side
from baselines.classifiers import Classifier, build_classifier, open_classifier
from baselines.data.augment import levels, normalised
from baselines.data.decoding import Fit
from baselines.documents import read_document, write_document
from baselines.filter_pictures import ClassedPictures, balanced
from baselines.models.efficientnet import SpecName
from baselines.models.weights import header_of
from baselines.onnx_files import export_onnx
from baselines.training.objective import ParameterGroup, Share, split_by_decay
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.onnx_contract import OnnxContract, Task, contract_metadata
from rocov2_eval.shelf.pictures import PixelArray

FACTS = "filter.json"

# How often training does to a picture what it does, and how much.
_MIRRORED, _INVERTED, _GREYED, _TINTED, _BLURRED = 0.5, 0.1, 0.5, 0.3, 0.4
_ZOOM, _LIGHT, _TINT = 0.15, 0.3, 0.25
_BLURS = (1.3, 3.0)  # times that a blurred picture is reduced
_DRAWS = 13  # random numbers a picture


class FilterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a filter answers, and the network that does.

    Attributes:
        task: The class that is the answer yes.
        spec: Key of `SPECS`.
        side: Height and width in pixels of the squares that the network sees.
        fit: How a picture comes to a square: `letterbox`, or `squash`, which hides the proportions.
        init: Weights to start from, see `load_init`; random ones if empty.
        pictures: Number of pictures in an epoch; rare ones come several times in it.
        threshold: The score from which on the answer is yes.
    """

    task: Task
    spec: SpecName = "nano"
    side: Side = 96
    fit: Fit = "letterbox"
    init: str = ""
    pictures: Annotated[int, Meta(ge=2)] = 4096
    threshold: Probability = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFilter:
    """A trained filter.

    Attributes:
        options: Options of the filter's training.
        classifier: The network, in evaluation mode, with one class.
    """

    options: FilterOptions
    classifier: Classifier

    def scores(self, pixels: PixelArray) -> FloatArray:
        """Return the probability of yes for each picture, uint8 (n, side, side, 3); shape (n,)."""
        return self.classifier.probabilities(pixels, torch.device("cpu"))[:, 0]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How a filter answers on pictures it has not seen.

    Attributes:
        yes: Number of pictures whose answer is yes.
        no: Number of pictures whose answer is no.
        recall: Share of the pictures `yes` that the filter says yes to; None if there are none.
        specificity: Share of the pictures `no` that the filter says no to; None if there are none.
        auc: How often the filter scores a picture `yes` above a picture `no`; None unless there are both.
    """

    yes: int
    no: int
    recall: float | None
    specificity: float | None
    auc: float | None


class FilterTraining:
    """The objective of an image filter."""

    main = "likelihood"  # unlike rates it goes on to tell epochs apart when every answer is right
    bases: Mapping[str, str] = {}  # all of the network is trained

    def __init__(
        self, options: FilterOptions, train: ClassedPictures, valid: ClassedPictures, seed: int = 0
    ) -> None:
        """Build the network.

        Args:
            options: What the filter answers, and its network.
            train: Pictures to learn from.
            valid: Pictures of other groups, to choose the best epoch by.
            seed: Seed of the first weights and of the order of pictures.

        Raises:
            UsageFault: One of the answers is missing.
        """
        torch.manual_seed(seed)
        self._classifier = build_classifier(
            options.spec, 1, init=options.init, size=options.side, dropout=0.2, drop_path=0.1
        )
        self.model = self._classifier.model
        # Every picture is seen in every epoch, however many there are of the more frequent answer.
        self.n = max(options.pictures, 2 * int(np.bincount(train.answers, minlength=2).max()))
        self._options = options
        self._train = train
        self._drawn = balanced(train, self.n, seed)
        balanced(valid, 2, 0)  # refuses pictures of one answer
        self._valid = valid

    def groups(self) -> tuple[ParameterGroup, ...]:
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
        look = self._classifier.normalisation
        images = normalised(vary(pixels, generator, share), look.mean, look.std)
        return functional.binary_cross_entropy_with_logits(model(images)[:, 0].float(), answers)

    def validate(self, device: Any) -> Mapping[str, float]:  # noqa: ANN401  torch is Any
        """Return how the other pictures are answered, and the mean logarithm of the right probability."""
        answers = self._valid.answers
        scores = self._classifier.probabilities(self._valid.pixels, device)[:, 0]
        likely = np.where(answers == 1, scores, 1 - scores)
        sides = [np.log(np.maximum(likely[answers == answer], 1e-7)).mean() for answer in (0, 1)]
        quality = judge(scores, answers, self._options.threshold)
        rates = {name: value for name, value in asdict(quality).items() if name not in {"yes", "no"}}
        return {"likelihood": float(np.mean(sides)), **rates}

    def header(self) -> Mapping[str, str]:
        """Return how images must look, as `load_init` reads it."""
        return header_of(self._classifier.normalisation)

    def save(self, folder: Path) -> None:
        """Write what the network answers, and which network it is."""
        write_document(folder / FACTS, self._options)
        self._classifier.save(folder)


def open_filter(folder: Path) -> ImageFilter:
    """Return the trained filter of a run folder, on the CPU.

    Raises:
        MissingResource: A file is missing.
        RejectedInput: A file is damaged.
    """
    options = read_document(folder / FACTS, FilterOptions)
    return ImageFilter(options=options, classifier=open_classifier(folder, 1))


def export_filter(trained: ImageFilter, path: Path, licence: str) -> float:
    """Write a filter as the builder takes it; return how far a logit is from torch, at most.

    Args:
        trained: The filter.
        path: The ONNX file, replaced if it exists.
        licence: Licence of the weights: what the licences of its pictures leave open.

    Raises:
        MissingResource: onnx or onnxruntime is not installed.
        RejectedInput: The file answers otherwise than torch.
    """
    options, classifier = trained.options, trained.classifier
    contract = OnnxContract(
        task=options.task,
        mean=classifier.normalisation.mean,
        std=classifier.normalisation.std,
        classes=(options.task,),
        positive=options.task,
        threshold=options.threshold,
        resize=options.fit,
        activation="sigmoid",
        licence=licence,
    )
    return export_onnx(classifier.model, path, side=classifier.size, metadata=contract_metadata(contract))


def judge(scores: FloatArray, answers: IntArray, threshold: float) -> Quality:
    """Return how scores agree with the answers.

    Args:
        scores: Probability of yes for each picture, shape (n,).
        answers: 1 for each picture whose answer is yes, 0 for the others, shape (n,).
        threshold: The score from which on the filter says yes.
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
        pixels: Pictures of this process, on any device.
        chance: A generator on the CPU; it draws for the whole batch, in all processes the same.
        share: Which pictures of the batch these are.
    """
    images = levels(pixels)
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
