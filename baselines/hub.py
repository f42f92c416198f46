"""A run folder as a folder that transformers opens without this program, and that the Hub takes as it is.

folder/
  config.json  model.safetensors  preprocessor_config.json  as `save_pretrained` of transformers writes them
  labels.csv  decision.json                                 of concepts: their names, and which are answered
  generation_config.json, and the files of the tokenizer    of captions
  README.md                                                 the model card, with what the Hub reads first
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from baselines import captions
from baselines.card import hub_head
from baselines.classifiers import Classifier
from baselines.concepts import open_detector
from baselines.decisions.files import DECISION, LABELS
from baselines.documents import write_document
from baselines.generation import settings_of
from baselines.models.backbone import Backbone, stretched
from baselines.models.captioner import merge_adapters
from baselines.models.efficientnet import EfficientNet
from baselines.models.pretrained import quiet
from baselines.models.vision import vision_config
from baselines.models.weights import Normalisation
from baselines.runs import card_of
from baselines.training import runlog
from baselines.training.loop import BEST
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.folders import publishing
from rocov2_eval.shelf.words import shorten

TOLERANCE = 1e-5  # of a logit over the largest one or 1
_CHECKED = 4  # pictures of the comparison
_TOKENS = 12  # of each of its captions
_BILINEAR = 2  # as Pillow and transformers number it
_MAPPED = "tf_efficientnet_b0"
_ONNX = "use -o FILE.onnx for ONNX"
_OURS = {
    *("config.json", "generation_config.json", "preprocessor_config.json", "README.md", LABELS, DECISION),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"),
}
_HOW_CONCEPTS = """\
```python
import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification

processor = AutoImageProcessor.from_pretrained(FOLDER)
model = AutoModelForImageClassification.from_pretrained(FOLDER)
likely = model(**processor(image, return_tensors="pt")).logits.sigmoid()[0]
```

