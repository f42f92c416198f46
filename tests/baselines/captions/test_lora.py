from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from baselines.models.adapters import MARK, add_adapters, merge_adapters
from rocov2_eval.errors import UsageFault

pytestmark = pytest.mark.slow  # networks are trained

PLACES = r".*h\.\d+\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)"


def test_adapters_change_nothing_before_they_have_learnt(ready: Any) -> None:
    plain = ready.captioner.decoder
    adapted = copy.deepcopy(plain)
    add_adapters(adapted, 4, 8.0)
    torch.testing.assert_close(logits(plain), logits(adapted), rtol=0, atol=0)


def test_merged_adapters_say_what_they_said_beside_the_matrices(ready: Any) -> None:
    adapted = shaken(ready.captioner.decoder)
    before = logits(adapted)
    merge_adapters(adapted)
    torch.testing.assert_close(before, logits(adapted))


def test_a_merged_decoder_has_the_parameters_of_a_plain_one(ready: Any) -> None:
    adapted = shaken(ready.captioner.decoder)
    merge_adapters(adapted)
    assert list(ready.captioner.decoder.state_dict()) == list(adapted.state_dict())


def test_only_adapters_and_new_weights_learn(new_captioner: Any, new_objective: Any, learn: Any) -> None:
    ready = new_captioner(frozen="decoder", lora_rank=4, conditioning="prefix")
    before = {name: each.clone() for name, each in ready.captioner.decoder.state_dict().items()}
    learn(new_objective(ready), 2)
    moved = [
        name for name, each in ready.captioner.decoder.state_dict().items() if not each.equal(before[name])
    ]
    assert moved == [name for name in before if MARK in name]


@pytest.mark.parametrize("base", ["fp32", "bf16"])
def test_adapters_learn(base: str, new_captioner: Any, new_objective: Any, learn: Any) -> None:
    losses = learn(new_objective(new_captioner(frozen="decoder", lora_rank=4, base=base)), 25, rate=1e-2)
    assert losses[-1] < losses[0] - 0.3


def test_a_rank_below_one_is_refused(ready: Any) -> None:
    with pytest.raises(UsageFault, match="lora_rank: 0"):
        add_adapters(copy.deepcopy(ready.captioner.decoder), 0, 8.0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # asked by peft
def test_adapters_are_those_of_peft(ready: Any) -> None:
    peft = pytest.importorskip("peft")
    ours = shaken(ready.captioner.decoder)
    config = peft.LoraConfig(r=4, lora_alpha=8.0, target_modules=PLACES, fan_in_fan_out=True)
    theirs = peft.get_peft_model(copy.deepcopy(ready.captioner.decoder), config).eval()
    names = {f"{MARK}in": "lora_A.default.weight", f"{MARK}out": "lora_B.default.weight"}
    values = {
        f"base_model.model.{place}.{names[last]}": each.T
        for place, _, last, each in ((*name.rpartition("."), each) for name, each in ours.named_parameters())
        if last in names
    }
    assert not theirs.load_state_dict(values, strict=False).unexpected_keys
    torch.testing.assert_close(logits(theirs), logits(ours))


def shaken(decoder: Any) -> Any:
    """Return a copy with adapters that have learnt something."""
    adapted = copy.deepcopy(decoder)
    add_adapters(adapted, 4, 8.0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, each in adapted.named_parameters():
            if MARK in name:
                each.copy_(torch.randn(each.shape, generator=generator) / 4)
    return adapted.eval()


def logits(decoder: Any) -> Any:
    """Return what a decoder says to some tokens and a picture."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 256, (2, 6), generator=generator)
    visual = torch.randn(2, 5, 64, generator=generator)
    with torch.no_grad():
        return decoder.eval()(input_ids=tokens, encoder_hidden_states=visual).logits
