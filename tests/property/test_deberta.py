"""Our forward pass of DeBERTa beside that of transformers, on small random configurations."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from transformers import DebertaConfig, DebertaModel  # noqa: E402

from rocov2_eval.deberta import Deberta, is_supported  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    # transformers 4 compiles parts of DeBERTa with what torch 2.13 calls deprecated.
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
]

WORDS = 50


@st.composite
def configurations(draw: st.DrawFn) -> DebertaConfig:
    heads = draw(st.integers(1, 4))
    width = heads * draw(st.integers(2, 9))
    return DebertaConfig(
        vocab_size=WORDS,
        hidden_size=width,
        embedding_size=draw(st.sampled_from([width, width + 3])),
        num_attention_heads=heads,
        num_hidden_layers=draw(st.integers(1, 3)),
        intermediate_size=draw(st.integers(1, 20)),
        hidden_act=draw(st.sampled_from(["gelu", "relu"])),
        max_position_embeddings=draw(st.integers(1, 40)),
        max_relative_positions=draw(st.sampled_from([-1, 1, 2, 7])),
        position_biased_input=draw(st.booleans()),
        type_vocab_size=draw(st.integers(0, 2)),
        pos_att_type=draw(st.permutations(["c2p", "p2c"])),
        relative_attention=True,
        pad_token_id=1,
    )


def made(config: DebertaConfig) -> Any:
    """Return a model of transformers with random weights, biases and norms included."""
    model = DebertaModel(config).eval().requires_grad_(requires_grad=False)
    torch.manual_seed(0)
    for weight in model.parameters():
        weight.add_(torch.randn_like(weight), alpha=0.1)
    return model


def official(**changes: Any) -> DebertaConfig:
    """Return a small configuration of the official encoder's shape."""
    shape = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 256}
    kind = {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["c2p", "p2c"]}
    sizes = {"vocab_size": WORDS, "max_position_embeddings": 16, "type_vocab_size": 0, "pad_token_id": 1}
    return DebertaConfig(**shape | kind | sizes | {"max_relative_positions": -1} | changes)


def states_of(model: Any, ids: Any) -> Any:
    return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state


def in_float64(model: Any) -> Any:
    """Return a copy that computes in float64 throughout: its own norm goes through float32."""
    precise = copy.deepcopy(model).double()
    for module in list(precise.modules()):
        if hasattr(module, "LayerNorm"):
            old = module.LayerNorm
            module.LayerNorm = torch.nn.LayerNorm(len(old.weight), old.variance_epsilon)
            module.LayerNorm.weight, module.LayerNorm.bias = old.weight, old.bias
    return precise


def ids_of(sequences: int, length: int) -> Any:
    return torch.randint(0, WORDS, (sequences, length), generator=torch.Generator().manual_seed(length))


def distance(ours: Any, theirs: Any) -> float:
    return float((ours - theirs).abs().max())


@settings(deadline=None)
@given(configurations(), st.integers(1, 3), st.lists(st.integers(1, 40), min_size=1, max_size=3))
def test_hidden_states_are_those_of_transformers(
    config: DebertaConfig, sequences: int, lengths: list[int]
) -> None:
    theirs = in_float64(made(config))
    ours = Deberta(theirs)
    most = config.max_position_embeddings if config.position_biased_input else max(lengths)
    with torch.inference_mode():
        for length in lengths:
            ids = ids_of(sequences, min(length, most))
            # 1e-9 but for the scale of attention, which transformers rounds to float32.
            assert distance(ours(ids), states_of(theirs, ids)) < 2e-6


@pytest.mark.parametrize("length", [1, 15, 16, 17, 50])
def test_token_vectors_in_float32_are_those_of_transformers(length: int) -> None:
    model, ids = made(official()), ids_of(4, length)
    with torch.inference_mode():
        ours, theirs = (
            torch.nn.functional.normalize(states, dim=-1)
            for states in (Deberta(model)(ids), states_of(model, ids))
        )
    assert distance(ours, theirs) < 1e-6


def test_float32_is_as_near_to_float64_as_transformers() -> None:
    model, ids = made(official()), ids_of(8, 30)
    with torch.inference_mode():
        exact = states_of(in_float64(model), ids)
        ours, theirs = (
            (states - exact).pow(2).mean() for states in (Deberta(model)(ids), states_of(model, ids))
        )
    assert ours <= 1.5 * theirs


def test_bf16_is_as_near_to_float64_as_transformers() -> None:
    model, ids = made(official()), ids_of(8, 30)
    narrow = copy.deepcopy(model).bfloat16()
    with torch.inference_mode():
        exact = states_of(in_float64(model), ids)
        ours, theirs = (
            (states - exact).pow(2).mean() for states in (Deberta(narrow)(ids), states_of(narrow, ids))
        )
    assert ours <= 1.5 * theirs


def test_what_is_kept_of_positions_does_not_grow_beyond_the_span() -> None:
    ours = Deberta(made(official()))
    with torch.inference_mode():
        ours(ids_of(1, 200))
    assert {layer.attention.self.keys_at.shape[-1] for layer in ours.encoder.layer} == {2 * 17 - 1}


def test_positions_are_projected_once_for_sequences_no_longer_than_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = Deberta(made(official()))
    with torch.inference_mode():
        ours(ids_of(2, 12))
        monkeypatch.setattr(ours.encoder, "_prepare", pytest.fail)
        for length in (12, 3, 1):
            ours(ids_of(2, length))


def test_the_weights_are_not_copied() -> None:
    theirs = made(official())
    addresses = {name: weight.data_ptr() for name, weight in theirs.state_dict().items()}
    assert {name: weight.data_ptr() for name, weight in Deberta(theirs).state_dict().items()} == addresses


def test_tensors_that_the_architecture_lacks_are_refused() -> None:
    theirs = made(official())
    theirs.encoder.layer[1].attention.self.head_logits_proj = torch.nn.Linear(4, 4, bias=False)
    with pytest.raises(RuntimeError, match="head_logits_proj"):
        Deberta(theirs)


@pytest.mark.parametrize(
    "changes",
    [
        {"relative_attention": False},
        {"pos_att_type": ["c2p"]},
        {"pos_att_type": None},
        {"talking_head": True},
    ],
)
def test_other_kinds_of_attention_are_not_taken(changes: dict[str, Any]) -> None:
    assert is_supported(official())
    assert not is_supported(official(**changes))
