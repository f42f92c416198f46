"""A second phase for a trained captioner: learn from the score of what it says by itself.

Rennie et al. (2017), "Self-critical sequence training for image captioning": a caption is drawn, and its
tokens become likelier or less likely by as much as it scores above or below the likeliest caption. The score
need not have a gradient: our own BERTScore, or CIDEr-D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from baselines.bounds import CaptionLength, Factor
from baselines.captions import CaptionObjective, Fetched
from baselines.generation import Drawing, GenerationOptions, refuse_too_long, said, settings_of
from baselines.models.text import Tokens, batched, decode
from baselines.training.objective import ParameterGroup, Share
from rocov2_eval.encoders import Encoder
from rocov2_eval.errors import UsageFault
from rocov2_eval.metrics import bertscore
from rocov2_eval.metrics.cider import cider_d, frequencies
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.textnorm import normalise

# Candidates and references to scores, shape (n,).
Reward = Callable[[Sequence[str], Sequence[str]], FloatArray]
CAPTION_NORM = "clef2023"  # that of the official caption scores


class SelfCriticalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How captions are drawn.

    Attributes:
        most_tokens: Number of tokens of the longest caption that is drawn.
        temperature: What logits are divided by before a caption is drawn; 1 draws from the network itself,
            and only then the gradient has no bias.
        scale: Factor of the difference of two scores: CIDEr-D goes to 10, BERTScore to 1.
    """

    most_tokens: CaptionLength = 96
    temperature: Factor = 1.0
    scale: Factor = 1.0


class SelfCriticalObjective:
    """The objective that goes on from a captioner trained by `CaptionObjective`.

    Dropout is off: what learns from a caption must be what has drawn it.

    Attributes:
        model: The captioner.
        main: The validation score of the first phase that decides which weights are kept.
        n: Number of training examples.
        bases: Where frozen weights come from, see `Objective`.
    """

    def __init__(self, captions: CaptionObjective, reward: Reward, options: SelfCriticalOptions) -> None:
        refuse_too_long(captions.ready.captioner, options.most_tokens)
        self.model: Any = captions.model
        self.ready = captions.ready
        self.main = captions.main
        self.bases = captions.bases
        self.n = captions.n
        self._captions = captions
        self._reward = reward
        self._options = options
        for module in self.model.modules():
            _leave_nothing_out(module)

    def groups(self) -> Sequence[ParameterGroup]:
        """Return the groups of the first phase."""
        return self._captions.groups()

    def fetch(self, indices: IntArray) -> Fetched:
        """Return what the first phase would."""
        return self._captions.fetch(indices)

    def loss(self, model: Any, fetched: Fetched, generator: Any, device: Any, share: Share) -> Any:  # noqa: ANN401
        """Return what has the gradient that the module describes; its value tells nothing."""
        pixels = self._captions.varied(fetched, generator, device, share)
        drawn, advantage = self._drawn(pixels, fetched, generator, share)
        pair = batched(drawn, self._captions.ready.text.end)
        inputs, targets = (torch.from_numpy(side).to(device) for side in pair)
        weights = torch.from_numpy(advantage).to(device, torch.float32)
        return (weights * model(pixels, inputs, targets)).mean() / self._captions.typical

    def validate(self, device: Any) -> Mapping[str, float]:  # noqa: ANN401  torch is Any
        """Return the scores of the first phase."""
        return self._captions.validate(device)

    def header(self) -> Mapping[str, str]:
        """Return what the first phase would."""
        return self._captions.header()

    def save(self, folder: Path) -> None:
        """Write what the first phase would."""
        self._captions.save(folder)

    def _drawn(
        self,
        pixels: Any,  # noqa: ANN401  torch is Any
        fetched: Fetched,
        generator: Any,  # noqa: ANN401
        share: Share,
    ) -> tuple[list[Tokens], FloatArray]:
        """Return a caption for each picture and how much it scores above the likeliest one."""
        shape = (len(pixels) * share.world, self._options.most_tokens)
        numbers = torch.rand(shape, generator=generator)[share.rank :: share.world].to(pixels.device)
        text = self.ready.text
        one = GenerationOptions(beams=1, no_repeat=0, most_tokens=self._options.most_tokens)
        settings = settings_of(self.model, text, one)
        self.model.eval()
        with torch.no_grad(), self.model.precision(pixels.device):
            visual = self.model.see(pixels)
            drawn = said(self.model, text, visual, settings, Drawing(numbers, self._options.temperature))
            plain = said(self.model, text, visual, settings)
        torch.clear_autocast_cache()  # before torch 2.11 it would hand weights cast without gradients on
        self.model.train()
        references = [self._captions.train.captions[row] for row in fetched.rows]
        ours, theirs = (self._reward(decode(text, rows), references) for rows in (drawn, plain))
        return drawn, (ours - theirs) * self._options.scale


def _leave_nothing_out(module: Any) -> None:  # noqa: ANN401  torch is Any
    """Turn dropout off in a module, whether it is one, or has its share as a number."""
    shares = (
        ["p"] if isinstance(module, torch.nn.Dropout) else [each for each in vars(module) if "drop" in each]
    )
    for name in shares:
        if isinstance(getattr(module, name), float):
            setattr(module, name, 0.0)


def cider_reward(corpus: Sequence[str]) -> Reward:
    """Return CIDEr-D by the frequencies of these captions, those of the training split.

    Raises:
        UsageFault: Of fewer than two different captions every n-gram weighs nothing.
    """
    texts = normalise(corpus, CAPTION_NORM)
    if len(set(texts)) < 2:  # noqa: PLR2004  one caption makes no difference
        raise UsageFault(f"CIDEr-D needs a corpus of different captions, found {len(set(texts))}")
    known = frequencies(texts)
    return lambda candidates, references: cider_d(
        normalise(candidates, CAPTION_NORM), normalise(references, CAPTION_NORM), known
    )


def bertscore_reward(encoder: Encoder) -> Reward:
    """Return the F1 of the scorer's BERTScore by an open encoder, which must stay open while it is used."""

    def reward(candidates: Sequence[str], references: Sequence[str]) -> FloatArray:
        scored = bertscore.score(candidates, references, resource=encoder)["bertscore_f1"]
        return scored.values

    return reward
