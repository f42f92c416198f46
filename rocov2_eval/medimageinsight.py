"""MedImageInsight, the model behind Similarity: image and caption in, two vectors of one space out.

The image side is the DaViT that transformers has as the backbone of Florence-2; the text side is a
transformer with its layer norms first, without a causal mask. Both run in evaluation mode. The official code
leaves its stochastic depth on, so that its image vectors are a random draw; its text vectors are as ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rocov2_eval.dual_encoder import DualModel, require_tokenizer_of
from rocov2_eval.errors import MissingResource
from rocov2_eval.models import ModelFolder
from rocov2_eval.tensor_files import check_merges, load_strictly, read_tensors

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

# Tensor names of the published file, and of its older styles, as the modules below have them. In this order.
_RENAMES = (
    (r"^visual\.", "image_encoder."),
    (r"^text\.", "lang_encoder."),
    (r"^vision_projection$", "image_projection"),
    (r"^text_projection$", "lang_projection"),
    (r"^(image|lang)_projection$", r"\1_projection.weight"),
    (r"^image_encoder\.norms\.", "image_norm."),
    (r"^image_encoder\.", "image."),
    (r"^image\.conv_embeds\.", "image.convs."),
    (r"^image\.main_blocks\.", "image.blocks."),
    (r"^(image\.blocks\.\d+\.\d+)\.0\.", r"\1.spatial_block."),
    (r"^(image\.blocks\.\d+\.\d+)\.1\.", r"\1.channel_block."),
    (r"\.cpe\.0\.proj\.", ".conv1."),
    (r"\.cpe\.1\.proj\.", ".conv2."),
    (r"(\.spatial_block)\.attn\.", r"\1.window_attn."),
    (r"(\.channel_block)\.attn\.", r"\1.channel_attn."),
    (r"(_block)\.mlp\.", r"\1.ffn."),
    (r"^(image\.convs\.\d+)\.proj\.", r"\1.conv."),
    (r"\.(conv[12])\.fn\.dw\.", r".\1."),
    (r"\.(?:window|channel)_attn\.norm\.", ".norm1."),
    (r"\.(window|channel)_attn\.fn\.", r".\1_attn."),
    (r"\.ffn\.norm\.", ".norm2."),
    (r"\.ffn\.fn\.net\.", ".ffn."),
    (r"^lang_encoder\.token_embedding\.", "tokens."),
    (r"^lang_encoder\.positional_embedding$", "positions.weight"),
    (r"^lang_encoder\.ln_final\.", "lang_norm."),
    (r"^lang_encoder\.resblocks\.(\d+)\.", r"layers.\1."),
    (r"^(layers\.\d+)\.attn\.", r"\1.self_attn."),
    (r"^(layers\.\d+)\.ln_([12])\.", r"\1.norm\2."),
    (r"^(layers\.\d+)\.mlp\.c_fc\.", r"\1.linear1."),
    (r"^(layers\.\d+)\.mlp\.c_proj\.", r"\1.linear2."),
)
_PROJECTIONS = {"image_projection.weight", "lang_projection.weight"}
_UNUSED = {"logit_scale"}  # of the training


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the tensors of a weights file do not tell by their shapes; the published model has the defaults.

    Attributes:
        window: Side of the square of image tokens that attend to each other.
        image_head: Width of an attention head, and of a group of channels, of the image side.
        text_head: Width of an attention head of the text side.
        side: Width and height of the pictures, in pixels.
    """

    window: int = 12
    image_head: int = 32
    text_head: int = 64
    side: int = 480


PUBLISHED = Architecture()


def load(folder: ModelFolder, dtype: Any, architecture: Architecture = PUBLISHED) -> DualModel:  # noqa: ANN401
    """Load the weights and the tokenizer of a folder.

    Args:
        folder: Folder of the weights.
        dtype: Type of torch for weights and arithmetic.
        architecture: What the weights do not tell.

    Raises:
        MissingResource: Weights or tokenizer are missing, damaged or of another model.
    """
    from transformers import CLIPTokenizer

    modules = build(read_tensors(folder.tensor_files), folder.path, architecture).to(dtype).eval()
    vocabulary = folder.file("vocab.json")
    check_merges(vocabulary, folder.file("merges.txt"), ())
    tokenizer = CLIPTokenizer.from_pretrained(vocabulary.parent, local_files_only=True)
    require_tokenizer_of(vocabulary, tokenizer, modules["tokens"].num_embeddings)
    side = architecture.side
    return DualModel(
        modules=modules,
        embed_images=partial(embed_images, modules),
        embed_texts=partial(embed_texts, modules),
        tokenizer=tokenizer,
        most_tokens=int(modules["positions"].num_embeddings),
        resize=partial(_squeeze, side=side),
        side=side,
        mean=MEAN,
        std=STD,
    )


