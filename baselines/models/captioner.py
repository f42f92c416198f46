"""A network that describes pictures: a vision encoder, and a language model that reads what it sees.

    pixels ──encoder──▶ visual tokens ──enc_to_dec_proj──▶ decoder (causal language model) ──▶ caption

Two ways lead from the picture to the words.

    cross     Every block of a GPT-2 gets a cross-attention to the visual tokens, as in ROCOv2 (Rückert et al.
              2024): new weights, 0.84 billion of them in BioMedLM. The projection is one matrix.
    prefix    The visual tokens stand before the caption, as if they were words. The projection has two layers
              (linear, GELU, linear), and nothing else is new: any causal language model reads it.

Either way the decoder may stay frozen and learn low-rank adapters, which are those of peft: the corrections
of Hu et al. (2022) to every matrix of the attention and of the MLP. They change nothing at first.
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

from baselines.bounds import AtLeastOne, BelowOne, Count, Factor, Side
from baselines.models.pretrained import DAMAGES, config_of, fetched, lasting, opened, quiet
from baselines.models.text import IGNORED
from baselines.models.vision import VisionEncoder, open_vision, plain_config, rebuild_vision, vision_config
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.words import shorten

Conditioning = Literal["cross", "prefix"]
Frozen = Literal["none", "encoder", "decoder", "both"]

ENCODER, _DECODER = "encoder.", "decoder."  # how names of parameters begin
_CROSS = ("crossattention", "ln_cross_attn")
_NEW = (*_CROSS, "enc_to_dec_proj", "lora_")

# Architectures with random weights: `random/<name>`. Sizes are those of the published configurations.
ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "random/nano": {
        "model_type": "vit",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "patch_size": 8,
    },
    "random/resnet-nano": {
        "model_type": "resnet",
        "embedding_size": 32,
        "hidden_sizes": [32, 64, 128],
        "depths": [1, 1, 1],
        "layer_type": "basic",
    },
    "random/vit-base": {"model_type": "vit"},  # its defaults are ViT-B of 16 pixels a patch
    "random/siglip-base": {"model_type": "siglip_vision_model"},  # likewise
}
DECODERS: Mapping[str, Mapping[str, Any]] = {
    "random/nano": {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "random/distilgpt2": {"model_type": "gpt2", "n_embd": 768, "n_layer": 6, "n_head": 12},
    "random/gpt2": {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12},
    "random/biomedlm": {
        "model_type": "gpt2",
        "n_embd": 2560,
        "n_layer": 32,
        "n_head": 20,
        "scale_attn_by_inverse_layer_idx": True,
    },
    "random/qwen2.5-0.5b": {
        "model_type": "qwen2",
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "tie_word_embeddings": True,
    },
}


class CaptionerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a captioner is made of.

    Attributes:
        encoder: Key of `ENCODERS`, a folder with any vision encoder, or its name on the Hub; or one of our
            networks: the folder of a run of concept detection, or an EfficientNet of timm by its name.
        decoder: Key of `DECODERS`, a folder with a causal language model, or its name on the Hub.
        size: Pixels of the square pictures that the encoder sees.
        conditioning: How the decoder sees the pictures, see the head of the module; `cross` is for GPT-2.
        visual_grid: Average the patches to a grid of so many a side, to save memory and time; 0 keeps all.
        frozen: Which pretrained weights stay as they are; new ones are always trained.
        lora_rank: Rank of the adapters of a frozen decoder, 0 for none.
        lora_alpha: Strength of the adapters, times 1 / rank.
        base: Precision of frozen matrices; biases, normalisation and what is trained stay in fp32.
        checkpointing: Compute activations of the decoder again in the backward pass, to save memory.
        dropout: Share of the activations that the decoder and its adapters leave out in training.
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
    lora_alpha: AtLeastOne = 32
    base: Literal["fp32", "bf16"] = "fp32"
    checkpointing: bool = False
    dropout: BelowOne = 0.1
    new_rate: Factor = 5.0
    vocabulary: Annotated[int, Meta(ge=257)] = 8000

    def __post_init__(self) -> None:
        if self.lora_rank and self.frozen not in ("decoder", "both"):
            raise UsageFault("lora_rank: adapters need a frozen decoder; set frozen = 'decoder' or 'both'")
        if self.base == "bf16" and self.frozen == "none":
            raise UsageFault("base: 'bf16' is for frozen weights, which are never updated; set frozen")


class Captioner(nn.Module):
    """An encoder and a decoder; `compose` and `rebuild` make it.

    Attributes:
        options: What the captioner is made of.
        prefix_length: Visual tokens before a caption, 0 with cross-attention.
    """

    def __init__(self, encoder: VisionEncoder, decoder: Any, options: CaptionerOptions) -> None:  # noqa: ANN401
        super().__init__()
        self.options = options
        self.encoder = encoder
        self.decoder = _adapted(decoder, options) if options.lora_rank else decoder
        seen, read = encoder.width, decoder.config.hidden_size
        is_prefix = options.conditioning == "prefix"
        if is_prefix:
            self.enc_to_dec_proj = nn.Sequential(nn.Linear(seen, read), nn.GELU(), nn.Linear(read, read))
        else:
            self.enc_to_dec_proj = nn.Identity() if seen == read else nn.Linear(seen, read)
        self.prefix_length = 1 + (options.visual_grid**2 or encoder.patches) if is_prefix else 0
        if options.checkpointing:
            decoder.activation_checkpointing_enable()
        self._freeze()

    def forward(self, pixels: Any, inputs: Any, targets: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return the negative log-likelihood of each caption, summed over its tokens.

        Captions are filled up behind their end, where no token before it looks; so no mask is needed.

        Args:
            pixels: Normalised pictures, shape (b, 3, size, size).
            inputs: Tokens that the decoder reads, shape (b, t), see `text.batched`.
            targets: Tokens that it should say, shape (b, t), see `text.batched`.

        Returns:
            float32, shape (b,).
        """
        with self.precision(pixels.device):
            given = self.given(self.see(pixels), inputs)
            logits = self.decoder(**given, use_cache=False, logits_to_keep=inputs.shape[1]).logits
        each = functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return each.view_as(targets).sum(1)

    def see(self, pixels: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return the visual tokens, the whole picture first, shape (b, 1 + patches, width of the decoder)."""
        whole, patches = self.encoder(pixels)
        return self.enc_to_dec_proj(
            torch.cat([whole[:, None], _pooled(patches, self.options.visual_grid)], 1)
        )

    def given(self, visual: Any, tokens: Any) -> dict[str, Any]:  # noqa: ANN401  torch is Any
        """Return what the decoder is given, by the names that transformers has for it.

        Args:
            visual: Visual tokens, from `see`.
            tokens: The mark and what is said after it, shape (b, t).
        """
        if self.options.conditioning == "cross":
            return {"input_ids": tokens, "encoder_hidden_states": visual}
        words = self.decoder.get_input_embeddings()(tokens)
        return {"inputs_embeds": torch.cat([visual.to(words.dtype), words], 1)}

    def precision(self, device: Any) -> AbstractContextManager[Any]:  # noqa: ANN401  torch is Any
        """Return the context in which frozen bfloat16 weights meet trained fp32 ones."""
        is_mixed = self.options.base == "bf16"
        return torch.autocast(device.type, torch.bfloat16) if is_mixed else nullcontext()

    def train(self, mode: bool = True) -> Captioner:  # noqa: FBT001, FBT002  as torch has it
        """Set the mode of training; a frozen encoder sees a picture always alike."""
        super().train(mode)
        if self.options.frozen in ("encoder", "both"):
            self.encoder.eval()
        return self

    def _freeze(self) -> None:
        halves = {"none": (), "encoder": (ENCODER,), "decoder": (_DECODER,)}.get(
            self.options.frozen, (ENCODER, _DECODER)
        )
        for name, each in self.named_parameters():
            is_frozen = name.startswith(halves) and not is_new(name)
            each.requires_grad_(not is_frozen)
            if is_frozen and self.options.base == "bf16" and each.ndim > 1:  # not what normalises
                each.data = each.data.to(torch.bfloat16)


def is_new(name: str) -> bool:
    """Tell whether a parameter has no pretrained value: it wants a higher rate and is never frozen."""
    return any(mark in name for mark in _NEW)


def compose(
    options: CaptionerOptions, *, vocabulary: int, end: int, encoder: VisionEncoder | None = None
) -> Captioner:
    """Return a captioner with the weights that its options name; new ones come from torch's global generator.

    Args:
        options: What the captioner is made of.
        vocabulary: Number of tokens of the tokenizer.
        end: The token that opens and closes captions.
        encoder: The encoder with its weights; None for one of `ENCODERS`, or one that transformers opens.

    Raises:
        MissingResource: Weights are not on this disk and cannot be fetched.
        RejectedInput: They do not fit, are of no such model, or know fewer tokens than the tokenizer.
    """
    return Captioner(encoder or _encoder(options), _decoder(options, vocabulary, end), options)


def rebuild(
    options: CaptionerOptions,
    configs: Mapping[str, Mapping[str, Any]],
    bases: Mapping[str, str],
    encoder: VisionEncoder | None = None,
) -> Captioner:
    """Return a captioner to be filled from a checkpoint: halves that it has no base of are random.

    Args:
        options: What the captioner was made of.
        configs: Configurations of both halves, from `shapes`.
        bases: Where the halves come from that the checkpoint holds no frozen weights of, see `bases_of`.
        encoder: The encoder with its weights, as of `compose`.

    Raises:
        MissingResource: A base is not on this disk and cannot be fetched.
        RejectedInput: It is of another architecture.
    """
    from transformers import AutoConfig

    sources = {prefix.removesuffix("."): source for prefix, source in bases.items()}
    options = msgspec.structs.replace(options, **sources)  # the whole path of a folder, from wherever
    shape = AutoConfig.for_model(**configs["decoder"])
    seen, read = (prefix in bases for prefix in (ENCODER, _DECODER))
    if encoder is None:
        encoder = _encoder(options) if seen else rebuild_vision(configs["encoder"], options.size)
    return Captioner(
        encoder,
        _decoder(options, shape.vocab_size, shape.eos_token_id) if read else _random(shape),
        options,
    )


def bases_of(options: CaptionerOptions) -> dict[str, str]:
    """Return where each half comes from, by how its parameters are named; a random one comes from nowhere."""
    halves = {ENCODER: options.encoder, _DECODER: options.decoder}
    return {
        prefix: lasting(name)
        for prefix, name in halves.items()
        if name not in ENCODERS and name not in DECODERS
    }


def shapes(captioner: Captioner) -> dict[str, dict[str, Any]]:
    """Return the configurations of both halves, as JSON can hold them."""
    return {
        "encoder": vision_config(captioner.encoder),
        "decoder": plain_config(captioner.decoder.config),
    }


def merge_adapters(captioner: Captioner) -> None:
    """Make a captioner one of plain float32 weights, in place: adapters are added to their matrices.

    In bfloat16 the sums would round small corrections away.
    """
    captioner.float()
    if captioner.options.lora_rank:
        captioner.decoder = captioner.decoder.merge_and_unload()
    captioner.options = msgspec.structs.replace(captioner.options, lora_rank=0, frozen="none", base="fp32")


def refuse_unread(decoder: Any, vocabulary: int, where: Path) -> None:  # noqa: ANN401  of transformers
    """Refuse a tokenizer with more tokens than the decoder knows."""
    known = decoder.config.vocab_size
    if known < vocabulary:
        raise RejectedInput(f"{where}: the model has {known:,} tokens, but its tokenizer has {vocabulary:,}")


def _adapted(decoder: Any, options: CaptionerOptions) -> Any:  # noqa: ANN401  of peft
    """Return a decoder with adapters, but for cross-attention: it is new itself, and trained in full.

    Raises:
        RejectedInput: peft cannot adapt it, such as a mixture of experts or a model without attention.
    """
    from peft import LoraConfig, LoraModel

    is_cross = options.conditioning == "cross"
    config = LoraConfig(
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.dropout,
        target_modules="all-linear",  # those of attention and MLP; the head is none of them
        exclude_modules=r".*crossattention.*" if is_cross else None,
        fan_in_fan_out=decoder.config.model_type == "gpt2",  # which keeps its matrices as (in, out)
    )
    try:
        return LoraModel(decoder, config, "default")
    except DAMAGES as error:
        found = shorten(str(error), 160)
        raise RejectedInput(
            f"{options.decoder}: peft makes no adapters for {type(decoder).__name__}: {found}; use "
            "lora_rank = 0, or another decoder"
        ) from None


def _encoder(options: CaptionerOptions) -> VisionEncoder:
    if options.encoder in ENCODERS:
        return rebuild_vision({"image_size": options.size, **ENCODERS[options.encoder]}, options.size)
    _refuse_unknown(options.encoder, "ENCODERS", ENCODERS)
    encoder, _ = open_vision(options.encoder, options.size)
    return encoder


def _decoder(options: CaptionerOptions, vocabulary: int, end: int) -> Any:  # noqa: ANN401  of transformers
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    if options.decoder in DECODERS:
        with quiet():  # its marks are none of ours before they are set
            config = AutoConfig.for_model(vocab_size=vocabulary, **DECODERS[options.decoder])
        return _random(_set(config, options, end))
    _refuse_unknown(options.decoder, "DECODERS", DECODERS)
    folder = fetched(options.decoder)
    config = _set(config_of(folder), options, end)
    if options.conditioning == "cross" and config.model_type != "gpt2":
        raise RejectedInput(
            f"{folder}: a model of the kind {config.model_type!r}; cross-attention is only for 'gpt2': "
            "set conditioning = 'prefix'"
        )
    decoder = opened(AutoModelForCausalLM, folder, new=_CROSS, config=config)
    decoder.generation_config = GenerationConfig()  # those of a chat would mix with ours, unseen
    _refuse_deaf(decoder, folder)
    refuse_unread(decoder, vocabulary, folder)
    return decoder


def _set(config: Any, options: CaptionerOptions, end: int) -> Any:  # noqa: ANN401  of transformers
    """Return the configuration of a decoder with what the options say of it, changed in place."""
    # A token that fills up would have no gradient, and ours opens captions too.
    config.update({"bos_token_id": end, "eos_token_id": end, "pad_token_id": None})
    config.update({key: options.dropout for key in config.to_dict() if key.endswith(("dropout", "pdrop"))})
    if options.conditioning == "cross":
        config.add_cross_attention = True
    return config


def _random(config: Any) -> Any:  # noqa: ANN401  of transformers
    from transformers import AutoModelForCausalLM

    with quiet():
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def _refuse_deaf(decoder: Any, folder: Path) -> None:  # noqa: ANN401  of transformers
    """Refuse a decoder that reads no vectors in the place of words, or that knows the words to come."""
    try:
        words = torch.linspace(-1, 1, 3 * decoder.config.hidden_size).view(1, 3, -1)
        other = torch.cat([words[:, :2], words[:, 2:].flip(-1)], 1)
        with torch.no_grad():
            first, second = (
                decoder(inputs_embeds=each, use_cache=False, logits_to_keep=3).logits[:, :2]
                for each in (words, other)
            )
    except DAMAGES as error:
        found = shorten(str(error), 160)
        raise RejectedInput(
            f"{folder}: {type(decoder).__name__} does not accept visual tokens: {found}"
        ) from None
    if not first.isfinite().all():
        raise RejectedInput(
            f"{folder}: the output of {type(decoder).__name__} is not finite; the weights are damaged"
        )
    if not torch.allclose(first, second, atol=1e-5):
        raise RejectedInput(
            f"{folder}: {type(decoder).__name__} reads the words that it should predict, expected a "
            "causal language model"
        )


def _refuse_unknown(name: str, table: str, known: Mapping[str, Any]) -> None:
    if name.startswith("random/"):
        raise UsageFault(f"{shorten(name)}: not in {table}, expected one of {', '.join(known)}")


def _pooled(patches: Any, grid: int) -> Any:  # noqa: ANN401  torch is Any
    """Return the patches averaged to a grid, shape (b, grid * grid, width)."""
    if not grid:
        return patches
    side = round(patches.shape[1] ** 0.5)
    square = patches.transpose(1, 2).unflatten(2, (side, side))
    return functional.adaptive_avg_pool2d(square, grid).flatten(2).transpose(1, 2)
