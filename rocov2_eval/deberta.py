"""DeBERTa (He et al. 2021, version 1) for sequences without padding, faster than transformers' forward pass.

The same arithmetic in another order: layer norm and attention are fused kernels, the projections of relative
positions are computed once a model instead of once a batch, and the position terms of attention are strided
views of two products instead of gathers. Weights and their names are those of transformers' `DebertaModel`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import get_activation

FORWARD = "deberta-1"  # names the arithmetic in keys of caches; raised when a bit of a result may change
_REACH_STEP = 32  # projections are computed for lengths in steps, so that slowly growing texts repeat few


def is_supported(config: Any) -> bool:  # noqa: ANN401 - of transformers
    """Tell whether a configuration of transformers is of the architecture that `Deberta` computes."""
    return (
        config.model_type == "deberta"
        and bool(getattr(config, "relative_attention", False))
        and sorted(config.pos_att_type or ()) == ["c2p", "p2c"]
        and not getattr(config, "talking_head", False)
    )


class Deberta(nn.Module):
    """Encoder of DeBERTa v1 with attention from content to position and from position to content.

    Attributes:
        config: Configuration of transformers.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        """Take over the weights of a `DebertaModel`, without a copy, in evaluation mode.

        Args:
            model: Loaded model of transformers that `is_supported`.

        Raises:
            RuntimeError: The model has tensors that this architecture lacks, or lacks some of its.
        """
        super().__init__()
        self.config = model.config
        with torch.device("meta"):
            self.embeddings = _Embeddings(model.config)
            self.encoder = _Encoder(model.config)
        self.load_state_dict(model.state_dict(), strict=True, assign=True)
        self.requires_grad_(requires_grad=False)
        self.eval()

    @property
    def device(self) -> torch.device:
        """Device that the weights lie on."""
        return self.embeddings.word_embeddings.weight.device

    def forward(self, ids: Tensor) -> Tensor:
        """Return the hidden states of the last layer, shape (sequences, length, width).

        Args:
            ids: Shape (sequences, length), vocabulary indices; there is no padding.
        """
        states: Tensor = self.encoder(self.embeddings(ids))
        return states


class _Embeddings(nn.Module):
    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        width = int(getattr(config, "embedding_size", config.hidden_size))
        self.word_embeddings = nn.Embedding(config.vocab_size, width)
        is_absolute = getattr(config, "position_biased_input", True)
        self.position_embeddings = (
            nn.Embedding(config.max_position_embeddings, width) if is_absolute else None
        )
        types = int(config.type_vocab_size)
        self.token_type_embeddings = nn.Embedding(types, width) if types > 0 else None
        is_narrow = width != config.hidden_size
        self.embed_proj = nn.Linear(width, config.hidden_size, bias=False) if is_narrow else None
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        states: Tensor = self.word_embeddings(ids)
        if self.position_embeddings is not None:
            states = states + self.position_embeddings.weight[: ids.shape[1]]
        if self.token_type_embeddings is not None:
            states = states + self.token_type_embeddings.weight[0]
        if self.embed_proj is not None:
            states = self.embed_proj(states)
        normed: Tensor = self.LayerNorm(states)
        return normed


