"""CLIP, the model behind CLIPScore: image and caption in, two vectors of one space out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rocov2_eval.dual_encoder import DualModel, require_tokenizer_of
from rocov2_eval.errors import MissingResource
from rocov2_eval.models import ModelFolder

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of its authors


def load(folder: ModelFolder, dtype: Any) -> DualModel:  # noqa: ANN401  of torch
    """Load the weights and the tokenizer of a folder in the layout of transformers.

    Raises:
        MissingResource: Weights or tokenizer are missing, damaged or of another model.
    """
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    config = CLIPConfig.from_pretrained(folder.path, local_files_only=True)
    try:
        model, report = CLIPModel.from_pretrained(
            folder.path, config=config, local_files_only=True, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingResource(f"{folder.path}: {str(error).partition(chr(10))[0]}") from None
    absent = sorted(map(str, (*report["missing_keys"], *report.get("mismatched_keys", ()))))
    if absent:
        raise MissingResource(f"{folder.path}: not the weights of CLIP: no tensor {absent[0]} in them")
    tokenizer = CLIPTokenizer.from_pretrained(folder.path, local_files_only=True)
    require_tokenizer_of(folder.path, tokenizer, config.text_config.vocab_size)
    side = config.vision_config.image_size
    return DualModel(
        modules=model.to(dtype).eval(),
        embed_images=lambda pixels: _vectors(model.get_image_features(pixel_values=pixels)),
        embed_texts=lambda ids: _vectors(model.get_text_features(input_ids=ids)),
        tokenizer=tokenizer,
        most_tokens=config.text_config.max_position_embeddings,
        resize=partial(_crop, side=side),
        side=side,
        mean=MEAN,
        std=STD,
    )


def _vectors(features: Any) -> Any:  # noqa: ANN401
    return getattr(features, "pooler_output", features)  # transformers 4 returns the vectors themselves


def _crop(picture: Picture, side: int) -> Picture:
    """Scale the shorter side of a picture, and keep the square in the middle."""
    from PIL import Image

    shorter = min(picture.size)
    width, height = (side * length // shorter for length in picture.size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    scaled = picture.resize((width, height), Image.Resampling.BICUBIC)
    return scaled.crop((left, top, left + side, top + side))
