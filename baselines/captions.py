"""What a captioner is trained on: each caption, token by token, given its picture.

The loss of a batch is the negative log-likelihood of all its tokens over the number of tokens that so many
captions have on average. Dividing by the tokens of the batch itself would make the gradient depend on how a
batch is cut into processes and parts; so it does not, and on average it is the same.

Beside the weights lie the tokenizer, `captioner.json` (what the network is made of, how pictures must look,
how captions are generated) and `generation_config.json`, which transformers reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import torch

from baselines.bounds import CaptionLength, Count
from baselines.classifiers import named_network
from baselines.data.augment import AugmentOptions, augment, centre
from baselines.data.cache import PictureCache
from baselines.data.dataset import Concepts, Examples
from baselines.documents import read_document, write_document
from baselines.generation import GenerationOptions, generate, refuse_too_long, settings_of
from baselines.looking import looks, vocabulary
from baselines.models import vision
from baselines.models.captioner import (
    DECODERS,
    ENCODER,
    ENCODERS,
    Captioner,
    CaptionerOptions,
    bases_of,
    compose,
    is_new,
    rebuild,
    refuse_unread,
    shapes,
)
from baselines.models.efficientnet import EfficientNet
from baselines.models.pretrained import DAMAGES, fetched, licence_of
from baselines.models.text import Text, Tokens, batched, encode, open_text, save_text, train_text
from baselines.models.weights import HALF, Normalisation
from baselines.training import changed, checkpoint
from baselines.training.objective import ParameterGroup, Share, split_by_decay
from rocov2_eval.encoders import Encoder
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.metrics import bertscore, rouge
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.pictures import PixelArray
from rocov2_eval.shelf.progress import Progress, silent

FACTS = "captioner.json"
TOKENIZER = "tokenizer"
_LAYOUT = 2  # of the files and names of parameters; raised with every change of them


@dataclass(frozen=True, kw_only=True, eq=False)
class Captioned:
    """Pictures with their captions.

    Attributes:
        ids: Image ids.
        images: Decoded pictures, uint8 of shape (m, side, side, 3); may lie on the disk.
        captions: Caption of each id.
        rows: Row in `images` of each id: all rows, but for broken pictures.
        manual: Manual concepts of each id, None where they were not read.
    """

    ids: tuple[str, ...]
    images: PixelArray
    captions: tuple[str, ...]
    rows: IntArray
    manual: Concepts | None = None

    def __len__(self) -> int:
        return len(self.ids)


class CaptionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is learnt and how it is validated.

    Attributes:
        most_tokens: Longest caption, its end included; a longer one is cut.
        validated: Pictures of the validation split, evenly spread, that get captions; 0 for all.
        chosen_by: The validation score that decides which weights are kept. ROUGE-1 is often highest while
            all pictures get one caption; the loss falls on when the pictures begin to matter.
    """

    most_tokens: CaptionLength = 96
    validated: Count = 0
    chosen_by: Literal["rouge1", "negative_loss"] = "rouge1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Ready:
    """A captioner with all that prediction needs.

    Attributes:
        captioner: The network.
        text: The tokenizer of the network.
        normalisation: How pictures must look for the network.
        generation: How captions are generated.
        licences: Licences of the weights that it started from, by their name.
    """

    captioner: Captioner
    text: Text
    normalisation: Normalisation
    generation: GenerationOptions
    licences: Mapping[str, str]


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `captioner.json` holds."""

    options: CaptionerOptions
    shapes: dict[str, dict[str, Any]]
    normalisation: Normalisation
    generation: GenerationOptions
    licences: dict[str, str]
    layout: int = 1


class Fetched(NamedTuple):
    """A batch on the host: which examples, their pixels, what the decoder reads and should say."""

    rows: IntArray
    pixels: PixelArray
    inputs: IntArray
    targets: IntArray


class CaptionObjective:
    """The objective of `baselines.training.loop` that trains a captioner.

    Attributes:
        model: The captioner.
        ready: The captioner with all that prediction needs.
        train: Pictures and captions to learn from.
        main: The validation score that decides which weights are kept.
        n: Number of training examples.
        typical: Tokens of a training caption on average, the end included.
        bases: Where frozen weights come from, see `Objective`.
    """

    def __init__(
        self,
        ready: Ready,
        train: Captioned,
        valid: Captioned,
        *,
        options: CaptionOptions,
        augmentation: AugmentOptions,
        encoder: Encoder | None = None,
    ) -> None:
        refuse_too_long(ready.captioner, options.most_tokens)
        self.model: Any = ready.captioner
        self.ready = ready
        self.train = train
        self.n = len(train)
        self.main: str = options.chosen_by
        self.bases = bases_of(ready.captioner.options)
        self._valid = valid
        self._options = options
        self._augmentation = augmentation
        self._encoder = encoder
        self._tokens = encode(ready.text, train.captions, options.most_tokens)
        self._valid_tokens = encode(ready.text, valid.captions, options.most_tokens)
        self._known = vocabulary(train.captions)
        self.typical = sum(map(len, self._tokens)) / self.n

    def groups(self) -> Sequence[ParameterGroup]:
        """Return pretrained weights and new ones, which want a higher rate, apart."""
        trained = [(name, each) for name, each in self.model.named_parameters() if each.requires_grad]
        old = [(name, each) for name, each in trained if not is_new(name)]
        new = [(name, each) for name, each in trained if is_new(name)]
        return (*split_by_decay(old), *split_by_decay(new, rate=self.ready.captioner.options.new_rate))

    def fetch(self, indices: IntArray) -> Fetched:
        """Return pictures and tokens of some examples."""
        rows: list[Tokens] = [self._tokens[index] for index in indices]
        pixels = self.train.images[self.train.rows[indices]]
        return Fetched(indices, pixels, *batched(rows, self.ready.text.end))

    def loss(self, model: Any, fetched: Fetched, generator: Any, device: Any, share: Share) -> Any:  # noqa: ANN401
        """Return the mean negative log-likelihood of a token."""
        pixels = self.varied(fetched, generator, device, share)
        inputs, targets = (torch.from_numpy(side).to(device) for side in (fetched.inputs, fetched.targets))
        return model(pixels, inputs, targets).mean() / self.typical

    def varied(self, fetched: Fetched, generator: Any, device: Any, share: Share) -> Any:  # noqa: ANN401
        """Return the pictures of a batch as training sees them, shape (b, 3, size, size)."""
        look = self.ready.normalisation
        return augment(
            torch.from_numpy(fetched.pixels).to(device),
            look.size,
            self._augmentation,
            generator,
            look.mean,
            look.std,
            rank=share.rank,
            world=share.world,
        )

    def validate(self, device: Any) -> Mapping[str, float]:  # noqa: ANN401  torch is Any
        """Return what generated captions are worth, the loss of a token, and whether the pictures matter.

        ROUGE-1 and, given an encoder, BERTScore; of `baselines.looking`, whatever can be told.
        """
        valid, wanted = self._valid, self._options.validated or len(self._valid)
        chosen = np.unique(np.linspace(0, len(valid) - 1, min(wanted, len(valid))).round().astype(np.int64))
        part = select(valid, chosen)
        found = predict(
            self.ready,
            part,
            device,
            lengths=[len(self._valid_tokens[index]) for index in chosen],
        )
        loss = self._valid_loss(device)
        scores = {
            "rouge1": rouge.score(found, part.captions)["rouge1"].mean,
            "negative_loss": -loss,
            **looks(found, part.captions, part.manual, self._known),
        }
        if len(valid) > 1:
            scores["shuffled_gap"] = self._valid_loss(device, shift=len(valid) // 2) - loss
        if self._encoder is not None:
            scored = bertscore.score(found, part.captions, resource=self._encoder)
            scores["bertscore_f1"] = scored["bertscore_f1"].mean
        return {name: value for name, value in scores.items() if value is not None}

    def header(self) -> Mapping[str, str]:
        """Return nothing: captioners are opened by their folder."""
        return {}

    def save(self, folder: Path) -> None:
        """Write the files beside the weights, see the head of the module."""
        save_ready(self.ready, folder)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _valid_loss(self, device: Any, shift: int = 0) -> float:  # noqa: ANN401  torch is Any
        """Return the negative log-likelihood of a token, each caption with the picture so many places on."""
        order = np.argsort([-len(ids) for ids in self._valid_tokens], kind="stable")
        pictures = shown(self._valid, self.ready.normalisation, device)
        total = 0.0
        for start in range(0, len(order), self.ready.generation.batch):
            rows = order[start : start + self.ready.generation.batch]
            pair = batched([self._valid_tokens[row] for row in rows], self.ready.text.end)
            inputs, targets = (torch.from_numpy(side).to(device) for side in pair)
            total += float(self.model(pictures((rows + shift) % len(order)), inputs, targets).sum())
        return total / sum(map(len, self._valid_tokens))


def captioned(examples: Examples, cache: PictureCache) -> Captioned:
    """Return the intact pictures of a split with their captions.

    Raises:
        UsageFault: The captions were not read, or the cache is of other pictures.
        RejectedInput: No picture is intact.
    """
    if examples.captions is None or examples.ids != cache.ids:
        raise UsageFault(f"{cache.folder}: not the pictures of the {examples.split} split with its captions")
    rows = cache.intact
    if not len(rows):
        raise RejectedInput(f"{cache.folder}: no picture of the {examples.split} split can be read")
    return Captioned(
        ids=tuple(examples.ids[row] for row in rows),
        images=cache.images,
        captions=tuple(examples.captions[row] for row in rows),
        rows=rows,
        manual=_taken(examples.concepts_manual, rows),
    )


def select(examples: Captioned, chosen: IntArray) -> Captioned:
    """Return some of the examples, by index."""
    return replace(
        examples,
        ids=tuple(examples.ids[index] for index in chosen),
        captions=tuple(examples.captions[index] for index in chosen),
        rows=examples.rows[chosen],
        manual=_taken(examples.manual, chosen),
    )


def _taken(concepts: Concepts | None, rows: IntArray) -> Concepts | None:
    return None if concepts is None else tuple(concepts[row] for row in rows)


def begin(options: CaptionerOptions, generation: GenerationOptions, captions: Sequence[str]) -> Ready:
    """Return a captioner to be trained.

    Its new weights come from torch's global generator.

    Args:
        options: What the captioner is made of.
        generation: How its captions are generated; saved with it.
        captions: Captions of the training split; a tokenizer is trained on them where the decoder has none.

    Raises:
        MissingResource: Weights are not on this disk and cannot be fetched.
        RejectedInput: They do not fit.
    """
    own = options.decoder in DECODERS
    text = train_text(captions, options.vocabulary) if own else open_text(fetched(options.decoder))
    ours = named_network(options.encoder)
    encoder = _eyes(ours, options.encoder, options.size)
    captioner = compose(options, vocabulary=len(text), end=text.end, encoder=encoder)
    refuse_too_long(captioner, generation.most_tokens)
    look = msgspec.structs.replace(ours[1], size=options.size) if ours else look_of(options)
    return Ready(
        captioner=captioner,
        text=text,
        normalisation=look,
        generation=generation,
        licences={options.encoder: look.licence, options.decoder: _licence(options.decoder)},
    )


def look_of(options: CaptionerOptions) -> Normalisation:
    """Return how pictures must look for the encoder, one of `ENCODERS` or of transformers.

    Raises:
        RejectedInput: The folder of the encoder does not say it.
    """
    if options.encoder in ENCODERS:
        return Normalisation(
            mean=HALF, std=HALF, size=options.size, source=options.encoder, licence=_licence(options.encoder)
        )
    look = vision.look_of(fetched(options.encoder), options.encoder)
    return msgspec.structs.replace(look, size=options.size)


def predict(
    ready: Ready,
    pictures: Captioned,
    device: Any,  # noqa: ANN401  torch is Any
    *,
    lengths: Sequence[int] | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Return a caption for each picture, in their order; see `generation.generate`."""
    was_training = ready.captioner.training
    ready.captioner.eval()
    try:
        return generate(
            ready.captioner,
            ready.text,
            shown(pictures, ready.normalisation, device),
            len(pictures),
            ready.generation,
            lengths=lengths,
            progress=progress,
        )
    finally:
        ready.captioner.train(was_training)


