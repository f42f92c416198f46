"""A network that describes pictures: a vision transformer and a GPT-2 that reads what it sees.

    pixels ──encoder (ViT)──▶ visual tokens ──enc_to_dec_proj──▶ decoder (GPT-2) ──▶ caption

Two ways lead from the picture to the words. `cross` gives every block of the decoder a cross-attention to
the visual tokens, as in ROCOv2 (Rückert et al. 2024): new weights, 0.84 billion of them in BioMedLM. `prefix`
puts the visual tokens before the caption, as if they were words; only the projection is new.

Encoder and decoder are composed here part by part: the helper of transformers 5 that composes them fails for
GPT-2. Names of parameters are those of its VisionEncoderDecoderModel.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import torch
from msgspec import Meta
from torch import nn
from torch.nn import functional

from baselines.bounds import BelowOne, Count, Factor, Side
from baselines.models.adapters import MARK, add_adapters
from baselines.models.pretrained import config_of, fetched, lasting, opened, quiet
from baselines.models.text import IGNORED
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.words import shorten

Conditioning = Literal["cross", "prefix"]
Frozen = Literal["none", "encoder", "decoder", "both"]

_ENCODER, _DECODER = "encoder.", "decoder."  # how names of parameters begin
_NEW = ("crossattention", "ln_cross_attn", "enc_to_dec_proj", MARK)

# Architectures with random weights: `random/<name>`. Sizes are those of the published configurations.
ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "random/nano": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "patch_size": 8,
    },
    "random/vit-base": {"patch_size": 16},  # the defaults of ViTConfig are ViT-B
}
DECODERS: Mapping[str, Mapping[str, Any]] = {
    "random/nano": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "random/distilgpt2": {"n_embd": 768, "n_layer": 6, "n_head": 12},
    "random/gpt2": {"n_embd": 768, "n_layer": 12, "n_head": 12},
    "random/biomedlm": {
        "n_embd": 2560,
        "n_layer": 32,
        "n_head": 20,
        "scale_attn_by_inverse_layer_idx": True,
    },
}


class CaptionerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a captioner is made of.

    Attributes:
        encoder: Key of `ENCODERS`, a folder with a ViT, or its name on the Hub.
        decoder: Key of `DECODERS`, a folder with a GPT-2, or its name on the Hub.
        size: Pixels of the square pictures that the encoder sees.
        conditioning: How the decoder sees the pictures, see the head of the module.
        visual_grid: Average the patches to a grid of so many a side, to save memory and time; 0 keeps all.
        frozen: Which pretrained weights stay as they are; new ones are always trained.
        lora_rank: Rank of the adapters of a frozen decoder, 0 for none.
        lora_alpha: Strength of the adapters, times 1 / rank.
        base: Precision of frozen weights; those that are trained stay in fp32.
        checkpointing: Compute activations of the decoder again in the backward pass, to save memory.
        dropout: Share of the activations that the decoder leaves out in training.
        new_rate: Learning rate of new weights as a multiple of that of pretrained ones.
        vocabulary: Most tokens of a tokenizer of our own, which random decoders get.
    """

    encoder: str = "google/vit-base-patch16-224-in21k"
    decoder: str = "distilgpt2"
    size: Side = 224
    conditioning: Conditioning = "cross"
    visual_grid: Count = 0
    frozen: Frozen = "none"
    lora_rank: Count = 0
    lora_alpha: Factor = 32.0
    base: Literal["fp32", "bf16"] = "fp32"
    checkpointing: bool = False
    dropout: BelowOne = 0.1
    new_rate: Factor = 5.0
    vocabulary: Annotated[int, Meta(ge=257)] = 8000

    def __post_init__(self) -> None:
        if self.lora_rank and self.frozen not in ("decoder", "both"):
            raise UsageFault("lora_rank: adapters are for a frozen decoder; say frozen = 'decoder' or 'both'")
        if self.base == "bf16" and self.frozen == "none":
            raise UsageFault(
                "base: 'bf16' is for frozen weights, which are never updated; say which are frozen"
            )