Labels are CUIs of UMLS (`model.config.id2label`; `labels.csv` has their names). `decision.json` holds the
rule that made the scores above of these probabilities.
"""
_MIRRORED = "They are of the mean probability over a picture and its mirror image.\n"
_HOW_CAPTIONS = """\
```python
from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel

processor, tokenizer = AutoImageProcessor.from_pretrained(FOLDER), AutoTokenizer.from_pretrained(FOLDER)
model = VisionEncoderDecoderModel.from_pretrained(FOLDER)
tokens = model.generate(processor(image, return_tensors="pt").pixel_values)
caption = tokenizer.batch_decode(tokens, skip_special_tokens=True)[0]
```
"""
_FITS: Mapping[str, str] = {
    "letterbox": "Pictures were padded to a square with black, equally on both sides, before the processor.",
    "squash": "Pictures were resized to a square without their proportions, as the processor does.",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Handed:
    """What is handed on.

    Attributes:
        model: A model of transformers.
        opener: Its class, or the one of `Auto` that finds it.
        answers: Called with a model of that class; returns what it answers to the pictures of the comparison:
            logits, or the negative log-likelihood of captions.
        expected: What the run answers.
        normalisation: How pictures must look.
        size: Height and width of pictures in pixels.
        pipeline: What the Hub calls the task.
        usage: How it is used, for the card.
        files: Writes what else belongs there into a folder.
    """

    model: Any
    opener: Any
    answers: Callable[[Any], Any]
    expected: Any
    normalisation: Normalisation
    size: int
    pipeline: str
    usage: str
    files: Callable[[Path], None]


def export_folder(folder: Path, out: Path, licence: str) -> float:
    """Write the best weights of a run as a folder of transformers; return how far a logit is from ours.

    The folder is complete or absent: it is opened by transformers and compared before it takes its name.

    Args:
        folder: The folder of a finished run.
        out: The new folder; files that are not ours stay in it.
        licence: Licence of the weights: what the licences of their images leave open.

    Raises:
        UsageFault: transformers has no model of that form.
        MissingResource: The folder is none of a run.
        RejectedInput: A file is damaged, or transformers answers otherwise.
    """
    record = runlog.read_run(folder)
    task = record["recipe"]["run"]["task"]
    if task not in _HANDING:
        raise UsageFault(
            f"{folder}: a run of {task}, expected one of {' or '.join(_HANDING)}, which transformers can open"
        )
    handed = _HANDING[task](folder)
    model = handed.model.cpu().float().eval()
    with publishing(out, _is_ours) as content, quiet():
        model.save_pretrained(content)
        handed.files(content)
        write_document(content / "preprocessor_config.json", _processor(handed.normalisation, handed.size))
        usage = f"## Use\n\n{handed.usage}\n{_FITS[record['recipe']['data']['fit']]}\n"
        head = hub_head(record, licence, handed.pipeline)
        write_text(content / "README.md", f"{head}{card_of(folder, whole=True)}\n{usage}")
        return _difference(handed, content, out)


def _concepts(folder: Path) -> _Handed:
    detector = open_detector(folder)
    classifier = detector.classifier
    network: Any = classifier.model
    pictures = _pictures(classifier.size)
    with torch.inference_mode():
        expected = network(pictures)
    model = _native(classifier, folder)
    model.config.id2label = dict(enumerate(detector.labels))
    model.config.label2id = {cui: place for place, cui in enumerate(detector.labels)}

    def files(content: Path) -> None:
        for name in (LABELS, DECISION):
            shutil.copyfile(folder / name, content / name)

    from transformers import AutoModelForImageClassification

    return _Handed(
        model=model,
        opener=AutoModelForImageClassification,
        answers=lambda opened: opened(pixel_values=pictures).logits,
        expected=expected,
        normalisation=classifier.normalisation,
        size=classifier.size,
        pipeline="image-classification",
        usage=_HOW_CONCEPTS + _MIRRORED * classifier.mirrors,
        files=files,
    )


def _native(classifier: Classifier, folder: Path) -> Any:  # noqa: ANN401  of transformers
    """Return a network as transformers' own model.

    Raises:
        UsageFault: It has none.
    """
    network: Any = classifier.model
    if classifier.spec == _MAPPED:
        return efficientnet_of(network, classifier.size)
    if not isinstance(network, Backbone):
        raise UsageFault(
            f"{folder}: transformers has no {classifier.spec}, and of our networks it has only "
            f"{_MAPPED}; {_ONNX}"
        )
    if not network.is_native:
        kind = network.model.model.config.model_type
        raise UsageFault(f"{folder}: transformers has no classifier of the kind {kind}; {_ONNX}")
    return stretched(network.model, classifier.size) if network.is_stretched else network.model


def efficientnet_of(network: EfficientNet, size: int) -> Any:  # noqa: ANN401  of transformers
    """Return B0 with the padding of TensorFlow as transformers has it: the same layers in the same order.

    It answers alike at sizes that 32 divides: at others, TensorFlow pads otherwise than transformers.
    """
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    config = EfficientNetConfig(
        width_coefficient=1.0,  # the defaults are those of B7
        depth_coefficient=1.0,
        hidden_dim=network.spec.head,
        image_size=size,
        num_labels=network.classifier.out_features,
        problem_type="multi_label_classification",
        batch_norm_eps=network.spec.epsilon,
        batch_norm_momentum=0.1,  # the default is TensorFlow's, which torch takes for its opposite
    )
    model = EfficientNetForImageClassification(config)
    tensors = network.state_dict().values()
    model.load_state_dict(dict(zip(model.state_dict(), tensors, strict=True)))
    return model


def _captions(folder: Path) -> _Handed:
    from transformers import VisionEncoderDecoderModel

    ready = captions.open_ready(folder, folder / BEST)
    captioner, size = ready.captioner, ready.normalisation.size
    options, encoder = captioner.options, captioner.encoder.model
    kind = vision_config(captioner.encoder)["model_type"]
    if options.conditioning != "cross" or options.visual_grid or kind != "vit":
        raise UsageFault(
            f"{folder}: transformers opens only captioners of a ViT with all patches and conditioning "
            "= 'cross', not those with a prefix, averaged patches or another encoder"
        )
    merge_adapters(captioner)
    if size != encoder.config.image_size:
        encoder = stretched(encoder, size)
    with quiet():
        model = VisionEncoderDecoderModel(encoder=encoder, decoder=captioner.decoder)
    model.enc_to_dec_proj = captioner.enc_to_dec_proj
    for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
        setattr(model.config, name, ready.text.end)
    model.generation_config = settings_of(captioner, ready.text, ready.generation)
    pictures = _pictures(size)
    tokens = torch.arange(_CHECKED * _TOKENS).view(_CHECKED, _TOKENS) % len(ready.text)
    with torch.inference_mode():
        expected = captioner(pictures, tokens, tokens)

    def answers(opened: Any) -> Any:  # noqa: ANN401  torch is Any
        likely = opened(pixel_values=pictures, decoder_input_ids=tokens).logits.log_softmax(-1)
        return -likely.gather(2, tokens[:, :, None]).sum((1, 2))

    return _Handed(
        model=model,
        opener=VisionEncoderDecoderModel,
        answers=answers,
        expected=expected,
        normalisation=ready.normalisation,
        size=size,
        pipeline="image-to-text",
        usage=_HOW_CAPTIONS,
        files=lambda content: ready.text.tokenizer.save_pretrained(str(content)),
    )


_HANDING: Mapping[str, Callable[[Path], _Handed]] = {
    "concepts": _concepts,
    "captions": _captions,
    "self-critical": _captions,
}


def _is_ours(name: str) -> bool:
    return name in _OURS or (name.startswith("model") and name.endswith((".safetensors", ".index.json")))


def _pictures(size: int) -> Any:  # noqa: ANN401  torch is Any
    """Return pictures of noise to compare by, shape (4, 3, size, size)."""
    return torch.randn(_CHECKED, 3, size, size, generator=torch.Generator().manual_seed(0))


def _processor(look: Normalisation, size: int) -> dict[str, Any]:
    """Return what `AutoImageProcessor` reads."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": _BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": look.mean,
        "image_std": look.std,
    }


def _difference(handed: _Handed, content: Path, out: Path) -> float:
    """Return how far a logit of transformers is from ours, over the largest or 1.

    Raises:
        UsageFault: It does not take pictures of that size.
        RejectedInput: It is more than `TOLERANCE`.
    """
    opened = handed.opener.from_pretrained(content).eval()
    try:
        with torch.inference_mode():
            found = handed.answers(opened)
    except (ValueError, RuntimeError) as error:
        raise UsageFault(
            f"{out}: {type(opened).__name__} does not accept pictures of {handed.size} pixels: "
            f"{shorten(str(error), 120)}; train at the size of the weights"
        ) from None
    difference = float((found - handed.expected).abs().max() / handed.expected.abs().max().clamp_min(1))
    if not difference <= TOLERANCE:  # NaN is refused too
        raise RejectedInput(
            f"{out}: the output of transformers differs from ours by {difference:.2g} of the largest "
            f"logit, expected at most {TOLERANCE:g}; nothing was written"
        )
    return difference
