from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs

from baselines.captions import predict, select, shown
from baselines.generation import (
    Drawing,
    GenerationOptions,
    generate,
    said,
    settings_of,
    write_captions,
)
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import UsageFault
from rocov2_eval.formats import load
from rocov2_eval.validation import read_run

pytestmark = pytest.mark.slow  # networks are trained

CPU = torch.device("cpu")
ONE = GenerationOptions(beams=1, no_repeat=0, most_tokens=48)


def test_generation_is_deterministic(ready: Any, examples: Any) -> None:
    assert predict(ready, examples, CPU) == predict(ready, examples, CPU)


def test_captions_come_in_the_order_of_the_pictures_whatever_shares_a_batch(
    learnt: Any, examples: Any
) -> None:
    small = replace(learnt, generation=structs.replace(learnt.generation, batch=3))
    lengths = [3, 1, 4, 1, 5, 9, 2, 6]
    assert list(examples.captions) == predict(small, examples, CPU, lengths=lengths)


@pytest.mark.parametrize("conditioning", ["cross", "prefix"])
def test_a_picture_gets_the_same_caption_alone_and_in_a_batch(
    conditioning: str, new_captioner: Any, examples: Any
) -> None:
    ready = new_captioner(conditioning=conditioning)
    alone = [predict(ready, select(examples, np.array([row])), CPU)[0] for row in range(3)]
    assert alone == predict(ready, examples, CPU)[:3]


def test_captions_stop_at_their_end(learnt: Any, examples: Any) -> None:
    longest = max(len(ids) for ids in learnt.text.tokenizer(list(examples.captions))["input_ids"])
    asked = replace(learnt, generation=structs.replace(learnt.generation, most_tokens=200))
    found = predict(asked, examples, CPU)
    assert longest == max(len(ids) for ids in learnt.text.tokenizer(found)["input_ids"])


def test_a_captioner_that_would_rather_say_nothing_says_something(new_captioner: Any, examples: Any) -> None:
    ready = new_captioner(conditioning="prefix")
    blanks = list({*ready.text.blanks, ready.text.end})
    head = ready.captioner.decoder.lm_head

    def in_love_with_blanks(_module: Any, _inputs: Any, logits: Any) -> Any:
        logits[..., blanks] += 1e4
        return logits

    with torch.no_grad(), removed(head.register_forward_hook(in_love_with_blanks)):
        captions = predict(ready, examples, CPU)
    assert all(caption.strip() for caption in captions)


def test_no_three_tokens_stand_twice_in_a_caption(ready: Any, examples: Any) -> None:
    for row in drawn_for(ready, examples, ready.generation):
        ids = [token for token in row if token != ready.text.end]
        grams = list(zip(ids, ids[1:], ids[2:], strict=False))
        assert len(set(grams)) == len(grams) > 0


def test_more_tokens_than_the_decoder_has_positions_are_refused(ready: Any, examples: Any) -> None:
    options = GenerationOptions(most_tokens=400)
    with pytest.raises(UsageFault, match="need 401 positions"):
        generate(ready.captioner, ready.text, shown(examples, ready.normalisation, CPU), 1, options)


def test_progress_ends_with_all_captions(ready: Any, examples: Any) -> None:
    told: list[tuple[int, int]] = []
    small = structs.replace(ready.generation, batch=5, most_tokens=4)
    pictures = shown(examples, ready.normalisation, CPU)
    generate(ready.captioner.eval(), ready.text, pictures, 8, small, progress=lambda *done: told.append(done))
    assert told == [(5, 8), (8, 8)]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([0.2, 0.0, 0.5, 0.3]).log().expand(20_000, 4)
    numbers = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0))
    drawn = Drawing(numbers, 1.0)(None, logits).argmax(-1)
    shares = torch.bincount(drawn, minlength=4) / 20_000
    torch.testing.assert_close(torch.tensor([0.2, 0.0, 0.5, 0.3]), shares, atol=0.01, rtol=0)


def test_what_a_picture_draws_depends_on_no_other(learnt: Any, examples: Any) -> None:
    numbers = torch.rand(8, 48, generator=torch.Generator().manual_seed(0))
    together = drawn_for(learnt, examples, ONE, Drawing(numbers, 1.0))
    alone = drawn_for(learnt, select(examples, np.arange(5, 8)), ONE, Drawing(numbers[5:], 1.0))
    assert together[5:] == alone


def test_a_network_that_is_sure_draws_what_is_likeliest(learnt: Any, examples: Any) -> None:
    numbers = torch.rand(8, 48, generator=torch.Generator().manual_seed(0))
    drawn = drawn_for(learnt, examples, ONE, Drawing(numbers, 1e-3))
    assert drawn_for(learnt, examples, ONE) == drawn


def test_a_run_with_commas_and_quotes_is_read_back_as_it_was(tmp_path: Path) -> None:
    captions = ['CT, "axial", of the chest', "plain"]
    write_captions(tmp_path / "run.csv", ["a", "b"], captions)
    table = read_run(load(tmp_path / "run.csv"), EDITIONS["rocov2"], "captions")
    assert captions == table.cells


def test_a_run_has_the_header_of_the_challenge(tmp_path: Path) -> None:
    write_captions(tmp_path / "run.csv", ["a"], ["b"])
    with (tmp_path / "run.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["ID", "Caption"], ["a", "b"]]


def drawn_for(ready: Any, examples: Any, options: GenerationOptions, *processors: Any) -> list[Any]:
    """Return the tokens that are said of the pictures."""
    captioner = ready.captioner.eval()
    pixels = shown(examples, ready.normalisation, CPU)(np.arange(len(examples)))
    settings = settings_of(captioner, ready.text, options)
    with torch.no_grad():
        return said(captioner, ready.text, captioner.see(pixels), settings, *processors)


class removed:  # noqa: N801  reads as a sentence
    """Take a hook away again."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self._hook.remove()
