from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines.models.captioner import merge_adapters
from rocov2_eval.errors import UsageFault

pytestmark = pytest.mark.slow  # networks are trained

LORA: dict[str, Any] = {"frozen": "decoder", "lora_rank": 4, "lora_alpha": 8}
WAYS = ("cross", "prefix")


@pytest.mark.parametrize("conditioning", WAYS)
def test_adapters_change_nothing_before_they_have_learnt(new_captioner: Any, conditioning: str) -> None:
    adapted = new_captioner(conditioning=conditioning, **LORA).captioner
    before = losses_of(adapted)
    for name, each in adapted.named_parameters():
        if "lora_A" in name:
            each.data.zero_()
    assert before == losses_of(adapted)


@pytest.mark.parametrize("base", ["fp32", "bf16"])
@pytest.mark.parametrize("conditioning", WAYS)
def test_merged_adapters_say_what_they_said_beside_the_matrices(
    new_captioner: Any, conditioning: str, base: str
) -> None:
    adapted = shaken(new_captioner(conditioning=conditioning, base=base, **LORA).captioner)
    before = losses_of(adapted)
    merge_adapters(adapted)
    assert before == pytest.approx(losses_of(adapted), rel=1e-5 if base == "fp32" else 0.02)


def test_a_merged_captioner_has_the_parameters_of_one_without_adapters(new_captioner: Any) -> None:
    adapted = shaken(new_captioner(**LORA).captioner)
    merge_adapters(adapted)
    assert list(new_captioner().captioner.state_dict()) == list(adapted.state_dict())


def test_adapters_correct_every_matrix_of_attention_and_mlp(new_captioner: Any) -> None:
    adapted = new_captioner(**LORA).captioner
    places = {name.partition(".h.0.")[2] for name, _ in adapted.named_parameters() if "lora_A" in name}
    assert {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"} == {
        place.removesuffix(".lora_A.default.weight") for place in places if place
    }


@pytest.mark.parametrize("conditioning", WAYS)
def test_only_adapters_and_new_weights_learn(
    conditioning: str, new_captioner: Any, new_objective: Any, learn: Any
) -> None:
    ready = new_captioner(conditioning=conditioning, **LORA)
    before = {name: each.clone() for name, each in ready.captioner.decoder.named_parameters()}
    learn(new_objective(ready), 2)
    after = dict(ready.captioner.decoder.named_parameters())
    still = {name for name in before if after[name].equal(before[name])}
    assert {name for name in before if "lora_" not in name and "cross" not in name} == still


@pytest.mark.parametrize("base", ["fp32", "bf16"])
def test_adapters_learn(base: str, new_captioner: Any, new_objective: Any, learn: Any) -> None:
    losses = learn(new_objective(new_captioner(frozen="decoder", lora_rank=4, base=base)), 25, rate=1e-2)
    assert losses[-1] < losses[0] - 0.3


def test_adapters_without_a_frozen_decoder_are_refused(new_captioner: Any) -> None:
    with pytest.raises(UsageFault, match="adapters need a frozen decoder"):
        new_captioner(lora_rank=4)


def shaken(captioner: Any) -> Any:
    """Return it with adapters that have learnt something."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, each in captioner.named_parameters():
            if "lora_" in name:
                each.copy_(torch.randn(each.shape, generator=generator) / 4)
    return captioner


def losses_of(captioner: Any) -> list[float]:
    """Return the likelihood of some tokens for two pictures."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 256, (2, 8), generator=generator)
    with torch.no_grad():
        found = captioner.eval()(torch.randn(2, 3, 32, 32, generator=generator), tokens, tokens)
    return [float(each) for each in found]
