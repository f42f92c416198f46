"""CLIP, the model behind CLIPScore: image and caption in, two vectors of one space out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rocov2_eval.dual_encoder import DualModel, require_tokenizer_of
from rocov2_eval.models import CONFIG_FILE, ModelFolder
from rocov2_eval.tensor_files import check_merges, load_strictly, read_tensors, refusing_other_shapes

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of its authors


def load(folder: ModelFolder, dtype: Any) -> DualModel:  # noqa: ANN401  of torch
    """Load the weights and the tokenizer of a folder in the layout of transformers.

    Raises:
        MissingResource: Weights or tokenizer are missing, damaged or of another model.
    """
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    with refusing_other_shapes(folder.file(CONFIG_FILE)):
        config = CLIPConfig.from_pretrained(folder.path, local_files_only=True)
        model = CLIPModel(config)
    tensors = read_tensors(folder.tensor_files)
    # Files of old versions of transformers hold the numbers from 0 to 76 as well.
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(".position_ids")}
    load_strictly(model, kept, folder.path)
    check_merges(folder.file("vocab.json"), folder.file("merges.txt"), ())
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