def shown(pictures: Captioned, look: Normalisation, device: Any) -> Callable[[IntArray], Any]:  # noqa: ANN401
    """Return what gives the pixels of some rows as the network sees them, with nothing random."""

    def pixels(rows: IntArray) -> Any:  # noqa: ANN401  torch is Any
        batch = torch.from_numpy(pictures.images[pictures.rows[rows]]).to(device)
        return centre(batch, look.size, look.mean, look.std)

    return pixels


def save_ready(ready: Ready, folder: Path) -> None:
    """Write all but the weights; `open_ready` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_text(ready.text, folder / TOKENIZER)
    settings_of(ready.captioner, ready.text, ready.generation).save_pretrained(str(folder))
    facts = _Facts(
        options=ready.captioner.options,
        shapes=shapes(ready.captioner),
        normalisation=ready.normalisation,
        generation=ready.generation,
        licences=dict(ready.licences),
        layout=_LAYOUT,
    )
    write_document(folder / FACTS, facts)


def open_ready(folder: Path, weights: Path) -> Ready:
    """Return a trained captioner, in evaluation mode; a base that its checkpoint needs is fetched.

    Args:
        folder: A folder that `save_ready` has written.
        weights: A checkpoint of the captioner's parameters.

    Raises:
        MissingResource: A file is missing, or the base is not on this disk and cannot be fetched.
        RejectedInput: A file is damaged, or the weights or the base are of another network.
    """
    facts = read_document(folder / FACTS, _Facts)
    if facts.layout != _LAYOUT:
        raise RejectedInput(
            f"{folder / FACTS}: found a captioner of layout {facts.layout}, expected {_LAYOUT}: "
            "another version of this program wrote it, with other adapters and names of weights; "
            "train it again"
        )
    tensors, header = checkpoint.read(weights)
    bases = changed.sources(header, weights)
    try:
        base = bases.get(ENCODER)
        seen = _eyes(named_network(base), base, facts.options.size) if base else None
        captioner = rebuild(facts.options, facts.shapes, bases, seen)
    except (*DAMAGES, RejectedInput, UsageFault) as error:
        raise RejectedInput(f"{folder / FACTS}: no captioner can be built from it: {error}") from None
    changed.restore(captioner, tensors, header, weights)
    text = open_text(folder / TOKENIZER)
    refuse_unread(captioner.decoder, len(text), weights)
    return Ready(
        captioner=captioner.eval(),
        text=text,
        normalisation=facts.normalisation,
        generation=facts.generation,
        licences=facts.licences,
    )


def _eyes(ours: tuple[Any, Normalisation] | None, name: str, size: int) -> vision.VisionEncoder | None:
    """Return one of our networks, as `named_network` opens it, as an encoder; None where it is none of ours.

    Raises:
        UsageFault: It is a run of a model of transformers, which our captioners name itself.
    """
    if ours is None:
        return None
    network, _ = ours
    if not isinstance(network, EfficientNet):
        raise UsageFault(
            f"encoder: {name}: a run of a model of transformers; `rocov2-baselines export` makes a folder of "
            "it, which encoder takes"
        )
    return vision.VisionEncoder(vision.Convolutions(network).eval(), size, name)


def _licence(name: str) -> str:
    if name in ENCODERS or name in DECODERS:
        return "none: random weights"
    return licence_of(name)
