"""Small BERT, RoBERTa and DeBERTa-v1 folders with random weights and tokenizers trained on the spot.

Each has the files of the real thing, so that slow tokenizers (transformers 4) and fast ones both load it.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

LAYERS = 3
WORDS = tuple(
    """axial coronal sagittal computed tomography radiograph chest abdomen pelvis showing mass lesion arrow
    pleural effusion left right lower upper lobe with without contrast enhancement number cm mm patient the
    of and in a an is shows demonstrates magnetic resonance imaging ultrasound fracture naïve über 肺
    """.split()  # noqa: SIM905 - a list of fifty words is easier to read like this
)


def make(family: str, folder: Path) -> Path:
    """Write a model of a family into a new folder and return it."""
    folder.mkdir(parents=True)
    _MAKERS[family](folder)
    return folder


def captions(count: int, seed: int = 7) -> list[str]:
    """Return captions of 1 to 40 words out of a small vocabulary."""
    source = random.Random(seed)
    return [" ".join(source.choices(WORDS, k=source.randint(1, 40))) for _ in range(count)]


def _corpus() -> list[str]:
    return [*captions(400), *(chr(code) for code in range(33, 0x250))]


def _bert(folder: Path) -> None:
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(_corpus(), vocab_size=900, show_progress=False)
    tokenizer.save_model(str(folder))
    marks = _named(("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"))
    _write_json(folder, {"tokenizer_class": "BertTokenizer", "model_max_length": 512, **marks})
    _save(BertModel, BertConfig(vocab_size=tokenizer.get_vocab_size(), **_SHAPE), folder)


def _roberta(folder: Path) -> None:
    from transformers import RobertaConfig, RobertaModel

    marks = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    size = _byte_level_tokenizer(folder, marks)
    _write_json(folder, {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512, **_named(marks)})
    shape = _SHAPE | {"max_position_embeddings": 514}
    _save(RobertaModel, RobertaConfig(vocab_size=size, pad_token_id=1, **shape), folder)


def _deberta(folder: Path) -> None:
    from transformers import DebertaConfig, DebertaModel

    marks = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
    size = _byte_level_tokenizer(folder, marks)
    # As on the hub: DeBERTa's tokenizer names no largest length.
    _write_json(folder, {"tokenizer_class": "DebertaTokenizer", **_named(marks)})
    config = DebertaConfig(
        vocab_size=size,
        pad_token_id=1,
        relative_attention=True,
        position_biased_input=False,
        pos_att_type=["c2p", "p2c"],
        max_relative_positions=-1,
        type_vocab_size=0,
        **_SHAPE,
    )
    _save(DebertaModel, config, folder)


_MAKERS = {"bert": _bert, "roberta": _roberta, "deberta": _deberta}
FAMILIES = tuple(_MAKERS)
_SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}


def _byte_level_tokenizer(folder: Path, marks: tuple[str, ...]) -> int:
    """Train and write a byte-level tokenizer; return the size of its vocabulary."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(_corpus(), vocab_size=900, special_tokens=list(marks), show_progress=False)
    tokenizer.save_model(str(folder))
    return int(tokenizer.get_vocab_size())


def _named(marks: tuple[str, ...]) -> dict[str, str]:
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    opening, _, closing, _, _ = marks
    return dict(zip(names, marks, strict=True)) | {"bos_token": opening, "eos_token": closing}


def _write_json(folder: Path, fields: dict[str, object]) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(fields), encoding="utf-8")


def _save(model_class: type, config: object, folder: Path) -> None:
    import torch

    torch.manual_seed(3)
    model = model_class(config)
    # Fresh weights are so small that all tokens look alike; larger ones give cosines of both signs.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embedding" in name:
                weight.mul_(10)
    model.save_pretrained(folder)