class _Encoder(nn.Module):
    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        span = getattr(config, "max_relative_positions", -1)
        self._span = int(span if span > 0 else config.max_position_embeddings)
        self.layer = nn.ModuleList([_Layer(config) for _ in range(config.num_hidden_layers)])
        self.rel_embeddings = nn.Embedding(2 * self._span, config.hidden_size)
        self._reach = 0  # distances up to which positions are projected, exclusive

    def forward(self, states: Tensor) -> Tensor:
        count, length, width = states.shape
        # Distances beyond the span are the same as those of the span itself.
        reach = min(length, self._span + 1)
        if reach > self._reach:
            self._prepare(min(-(-reach // _REACH_STEP) * _REACH_STEP, self._span + 1))
        first = self._reach - reach
        columns = slice(first, first + 2 * reach - 1)
        flat = states.reshape(count * length, width)
        for layer in self.layer:
            flat = layer(flat, length, columns)
        return flat.view(count, length, width)

    def _prepare(self, reach: int) -> None:
        """Let every layer keep the projections of the distances reach - 1 down to 1 - reach."""
        distances = torch.arange(reach - 1, -reach, -1, device=self.rel_embeddings.weight.device)
        rows = (distances + self._span).clamp_(0, 2 * self._span - 1)
        positions = self.rel_embeddings.weight[rows]
        for layer in self.layer:
            layer.attention.self.prepare(positions)
        self._reach = reach


class _Layer(nn.Module):
    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = _Intermediate(config)
        self.output = _Output(config.intermediate_size, config)

    def forward(self, states: Tensor, length: int, columns: slice) -> Tensor:
        states = self.attention(states, length, columns)
        output: Tensor = self.output(self.intermediate(states), states)
        return output


class _Intermediate(nn.Module):
    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self._activation = get_activation(config.hidden_act)

    def forward(self, states: Tensor) -> Tensor:
        inner: Tensor = self._activation(self.dense(states))
        return inner


class _Output(nn.Module):
    def __init__(self, width: int, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, states: Tensor, residual: Tensor) -> Tensor:
        normed: Tensor = self.LayerNorm(self.dense(states).add_(residual))
        return normed


class _Attention(nn.Module):
    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _Output(config.hidden_size, config)

    def forward(self, states: Tensor, length: int, columns: slice) -> Tensor:
        output: Tensor = self.output(self.self(states, length, columns), states)
        return output


class _SelfAttention(nn.Module):
    """Disentangled attention: softmax((q·k + q·P(i-j) + k·Q(i-j)) / √(3d)) v, with P and Q of distances."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        width = config.hidden_size
        self._heads = int(config.num_attention_heads)
        self._scale = (3 * width // self._heads) ** -0.5
        self.in_proj = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.empty(width))
        self.v_bias = nn.Parameter(torch.empty(width))
        self.pos_proj = nn.Linear(width, width, bias=False)
        self.pos_q_proj = nn.Linear(width, width)
        # What `prepare` makes of the weights; the positions have shape (heads, width of a head, distances).
        self.register_buffer("in_bias", None, persistent=False)
        self.register_buffer("keys_at", None, persistent=False)
        self.register_buffer("queries_at", None, persistent=False)

    def prepare(self, positions: Tensor) -> None:
        """Keep scaled projections of the embeddings of distances, shape (distances, width), descending."""
        shape = (len(positions), self._heads, -1)
        keys, queries = self.pos_proj(positions), self.pos_q_proj(positions).flip(0)
        self.keys_at = (keys * self._scale).view(shape).permute(1, 2, 0).contiguous()
        self.queries_at = (queries * self._scale).view(shape).permute(1, 2, 0).contiguous()
        # The weights of a head lie together: its query, its key, its value.
        bias = torch.stack([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        self.in_bias = bias.view(3, self._heads, -1).transpose(0, 1).flatten()

    def forward(self, states: Tensor, length: int, columns: slice) -> Tensor:
        rows, width = states.shape
        parts = functional.linear(states, self.in_proj.weight, self.in_bias)
        parts = parts.view(rows // length, length, self._heads, 3, -1)
        queries, keys, values = parts.permute(3, 0, 2, 1, 4)
        context = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=self._position_terms(parts, columns),
            scale=self._scale,
        )
        return context.transpose(1, 2).reshape(rows, width)

    def _position_terms(self, parts: Tensor, columns: slice) -> Tensor:
        """Return what distances add to the scores of attention, shape (texts, heads, length, length).

        Args:
            parts: Shape (texts, length, heads, 3, width of a head): queries, keys and values.
            columns: Columns of the projections for these texts; fewer if `length` exceeds the span.
        """
        texts, length, heads = parts.shape[:3]
        queries, keys, _ = parts.flatten(0, 1).permute(2, 1, 0, 3)
        by_query = _widened(torch.bmm(queries, self.keys_at[:, :, columns]), length)
        by_key = _widened(torch.bmm(keys, self.queries_at[:, :, columns]), length)
        shape = (texts, heads, length, length)
        distances = by_query.shape[-1]
        text, head, step = length * distances, texts * length * distances, distances - 1
        # Descending: row i of a text holds the distance i - j in column length - 1 - i + j.
        from_queries = by_query.as_strided(shape, (text, head, step, 1), length - 1)
        # Ascending: row j holds the distance i - j in column length - 1 + i - j.
        from_keys = by_key.as_strided(shape, (text, head, 1, step), length - 1)
        return from_queries + from_keys


def _widened(products: Tensor, length: int) -> Tensor:
    """Repeat the outermost of the columns, so that there are 2 * length - 1."""
    missing = 2 * length - 1 - products.shape[-1]
    if missing == 0:
        return products
    shape = (*products.shape[:-1], missing // 2)
    return torch.cat([products[..., :1].expand(shape), products, products[..., -1:].expand(shape)], -1)
