"""Augmentation and the order of batches: what is random, what is not, and what two processes see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.data.augment import AugmentOptions, augment, centre
from baselines.data.order import batch_indices, epoch_order, shard, steps_in_epoch
from rocov2_eval.errors import UsageFault

PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
RECORDED_ORDER = [0, 8, 9, 3, 7, 5, 1, 2, 6, 4]  # of ten images, seed 0, epoch 0
STILL = AugmentOptions(crop=1, rotation=0, brightness=0, contrast=0)


def test_a_batch_is_normalised_by_channel() -> None:
    batch = torch.full((2, 8, 8, 3), 51, dtype=torch.uint8)
    normal = centre(batch, 8, (0.1, 0.2, 0.4), (0.1, 0.5, 0.2))
    torch.testing.assert_close(torch.tensor([1.0, 0.0, -1.0]), normal[0, :, 4, 4])


def test_a_batch_lies_channels_last() -> None:
    made = augment(_pictures(), 16, AugmentOptions(), _generator(), *PLAIN)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert centre(_pictures(), 16, *PLAIN).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [8, 24, 32, 40])
def test_any_size_can_be_asked_for(size: int) -> None:
    assert augment(_pictures(), size, AugmentOptions(), _generator(), *PLAIN).shape == (4, 3, size, size)
    assert centre(_pictures(), size, *PLAIN).shape == (4, 3, size, size)


def test_without_any_variation_the_picture_is_what_it_was() -> None:
    made = augment(_pictures(), 32, STILL, _generator(), *PLAIN)
    torch.testing.assert_close(centre(_pictures(), 32, *PLAIN), made)


def test_equal_generators_give_equal_batches() -> None:
    first = augment(_pictures(), 24, AugmentOptions(), _generator(), *PLAIN)
    assert torch.equal(first, augment(_pictures(), 24, AugmentOptions(), _generator(), *PLAIN))


def test_pictures_of_a_batch_vary_each_on_its_own() -> None:
    same = _pictures()[:1].expand(4, -1, -1, -1)
    made = augment(same, 24, AugmentOptions(), _generator(), *PLAIN)
    assert len({picture.numpy().tobytes() for picture in made}) == 4


def test_processes_that_share_a_batch_see_together_what_one_sees() -> None:
    whole = augment(_pictures(), 24, AugmentOptions(), _generator(), *PLAIN)
    parts = [
        augment(_pictures()[rank::2], 24, AugmentOptions(), _generator(), *PLAIN, rank=rank, world=2)
        for rank in (0, 1)
    ]
    torch.testing.assert_close(whole, torch.stack(parts, 1).flatten(0, 1))


def test_nothing_is_mirrored_unless_asked() -> None:
    half = torch.zeros((64, 32, 32, 3), dtype=torch.uint8)
    half[:, :, 16:] = 200
    made = augment(half, 32, AugmentOptions(), _generator(), *PLAIN)
    assert (made[:, 0, 8:24, 28].mean(1) > made[:, 0, 8:24, 3].mean(1)).all()


def test_a_flip_that_is_sure_mirrors_the_picture() -> None:
    options = AugmentOptions(crop=1, rotation=0, brightness=0, contrast=0, flip_horizontal=1, flip_vertical=1)
    made = augment(_pictures(), 32, options, _generator(), *PLAIN)
    torch.testing.assert_close(centre(_pictures(), 32, *PLAIN).flip(2, 3), made)


def test_a_crop_keeps_at_least_its_share_of_the_area() -> None:
    lines = torch.arange(64, dtype=torch.uint8).mul(4).expand(200, 64, 64)[..., None].expand(-1, -1, -1, 3)
    options = AugmentOptions(crop=0.25, rotation=0, brightness=0, contrast=0)
    made = augment(lines, 64, options, _generator(), *PLAIN)[:, 0, 32]
    seen = (made.amax(1) - made.amin(1)) * 255 / 4 / 63  # share of the width
    assert 0.48 < float(seen.min()) < 0.55
    assert 0.95 < float(seen.max()) < 1.01


def test_light_varies_within_its_bounds() -> None:
    grey = torch.full((200, 8, 8, 3), 100, dtype=torch.uint8)
    options = AugmentOptions(crop=1, rotation=0, brightness=0.2, contrast=0)
    levels = augment(grey, 8, options, _generator(), *PLAIN)[:, 0, 4, 4] * 2.55
    assert 0.8 <= float(levels.min()) < 0.83
    assert 1.17 < float(levels.max()) <= 1.2


def test_a_large_picture_is_averaged_and_not_sampled_at_points() -> None:
    stripes = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    made = augment(stripes, 8, STILL, _generator(), *PLAIN)
    torch.testing.assert_close(torch.full_like(made, 0.5), made, atol=0.01, rtol=0)


def test_an_epoch_has_each_image_once() -> None:
    assert sorted(epoch_order(1000, 3, 5)) == list(range(1000))


def test_the_order_is_that_of_every_version() -> None:
    assert epoch_order(10, 0, 0).tolist() == RECORDED_ORDER


def test_epochs_and_seeds_differ_in_order() -> None:
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_batches_of_an_epoch_are_its_order_without_the_rest() -> None:
    batches = [batch_indices(10, 4, 7, step) for step in (2, 3)]  # the second epoch
    assert np.concatenate(batches).tolist() == epoch_order(10, 7, 1)[:8].tolist()


def test_fewer_images_than_a_batch_make_one_batch() -> None:
    assert steps_in_epoch(3, 8) == 1
    assert sorted(batch_indices(3, 8, 0, 5)) == [0, 1, 2]


def test_shards_hold_together_the_whole_batch() -> None:
    batch = batch_indices(100, 12, 0, 0)
    parts = [shard(batch, rank, 3) for rank in range(3)]
    assert np.stack(parts, 1).ravel().tolist() == batch.tolist()


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(UsageFault, match="a batch of 10 images cannot be split equally among 4 processes"):
        shard(np.arange(10), 0, 4)


def _pictures() -> torch.Tensor:
    generator = np.random.default_rng(0)
    return torch.from_numpy(generator.integers(0, 256, (4, 32, 32, 3), np.uint8))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)