def build(tensors: Mapping[str, Any], source: Path, architecture: Architecture = PUBLISHED) -> Any:  # noqa: ANN401
    """Make the modules that tensors belong to, and load all of them strictly.

    Args:
        tensors: By their names in the published file, or in its older styles.
        source: Where they come from, for messages.
        architecture: What their shapes do not tell.

    Raises:
        MissingResource: They are not those of MedImageInsight: one is missing, foreign or of another shape.
    """
    import torch

    renamed = _by_module(tensors)
    try:
        with torch.device("meta"):
            modules = _modules(renamed, architecture)
    except (KeyError, ValueError) as error:  # a name or a shape that the shapes of the modules depend on
        raise MissingResource(f"{source}: not the weights of MedImageInsight ({error})") from None
    modules.to_empty(device="cpu")
    load_strictly(modules, renamed, source)
    return modules


def embed_images(modules: Any, pixels: Any) -> Any:  # noqa: ANN401
    """Return vectors of any length, shape (n, width), of pixels, shape (n, 3, side, side)."""
    tokens = modules["image"](pixels).last_hidden_state.flatten(2).mean(2)
    return modules["image_projection"](modules["image_norm"](tokens))


def embed_texts(modules: Any, ids: Any) -> Any:  # noqa: ANN401
    """Return vectors of any length, shape (n, width), of token ids, shape (n, length)."""
    import torch

    states = modules["tokens"](ids) + modules["positions"].weight[: ids.shape[1]]
    for layer in modules["layers"]:
        states = layer(states)
    # The token that ends a text has the largest id; what comes after the first of them is not the text.
    ends = states[torch.arange(len(ids), device=ids.device), ids.argmax(-1)]
    return modules["lang_projection"](modules["lang_norm"](ends))


def _modules(tensors: Mapping[str, Any], architecture: Architecture) -> Any:  # noqa: ANN401
    """Make the modules, without values, in the shapes that tensors have."""
    from torch import nn

    words, width = tensors["tokens.weight"].shape
    image_width, space = tensors["image_projection.weight"].T.shape
    layers = [
        nn.TransformerEncoderLayer(
            width,
            width // architecture.text_head,
            tensors[f"layers.{i}.linear1.weight"].shape[0],
            dropout=0.0,
            activation=_quick_gelu,
            layer_norm_eps=1e-12,
            batch_first=True,
            norm_first=True,
        )
        for i in range(_count(tensors, r"layers\.(\d+)\."))
    ]
    return nn.ModuleDict(
        {
            "image": _davit(tensors, architecture),
            "image_norm": nn.LayerNorm(image_width, eps=1e-5),
            "image_projection": nn.Linear(image_width, space, bias=False),
            "tokens": nn.Embedding(words, width),
            "positions": nn.Embedding(*tensors["positions.weight"].shape),
            "layers": nn.ModuleList(layers),
            "lang_norm": nn.LayerNorm(width, eps=1e-12),
            "lang_projection": nn.Linear(width, space, bias=False),
        }
    )


def _davit(tensors: Mapping[str, Any], architecture: Architecture) -> Any:  # noqa: ANN401
    from transformers import Florence2VisionBackbone
    from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

    stages = range(_count(tensors, r"image\.convs\.(\d+)\."))
    shapes = [tensors[f"image.convs.{i}.conv.weight"].shape for i in stages]
    widths = [shape[0] for shape in shapes]
    heads = [max(1, width // architecture.image_head) for width in widths]
    config = Florence2VisionConfig(
        in_channels=3,
        depths=[_count(tensors, rf"image\.blocks\.{i}\.(\d+)\.") for i in stages],
        embed_dim=widths,
        num_heads=heads,
        num_groups=heads,
        window_size=architecture.window,
        patch_size=[shape[-1] for shape in shapes],
        patch_stride=[4, *(2 for _ in stages[1:])],
        patch_padding=[shape[-1] // 2 for shape in shapes],
        patch_prenorm=[tensors[f"image.convs.{i}.norm.weight"].shape[0] == shapes[i][1] for i in stages],
        drop_path_rate=0.0,
    )
    return Florence2VisionBackbone(config)


def _quick_gelu(x: Any) -> Any:  # noqa: ANN401
    return x * (1.702 * x).sigmoid()


def _squeeze(picture: Picture, side: int) -> Picture:
    """Bring a picture to a square, whatever its proportions."""
    from PIL import Image

    return picture.resize((side, side), Image.Resampling.BICUBIC)


def _by_module(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors that are used, by the names and in the shapes of the modules."""
    renamed = {_renamed(name): tensor for name, tensor in tensors.items() if name not in _UNUSED}
    for name in _PROJECTIONS & renamed.keys():
        renamed[name] = renamed[name].T  # published as what a row of vectors is multiplied by
    return renamed


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _count(tensors: Mapping[str, Any], pattern: str) -> int:
    """Return how many numbers stand in the names that begin with a pattern."""
    return len({found[1] for found in (re.match(pattern, name) for name in tensors) if found})