class Captioner(nn.Module):
    """An encoder and a decoder; `compose` and `rebuild` make it.

    Attributes:
        options: What the captioner is made of.
        prefix_length: Visual tokens before a caption, 0 with cross-attention.
    """

    def __init__(self, encoder: Any, decoder: Any, options: CaptionerOptions) -> None:  # noqa: ANN401
        super().__init__()
        self.options = options
        self.encoder = encoder
        self.decoder = decoder
        seen, read = encoder.config.hidden_size, decoder.config.n_embd
        is_prefix = options.conditioning == "prefix"
        self.enc_to_dec_proj = nn.Linear(seen, read) if is_prefix or seen != read else nn.Identity()
        side = options.visual_grid or options.size // encoder.config.patch_size
        self.prefix_length = 1 + side * side if is_prefix else 0
        if options.lora_rank:
            add_adapters(decoder, options.lora_rank, options.lora_alpha)
        if options.checkpointing:
            decoder.activation_checkpointing_enable()
        self._freeze()

    def forward(self, pixels: Any, inputs: Any, targets: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return the negative log-likelihood of each caption, summed over its tokens.

        Args:
            pixels: Normalised pictures, shape (b, 3, size, size).
            inputs: Tokens that the decoder reads, shape (b, t), see `text.batched`.
            targets: Tokens that it should say, shape (b, t), see `text.batched`.

        Returns:
            float32, shape (b,).
        """
        with self.precision(pixels.device):
            hidden, _ = self.read(self.see(pixels), inputs)
            logits = self.decoder.lm_head(hidden)
        each = functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return each.view_as(targets).sum(1)

    def see(self, pixels: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return the visual tokens, the whole picture first, shape (b, 1 + patches, width of the decoder)."""
        is_other_size = pixels.shape[-1] != self.encoder.config.image_size
        tokens = self.encoder(pixel_values=pixels, interpolate_pos_encoding=is_other_size).last_hidden_state
        return self.enc_to_dec_proj(_pooled(tokens, self.options.visual_grid))

    def read(self, visual: Any, tokens: Any, past: Any = None, *, keeps: bool = False) -> tuple[Any, Any]:  # noqa: ANN401
        """Return the decoder's last hidden states of some tokens, and what it remembers.

        Args:
            visual: Visual tokens, from `see`.
            tokens: Tokens to read, shape (b, t).
            past: What an earlier call remembered, for the tokens that come after its own.
            keeps: Whether keys and values are remembered for the next token.

        Returns:
            Shape (b, t, width), and the memory or None.
        """
        if self.options.conditioning == "cross":
            given = {"input_ids": tokens, "encoder_hidden_states": visual}
        else:
            words = self.decoder.transformer.wte(tokens)
            given = {"inputs_embeds": torch.cat([visual, words], 1) if past is None else words}
        out = self.decoder.transformer(**given, past_key_values=past, use_cache=keeps)
        return out.last_hidden_state[:, -tokens.shape[1] :], out.past_key_values if keeps else None

    def precision(self, device: Any) -> AbstractContextManager[Any]:  # noqa: ANN401  torch is Any
        """Return the context in which frozen bfloat16 weights meet trained fp32 ones."""
        is_mixed = self.options.base == "bf16"
        return torch.autocast(device.type, torch.bfloat16) if is_mixed else nullcontext()

    def _freeze(self) -> None:
        halves = {"none": (), "encoder": (_ENCODER,), "decoder": (_DECODER,)}.get(
            self.options.frozen, (_ENCODER, _DECODER)
        )
        for name, each in self.named_parameters():
            if name.startswith(halves) and not is_new(name):
                each.requires_grad_(requires_grad=False)
                if self.options.base == "bf16":
                    each.data = each.data.to(torch.bfloat16)


def is_new(name: str) -> bool:
    """Tell whether a parameter has no pretrained value: it wants a higher rate and is never frozen."""
    return any(mark in name for mark in _NEW)


def compose(options: CaptionerOptions, *, vocabulary: int, end: int) -> Captioner:
    """Return a captioner with the weights that its options name; new ones come from torch's global generator.

    Args:
        options: What the captioner is made of.
        vocabulary: Number of tokens of the tokenizer.
        end: The token that opens and closes captions.

    Raises:
        MissingResource: Weights are not on this disk and cannot be fetched.
        RejectedInput: They are of another architecture, or know fewer tokens than the tokenizer.
    """
    return Captioner(_encoder(options), _decoder(options, vocabulary, end), options)


def rebuild(
    options: CaptionerOptions, configs: Mapping[str, Mapping[str, Any]], bases: Mapping[str, str]
) -> Captioner:
    """Return a captioner to be filled from a checkpoint: halves that it has no base of are random.

    Args:
        options: What the captioner was made of.
        configs: Configurations of both halves, from `shapes`.
        bases: Where the halves come from that the checkpoint holds no frozen weights of, see `bases_of`.

    Raises:
        MissingResource: A base is not on this disk and cannot be fetched.
        RejectedInput: It is of another architecture.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, ViTConfig, ViTModel

    sources = {prefix.removesuffix("."): source for prefix, source in bases.items()}
    options = msgspec.structs.replace(options, **sources)  # the whole path of a folder, from wherever
    shape = GPT2Config(**configs["decoder"])
    with quiet():
        encoder = (
            _encoder(options)
            if _ENCODER in bases
            else ViTModel(ViTConfig(**configs["encoder"]), add_pooling_layer=False)
        )
        decoder = (
            _decoder(options, shape.vocab_size, shape.eos_token_id)
            if _DECODER in bases
            else GPT2LMHeadModel(shape)
        )
        return Captioner(encoder, decoder, options)


def bases_of(options: CaptionerOptions) -> dict[str, str]:
    """Return where each half comes from, by how its parameters are named; a random one comes from nowhere."""
    halves = {_ENCODER: options.encoder, _DECODER: options.decoder}
    return {
        prefix: lasting(name)
        for prefix, name in halves.items()
        if name not in ENCODERS and name not in DECODERS
    }


def shapes(captioner: Captioner) -> dict[str, dict[str, Any]]:
    """Return the configurations of both halves, as JSON can hold them."""
    halves = {"encoder": captioner.encoder, "decoder": captioner.decoder}
    return {name: half.config.to_diff_dict() for name, half in halves.items()}


def _encoder(options: CaptionerOptions) -> Any:  # noqa: ANN401  of transformers
    from transformers import ViTConfig, ViTModel

    if options.encoder in ENCODERS:
        config = ViTConfig(image_size=options.size, **ENCODERS[options.encoder])
        return ViTModel(config, add_pooling_layer=False)
    folder = _of_kind(options.encoder, "vit", "ENCODERS", ENCODERS)
    return opened(ViTModel, folder, add_pooling_layer=False)


def _decoder(options: CaptionerOptions, vocabulary: int, end: int) -> Any:  # noqa: ANN401  of transformers
    from transformers import GPT2Config, GPT2LMHeadModel

    settings = {
        "add_cross_attention": options.conditioning == "cross",
        "bos_token_id": end,
        "eos_token_id": end,
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), options.dropout),
    }
    if options.decoder in DECODERS:
        config = GPT2Config(vocab_size=vocabulary, **DECODERS[options.decoder], **settings)
        return GPT2LMHeadModel(config)
    folder = _of_kind(options.decoder, "gpt2", "DECODERS", DECODERS)
    decoder = opened(GPT2LMHeadModel, folder, new=_NEW, **settings)
    if decoder.config.vocab_size < vocabulary:
        raise RejectedInput(
            f"{folder}: knows {decoder.config.vocab_size:,} tokens, and its tokenizer has {vocabulary:,}"
        )
    return decoder


def _of_kind(name: str, kind: str, table: str, known: Mapping[str, Any]) -> Path:
    """Return the folder of a model that must be of some kind."""
    if name.startswith("random/"):
        raise UsageFault(f"{shorten(name)}: not in {table}, expected one of {', '.join(known)}")
    folder = fetched(name)
    found = config_of(folder).model_type
    if found != kind:
        raise RejectedInput(f"{folder}: a model of the kind {found!r}, expected {kind!r}")
    return folder


def _pooled(tokens: Any, grid: int) -> Any:  # noqa: ANN401  torch is Any
    """Return the first token and the patches averaged to a grid, shape (b, 1 + grid * grid, width)."""
    if not grid:
        return tokens
    whole, patches = tokens[:, :1], tokens[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    square = patches.transpose(1, 2).unflatten(2, (side, side))
    averaged = functional.adaptive_avg_pool2d(square, grid).flatten(2).transpose(1, 2)
    return torch.cat([whole, averaged], 1)
