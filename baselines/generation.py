"""Captions for pictures: by beam search for run files, token by token for self-critical training."""

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
from baselines.models.text import Text, decode
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.progress import Progress, silent

HEADER = ("ID", "Caption")

Pictures = Callable[[IntArray], Any]  # rows to normalised pixels, shape (b, 3, size, size), on the device
Choose = Callable[[Any, int], Any]  # logits (b, vocabulary) and the number of the step to tokens (b,)


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
    settings = settings_of(text, options)
    order = np.argsort(-np.asarray(lengths), kind="stable") if lengths is not None else np.arange(n)
    captions = [""] * n
    for start in range(0, n, options.batch):
        rows = order[start : start + options.batch]
        found = decode(text, _beams(captioner, text, pictures(rows), settings).tolist())
        for row, caption in zip(rows, found, strict=True):
            captions[row] = caption
        progress(start + len(rows), n)
    return captions


def settings_of(text: Text, options: GenerationOptions) -> Any:  # noqa: ANN401  of transformers
    """Return the settings as transformers takes them, to be saved beside the model."""
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=options.most_tokens,
        num_beams=options.beams,
        early_stopping=options.beams > 1,
        length_penalty=options.length_penalty if options.beams > 1 else None,
        no_repeat_ngram_size=options.no_repeat,
        begin_suppress_tokens=sorted({*text.blanks, text.end}),
        do_sample=False,
        bos_token_id=text.end,
        eos_token_id=text.end,
        pad_token_id=text.end,
        decoder_start_token_id=text.end,
    )


def roll_out(
    captioner: Captioner,
    text: Text,
    visual: Any,  # noqa: ANN401  torch is Any
    most: int,
    choose: Choose,
) -> list[tuple[int, ...]]:
    """Return the tokens that `choose` chooses one after the other, the end included unless cut.

    Args:
        captioner: The network, in evaluation mode.
        text: The tokenizer of the network.
        visual: Visual tokens of each picture, shape (b, k, width).
        most: Largest number of tokens of a caption.
        choose: Called with logits and the number of the step; `likeliest` is one.
    """
    tokens = torch.full((len(visual), 1), text.end, device=visual.device)
    blanks = torch.tensor([*text.blanks, text.end], device=visual.device)
    is_done = torch.zeros(len(visual), dtype=torch.bool, device=visual.device)
    past, chosen = None, []
    for step in range(most):
        hidden, past = captioner.read(visual, tokens, past, keeps=True)
        logits = captioner.decoder.lm_head(hidden[:, -1]).float()
        if step == 0:
            logits[:, blanks] = -torch.inf
        tokens = choose(logits, step).masked_fill(is_done, text.end)[:, None]
        chosen.append(tokens)
        is_done |= tokens[:, 0] == text.end
        if is_done.all():
            break
    rows = torch.cat(chosen, 1).tolist()
    return [tuple(row[: row.index(text.end) + 1] if text.end in row else row) for row in rows]


def likeliest(logits: Any, step: int) -> Any:  # noqa: ANN401  torch is Any
    """Choose the token with the largest logit."""
    del step
    return logits.argmax(-1)


def sampler(numbers: Any) -> Choose:  # noqa: ANN401  torch is Any
    """Return what draws tokens by their probability, from numbers that were drawn before.

    Args:
        numbers: Random numbers, uniform in [0, 1), shape (b, steps): no picture draws from those of another.
    """

    def choose(logits: Any, step: int) -> Any:  # noqa: ANN401  torch is Any
        cumulated = logits.double().softmax(-1).cumsum(-1)
        wanted = numbers[:, step : step + 1].to(cumulated) * cumulated[:, -1:]
        # `right`: a token without probability is never where the search ends.
        return torch.searchsorted(cumulated, wanted, right=True)[:, 0].clamp_max(logits.shape[-1] - 1)

    return choose


def refuse_too_long(captioner: Captioner, most: int) -> None:
    """Refuse captions that the decoder has no positions for.

    Raises:
        UsageFault: Visual tokens, the mark and the caption need more than it has.
    """
    needed, has = captioner.prefix_length + 1 + most, captioner.decoder.config.n_positions
    if needed > has:
        grid = ", or train a captioner with a smaller visual_grid" if captioner.prefix_length else ""
        raise UsageFault(
            f"captions of {most} tokens need {needed} positions with {captioner.prefix_length} visual tokens "
            f"before them, and the decoder has {has}: say fewer tokens{grid}"
        )


def write_captions(path: Path, ids: Sequence[str], captions: Sequence[str]) -> None:
    """Write a run; captions with commas or quotes are quoted."""
    write_csv(path, HEADER, list(zip(ids, captions, strict=True)))


def _beams(captioner: Captioner, text: Text, pixels: Any, settings: Any) -> Any:  # noqa: ANN401
    """Return the best beam of each picture, shape (b, t), from the mark on where the decoder was given it."""
    with torch.no_grad(), captioner.precision(pixels.device), warnings.catch_warnings():
        # Said of a prefix, which has no tokens that could be repeated.
        warnings.filterwarnings("ignore", "Passing `no_repeat_ngram_size` with `inputs_embeds`")
        visual = captioner.see(pixels)
        start = torch.full((len(pixels), 1), text.end, device=pixels.device)
        if captioner.options.conditioning == "cross":
            given = {"input_ids": start, "encoder_hidden_states": visual}
        else:
            given = {"inputs_embeds": torch.cat([visual, captioner.decoder.transformer.wte(start)], 1)}
        length = captioner.prefix_length + 1
        mask = torch.ones(len(pixels), length, dtype=torch.long, device=pixels.device)
        found = captioner.decoder.generate(**given, attention_mask=mask, generation_config=settings)
    return found[:, 1:] if "input_ids" in given else found
