from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.captions import FACTS, captioned, open_ready, predict, select
from baselines.data.cache import open_cache
from baselines.data.dataset import read_examples
from baselines.models.text import IGNORED
from baselines.training import checkpoint
from baselines.training.loop import BEST, TrainingOptions, train
from baselines.training.objective import Share
from baselines.training.runtime import Runtime
from rocov2_eval.encoders import Arena, Tokens
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault

pytestmark = pytest.mark.slow  # networks are trained

CPU = torch.device("cpu")
STEPS = 4


def test_a_captioner_learns_eight_pictures_by_heart(learnt: Any, examples: Any) -> None:
    assert list(examples.captions) == predict(learnt, examples, CPU)


def test_it_says_the_caption_of_the_picture_it_is_shown(learnt: Any, examples: Any) -> None:
    turned = select(examples, np.roll(np.arange(len(examples)), 3))
    assert list(turned.captions) == predict(learnt, turned, CPU)


def test_without_its_picture_a_caption_is_much_less_likely(learnt: Any, new_objective: Any) -> None:
    objective = new_objective(learnt)
    fetched = objective.fetch(np.arange(8))
    shuffled = fetched._replace(pixels=np.roll(fetched.pixels, 1, axis=0))
    with torch.no_grad():
        own, other = (
            float(objective.loss(learnt.captioner, one, torch.Generator(), CPU, Share()))
            for one in (fetched, shuffled)
        )
    assert other > 10 * own


def test_the_end_is_trained(learnt: Any, new_objective: Any) -> None:
    objective = new_objective(learnt)
    fetched = objective.fetch(np.arange(8))
    pixels = objective.varied(fetched, torch.Generator(), CPU, Share())
    inputs, targets = map(torch.from_numpy, (fetched.inputs, fetched.targets))
    with torch.no_grad():
        given = learnt.captioner.given(learnt.captioner.see(pixels), inputs)
        likely = learnt.captioner.decoder(**given).logits.softmax(-1)[..., learnt.text.end]
    at_end = (targets != IGNORED).sum(1) - 1
    assert likely[torch.arange(8), at_end].min() > 0.5


@pytest.mark.parametrize("options", [{"conditioning": "prefix"}, {"visual_grid": 2, "checkpointing": True}])
def test_every_way_to_see_learns(options: Any, new_captioner: Any, new_objective: Any, learn: Any) -> None:
    losses = learn(new_objective(new_captioner(**options)), 30)
    assert losses[-1] < losses[0] / 2


def test_the_loss_is_the_same_for_the_same_seed(new_captioner: Any, new_objective: Any, learn: Any) -> None:
    runs = [learn(new_objective(new_captioner(seed=7, dropout=0.1)), STEPS) for _ in range(2)]
    assert runs[0] == runs[1]


def test_another_seed_gives_another_loss(new_captioner: Any, new_objective: Any, learn: Any) -> None:
    runs = [learn(new_objective(new_captioner(seed=seed)), 1) for seed in (7, 8)]
    assert runs[0] != runs[1]


def test_parts_of_a_batch_have_together_the_gradient_of_the_batch(
    new_captioner: Any, new_objective: Any
) -> None:
    gradients = []
    for parts in (1, 2):
        objective = new_objective(new_captioner())
        for part in range(parts):
            share = Share(rank=part, world=parts)
            fetched = objective.fetch(np.arange(8)[part::parts])
            generator = torch.Generator().manual_seed(0)
            (objective.loss(objective.model, fetched, generator, CPU, share) / parts).backward()
        gradients.append({name: each.grad for name, each in objective.model.named_parameters()})
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)


def test_new_weights_have_a_higher_rate_and_every_weight_is_in_one_group(
    new_captioner: Any, new_objective: Any
) -> None:
    objective = new_objective(new_captioner(new_rate=8.0))
    rates = {name: group.rate for group in objective.groups() for name, _ in group.parameters}
    expected = {name: 8.0 if "cross" in name else 1.0 for name, _ in objective.model.named_parameters()}
    assert expected == rates


def test_validation_scores_what_is_generated(learnt: Any, new_objective: Any) -> None:
    scores = new_objective(learnt).validate(CPU)
    assert (scores["rouge1"], -0.3 < scores["negative_loss"] < 0) == (1.0, True)


