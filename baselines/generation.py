"""Captions for pictures, as transformers generates them: by a search, or drawn by their probability."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from baselines.bounds import AtLeastOne, CaptionLength, Count
from baselines.models.captioner import Captioner
from baselines.models.text import Text, Tokens, decode
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.progress import Progress, silent

HEADER = ("ID", "Caption")

Pictures = Callable[[IntArray], Any]  # rows to normalised pixels, shape (b, 3, size, size), on the device


class GenerationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How captions are generated.

    Attributes:
        beams: Number of beams of the search; 1 takes the likeliest token each time.
        most_tokens: Longest caption, its end included; one that is longer is cut.
        no_repeat: No sequence of so many tokens stands twice in a caption; 0 for no such rule.
        length_penalty: Power of the length that the log-likelihood of a beam is divided by: the larger, the
            longer the captions.
        batch: Number of pictures at a time.
    """

    beams: AtLeastOne = 4
    most_tokens: CaptionLength = 96
    no_repeat: Count = 3
    length_penalty: float = 1.0
    batch: AtLeastOne = 32


def generate(
    captioner: Captioner,
    text: Text,
    pictures: Pictures,
    n: int,
    options: GenerationOptions,
    *,
    lengths: Sequence[int] | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Return a caption for every picture, in their order: one line, never empty.

    The first token of a caption must be visible, so that something is always said. The same weights and
    pictures give the same captions.

    Args:
        captioner: The network, in evaluation mode.
        text: The tokenizer of the network.
        pictures: Called with rows, returns their pictures.
        n: Number of pictures.
        options: How captions are generated.
        lengths: Guess at the length of each caption, such as that of its reference. Captions of like length
            then share a batch, which ends with its longest.
        progress: Called with the captions done and all.
    """
    refuse_too_long(captioner, options.most_tokens)
    settings = settings_of(captioner, text, options)
    order = np.argsort(-np.asarray(lengths), kind="stable") if lengths is not None else np.arange(n)
    captions = [""] * n
    for start in range(0, n, options.batch):
        rows = order[start : start + options.batch]
        pixels = pictures(rows)
        with torch.no_grad(), captioner.precision(pixels.device):
            found = decode(text, said(captioner, text, captioner.see(pixels), settings))
        for row, caption in zip(rows, found, strict=True):
            captions[row] = caption
        progress(start + len(rows), n)
    return captions


def settings_of(captioner: Captioner, text: Text, options: GenerationOptions) -> Any:  # noqa: ANN401  of transformers
    """Return the settings as transformers takes them, to be saved beside the model."""
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=options.most_tokens,
        num_beams=options.beams,
        early_stopping=options.beams > 1,
        length_penalty=options.length_penalty if options.beams > 1 else None,
        no_repeat_ngram_size=options.no_repeat,
        begin_suppress_tokens=sorted({*text.blanks, text.end}),
        # Decoders may have more rows than their tokenizer has tokens, to fill tensor cores.
        suppress_tokens=list(range(len(text), captioner.decoder.config.vocab_size)) or None,
        do_sample=False,
        bos_token_id=text.end,
        eos_token_id=text.end,
        pad_token_id=text.end,
        decoder_start_token_id=text.end,
    )


class Drawing:
    """A processor of logits with which a search for the likeliest token draws by probability.

    Args:
        numbers: Random numbers, uniform in [0, 1), shape (b, steps): no picture draws from those of another.
        temperature: What logits are divided by before.
    """

    def __init__(self, numbers: Any, temperature: float) -> None:  # noqa: ANN401  torch is Any
        self._numbers = iter(numbers.unbind(1))
        self._temperature = temperature

    def __call__(self, _tokens: Any, logits: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return -inf for all tokens but the one that is drawn, shape (b, vocabulary)."""
        cumulated = (logits.double() / self._temperature).softmax(-1).cumsum(-1)
        wanted = next(self._numbers)[:, None].to(cumulated) * cumulated[:, -1:]
        # `right`: a token without probability is never where the search ends.
        drawn = torch.searchsorted(cumulated, wanted, right=True).clamp_max(logits.shape[-1] - 1)
        return torch.full_like(logits, -torch.inf).scatter(1, drawn, 0.0)


def refuse_too_long(captioner: Captioner, most: int) -> None:
    """Refuse captions that the decoder has no positions for.

    Raises:
        UsageFault: Visual tokens, the mark and the caption need more than it has.
    """
    needed = captioner.prefix_length + 1 + most
    has = getattr(captioner.decoder.config, "max_position_embeddings", None)  # some know no limit
    if has is not None and needed > has:
        grid = ", or train a captioner with a smaller visual_grid" if captioner.prefix_length else ""
        raise UsageFault(
            f"captions of {most} tokens need {needed} positions with {captioner.prefix_length} visual "
            f"tokens before them, but the decoder has {has}: use fewer tokens{grid}"
        )


def write_captions(path: Path, ids: Sequence[str], captions: Sequence[str]) -> None:
    """Write a run; captions with commas or quotes are quoted."""
    write_csv(path, HEADER, list(zip(ids, captions, strict=True)))


def said(captioner: Captioner, text: Text, visual: Any, settings: Any, *processors: Any) -> list[Tokens]:  # noqa: ANN401
    """Return the tokens of a caption for each picture, the end included unless cut.

    Args:
        captioner: The network, in evaluation mode.
        text: The tokenizer of the network.
        visual: Visual tokens of each picture, from `captioner.see`.
        settings: How they are generated, from `settings_of`.
        processors: Further processors of logits, as transformers has them.
    """
    start = torch.full((len(visual), 1), text.end, device=visual.device)
    given = captioner.given(visual, start)
    mask = torch.ones(len(visual), captioner.prefix_length + 1, dtype=torch.long, device=visual.device)
    with torch.no_grad(), warnings.catch_warnings():
        # Said of a prefix, which has no tokens that could be repeated.
        warnings.filterwarnings("ignore", "Passing `no_repeat_ngram_size` with `inputs_embeds`")
        found = captioner.decoder.generate(
            **given, attention_mask=mask, generation_config=settings, logits_processor=list(processors)
        )
    rows = (found[:, 1:] if "input_ids" in given else found).tolist()
    return [tuple(row[: row.index(text.end) + 1] if text.end in row else row) for row in rows]
