"""Captions as tokens and back: every caption ends with a mark that is trained like any other token.

GPT-2 knows one special token. It opens a caption, closes it and fills up a batch, so a target is left out by
its place beyond the end, never by its number: that would leave out every end, and captions would never stop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baselines.models.pretrained import DAMAGES, quiet
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.words import shorten

END = "<|endoftext|>"  # as GPT-2 and BioMedLM spell it
IGNORED = -100  # what torch's cross-entropy leaves out
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
MULTIPLE = 8  # lengths of batches: tensor cores want it, and fewer shapes are compiled

Tokens = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Text:
    """A tokenizer with what training and generation have to know of it.

    Attributes:
        tokenizer: A tokenizer of transformers.
        end: The token that opens and closes every caption.
        blanks: Tokens without a visible character; a caption must not begin with one of them.
    """

    tokenizer: Any
    end: int
    blanks: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tokenizer)


def train_text(captions: Iterable[str], vocabulary: int) -> Text:
    """Return a byte-level BPE of these captions, which can spell any text.

    Args:
        captions: Captions of the training split.
        vocabulary: Largest number of tokens, `END` among them; at least the 256 bytes and it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bytes_and_end = len(pre_tokenizers.ByteLevel.alphabet()) + 1
    if vocabulary < bytes_and_end:
        raise UsageFault(f"vocabulary: {vocabulary:,} tokens, expected at least {bytes_and_end}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(tidy, captions), trainer)
    return _text(
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END)
    )


def open_text(folder: Path) -> Text:
    """Return the tokenizer that lies in a folder.

    Raises:
        MissingResource: There is none.
        RejectedInput: It is damaged, or has no mark for the end of a text.
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise MissingResource(f"{folder}: no tokenizer, expected one of {', '.join(_TOKENIZERS)}")
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        # `tokenizers` raises the class itself, nothing narrower, on a file that it cannot read.
        if type(error) is not Exception and not isinstance(error, DAMAGES):
            raise
        raise RejectedInput(f"{folder}: the tokenizer cannot be opened: {shorten(str(error), 160)}") from None
    if tokenizer.eos_token_id is None:
        raise RejectedInput(f"{folder}: the tokenizer has no token for the end of a text, such as {END}")
    return _text(tokenizer)


def save_text(text: Text, folder: Path) -> None:
    """Write the files that `open_text` reads."""
    text.tokenizer.save_pretrained(str(folder))


def encode(text: Text, captions: Sequence[str], most: int) -> list[Tokens]:
    """Return the tokens of captions, the end included.

    Args:
        text: The tokenizer.
        captions: Captions to encode.
        most: Largest number of tokens; a longer caption is cut, and ends there.
    """
    found = text.tokenizer([tidy(caption) for caption in captions], add_special_tokens=False)["input_ids"]
    return [(*ids[: most - 1], text.end) for ids in found]


def decode(text: Text, rows: Sequence[Sequence[int]]) -> list[str]:
    """Return the captions up to their end, each on one line."""
    kept = [_up_to(row, text.end) for row in rows]
    return [tidy(caption) for caption in text.tokenizer.batch_decode(kept, skip_special_tokens=True)]


def batched(rows: Sequence[Tokens], end: int) -> tuple[IntArray, IntArray]:
    """Return what a decoder reads and what it should say, shape (n, t) each, t a multiple of 8.

    It reads the mark and the caption; at every place it should say the next token, at the last the end.
    """
    longest = max(map(len, rows))
    shape = (len(rows), -(-longest // MULTIPLE) * MULTIPLE)
    inputs, targets = np.full(shape, end), np.full(shape, IGNORED)
    for row, ids in enumerate(rows):
        inputs[row, 1 : len(ids)] = ids[:-1]
        targets[row, : len(ids)] = ids
    return inputs, targets


def tidy(caption: str) -> str:
    """Return a caption on one line, with single blanks: a run file has one row for each image."""
    return " ".join(caption.split())


def _up_to(row: Sequence[int], end: int) -> list[int]:
    ids = list(row)
    return ids[: ids.index(end)] if end in ids else ids


def _text(tokenizer: Any) -> Text:  # noqa: ANN401  of transformers
    words = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    special = set(tokenizer.all_special_ids)
    blanks = [token for token, word in enumerate(words) if token in special or not word.strip()]
    return Text(tokenizer=tokenizer, end=int(tokenizer.eos_token_id), blanks=tuple(blanks))