def test_validation_tells_whether_pictures_matter(
    learnt: Any, new_captioner: Any, new_objective: Any
) -> None:
    looking, blind = (new_objective(ready).validate(CPU) for ready in (learnt, new_captioner()))
    assert (looking["distinct_captions"], looking["modality_agreement"]) == (100.0, 1.0)
    assert looking["shuffled_gap"] > 0.3 > abs(blind["shuffled_gap"])


def test_validation_by_bertscore_asks_the_encoder_of_the_scorer(learnt: Any, new_objective: Any) -> None:
    scores = new_objective(learnt, encoder=Letters()).validate(CPU)
    assert pytest.approx(1.0) == scores["bertscore_f1"]


def test_a_saved_captioner_says_the_same(
    learnt: Any, new_objective: Any, examples: Any, tmp_path: Path
) -> None:
    again = open_ready(tmp_path, written(learnt, new_objective(learnt), tmp_path))
    assert predict(learnt, examples, CPU) == predict(again, examples, CPU)


@pytest.mark.parametrize(
    "options", [{"conditioning": "prefix"}, {"frozen": "decoder", "lora_rank": 2, "base": "bf16"}]
)
def test_every_kind_of_captioner_is_opened_as_it_was_saved(
    options: Any, new_captioner: Any, new_objective: Any, tmp_path: Path
) -> None:
    ready = new_captioner(**options)
    again = open_ready(tmp_path, written(ready, new_objective(ready), tmp_path))
    torch.testing.assert_close(ready.captioner.state_dict(), again.captioner.state_dict(), rtol=0, atol=0)


def test_generation_settings_lie_beside_the_model(learnt: Any, new_objective: Any, tmp_path: Path) -> None:
    new_objective(learnt).save(tmp_path)
    found = json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))
    expected = {
        "num_beams": 4,
        "no_repeat_ngram_size": 3,
        "max_new_tokens": 48,
        "eos_token_id": learnt.text.end,
    }
    assert expected == {name: found[name] for name in expected}


def test_a_folder_without_a_captioner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="name the folder of a finished run"):
        open_ready(tmp_path, tmp_path / "best.safetensors")


def test_a_spoilt_captioner_is_refused(learnt: Any, new_objective: Any, tmp_path: Path) -> None:
    weights = written(learnt, new_objective(learnt), tmp_path)
    (tmp_path / FACTS).write_text('{"options": {}}', encoding="utf-8")
    with pytest.raises(RejectedInput, match=r"captioner\.json: changed or damaged"):
        open_ready(tmp_path, weights)


def test_no_picture_of_a_step_stays_on_the_cpu(new_captioner: Any, new_objective: Any) -> None:
    objective = new_objective(new_captioner(conditioning="prefix", visual_grid=2))
    device = torch.device("meta")  # refuses, as a GPU does, numbers that were left on the CPU
    pixels = objective.varied(objective.fetch(np.arange(8)), torch.Generator(), device, Share())
    assert objective.model.to(device).see(pixels).device == device


def test_a_prefix_that_leaves_no_room_for_captions_is_refused(new_captioner: Any) -> None:
    with pytest.raises(UsageFault, match="but the decoder has 256: use fewer tokens, or train a"):
        new_captioner(conditioning="prefix", size=128)


def test_broken_pictures_are_left_out(tiny_dataset: Path, tmp_path: Path) -> None:
    found = read_examples(tiny_dataset, "valid", ["captions"])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    files = [(found.ids[0], broken), *found.named_files[1:]]
    cached = open_cache(files, tmp_path / "cache", 32, allow_broken=True)
    assert found.ids[1:] == captioned(found, cached).ids


def test_the_loop_trains_a_captioner_on_a_dataset_folder(
    tiny_dataset: Path, tmp_path: Path, new_captioner: Any, new_objective: Any
) -> None:
    examples = read_examples(tiny_dataset, "train", ["captions"])
    pictures = captioned(examples, open_cache(examples.named_files, tmp_path / "cache", 32))
    objective = new_objective(new_captioner(vocabulary=300), pictures)
    options = TrainingOptions(epochs=30, batch=12, rate=2e-3, average=0.0)
    runtime = Runtime(device=CPU, bf16=False, share=Share())
    state = train(objective, options, runtime, tmp_path / "run", 0, lambda _: None)
    assert state.best is not None
    assert state.best > 0.9


ADAPTED = {"frozen": "decoder", "conditioning": "prefix", "lora_rank": 2}


def same(first: Any, second: Any, names: Any) -> bool:
    """Tell whether two captioners have the same numbers under some names."""
    ours, theirs = first.captioner.state_dict(), second.captioner.state_dict()
    return all(ours[name].equal(theirs[name]) for name in names)


def trained_on(folders: tuple[Path, Path], run: Path, new_captioner: Any, new_objective: Any) -> Any:
    """Train the adapters of a decoder of the disk for a step; return the captioner."""
    ready = new_captioner(encoder=str(folders[0]), decoder=str(folders[1]), **ADAPTED)
    runtime = Runtime(device=CPU, bf16=False, share=Share())
    train(new_objective(ready), TrainingOptions(epochs=1, batch=8), runtime, run, 0, lambda _: None)
    return ready


def test_a_run_of_adapters_keeps_what_it_changed_and_opens_upon_its_base(
    folders: tuple[Path, Path], tmp_path: Path, new_captioner: Any, new_objective: Any
) -> None:
    ready = trained_on(folders, tmp_path / "run", new_captioner, new_objective)
    held, header = checkpoint.read(tmp_path / "run" / BEST)
    opened = open_ready(tmp_path / "run", tmp_path / "run" / BEST)

    frozen = {name for name, each in ready.captioner.named_parameters() if not each.requires_grad}
    assert frozen
    assert frozen.isdisjoint(held)
    assert {"decoder.": str(folders[1])} == {name: base["source"] for name, base in header["bases"].items()}
    assert all(each.equal(opened.captioner.state_dict()[name]) for name, each in held.items())
    assert same(opened, ready, frozen)


def test_a_run_of_adapters_is_not_opened_upon_another_base(
    folders: tuple[Path, Path], tmp_path: Path, new_captioner: Any, new_objective: Any
) -> None:
    trained_on(folders, tmp_path / "run", new_captioner, new_objective)
    new_captioner(seed=1).captioner.decoder.save_pretrained(folders[1])

    with pytest.raises(RejectedInput, match=f"changed of {folders[1]}, which is different now"):
        open_ready(tmp_path / "run", tmp_path / "run" / BEST)


def test_a_run_of_adapters_says_which_base_is_missing(
    folders: tuple[Path, Path], tmp_path: Path, new_captioner: Any, new_objective: Any
) -> None:
    trained_on(folders, tmp_path / "run", new_captioner, new_objective)
    folders[1].rename(tmp_path / "moved")

    with pytest.raises(MissingResource, match=f"changed of {folders[1]}, but that folder is missing"):
        open_ready(tmp_path / "run", tmp_path / "run" / BEST)


def test_a_frozen_base_of_random_weights_is_kept(
    tmp_path: Path, new_captioner: Any, new_objective: Any
) -> None:
    ready = new_captioner(**ADAPTED)
    runtime = Runtime(device=CPU, bf16=False, share=Share())
    train(new_objective(ready), TrainingOptions(epochs=1, batch=8), runtime, tmp_path, 0, lambda _: None)

    opened = open_ready(tmp_path, tmp_path / BEST)
    frozen = {name for name, each in ready.captioner.named_parameters() if not each.requires_grad}
    assert same(opened, ready, frozen)


def written(ready: Any, objective: Any, folder: Path) -> Path:
    """Save a captioner as the loop does."""
    objective.save(folder)
    checkpoint.write(folder / "best.safetensors", ready.captioner.state_dict(), {})
    return folder / "best.safetensors"


class Letters:
    """An encoder whose tokens are letters, each with a direction of its own."""

    def encode(self, texts: list[str]) -> Arena:
        ids = np.array([ord(letter) % 64 for text in texts for letter in text])
        offsets = np.cumsum([0, *map(len, texts)])
        tokens = Tokens(
            ids=ids,
            offsets=offsets,
            index=np.arange(len(texts)),
            specials=np.array([], np.int64),
            bare_length=0,
        )
        return Arena(tokens=tokens, vectors=np.eye(64, dtype=np.float32)[ids])
