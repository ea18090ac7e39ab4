import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from scaseg.data.augment import Augment
from scaseg.data.datasets import (
    CounterBatches,
    EvalSamples,
    ShardedIndices,
    TrainSamples,
    collate_eval,
    collate_train,
    start_worker,
)
from scaseg.data.images import read_image
from scaseg.data.shapes import Shapes
from scaseg.data.sizes import evaluation_size
from scaseg.data.voc import VOC
from scaseg.evaluation.protocol import Protocol

AUGMENT = Augment(crop_size=[48, 64])


def samples(seed=0, length=7):
    return TrainSamples(Shapes(size=[64, 80], length=length), AUGMENT, seed)


def equal(a, b):
    return all(torch.equal(a[key], b[key]) for key in ("image", "mask"))


def test_a_sample_is_a_function_of_seed_and_counter():
    one, other = samples(), samples()
    order = [5, 0, 13, 7, 5, 12]
    drawn = {n: one[n] for n in order}
    assert all(equal(drawn[n], other[n]) for n in sorted(order))
    assert not equal(drawn[5], drawn[12]) or one.index(5) != one.index(12)
    assert not equal(samples(seed=1)[5], drawn[5])


def test_item():
    item = samples()[3]
    assert set(item) == {"image", "mask"}
    assert item["image"].shape == (48, 64, 3)
    assert item["mask"].shape == (48, 64)
    assert item["image"].dtype == item["mask"].dtype == torch.uint8


def test_every_epoch_is_a_permutation_of_its_own():
    data = samples(length=50)
    epochs = [[data.drawn(n)[1] for n in range(e * 50, e * 50 + 50)] for e in range(4)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert data.drawn(3)[1] == epochs[0][3]  # back again
    assert [samples(seed=1, length=50).drawn(n)[1] for n in range(50)] != epochs[0]


def test_same_image_twice_is_augmented_anew():
    data = samples(length=1)
    assert not equal(data[0], data[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside threads, Python 3.12
def test_workers_give_what_the_process_itself_does():
    data = samples()
    pickle.loads(pickle.dumps(data))[3]
    loaders = [
        DataLoader(
            data,
            batch_sampler=CounterBatches(0, 12, 4),
            collate_fn=collate_train,
            num_workers=workers,
            worker_init_fn=start_worker if workers else None,
        )
        for workers in (0, 2)
    ]
    for a, b in zip(*loaders, strict=True):
        assert equal(a, b)


def test_a_resumed_stream_is_the_tail_of_the_uninterrupted_one():
    data = samples()

    def stream(start):
        loader = DataLoader(data, batch_sampler=CounterBatches(start, 20, 4), collate_fn=collate_train)
        return list(loader)

    whole = stream(0)
    for k in (1, 3, 4):
        assert all(equal(a, b) for a, b in zip(stream(4 * k), whole[k:], strict=True))
    assert stream(20) == []


def test_train_batches_are_channels_last():
    batch = collate_train([samples()[n] for n in range(3)])
    assert batch["image"].shape == (3, 3, 48, 64)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert batch["mask"].shape == (3, 48, 64)
    assert torch.equal(batch["image"][1], samples()[1]["image"].permute(2, 0, 1))


def test_evaluation_batches():
    data = EvalSamples(Shapes(size=[64, 80], length=4), Protocol(box=[160, 96], size_divisor=32))
    items = [data[i] for i in range(3)]
    batch = collate_eval(items)
    assert len(data) == 4
    assert batch["name"] == ["train_00000", "train_00001", "train_00002"]
    assert batch["image"].shape == (3, 3, 96, 128)  # 96x120, rounded up
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert batch["mask"].shape == (3, 64, 80)
    other = EvalSamples(Shapes(size=[80, 64], length=4), Protocol())[0]
    mixed = collate_eval([*items[:1], other])
    assert [tuple(image.shape) for image in mixed["image"]] == [(3, 96, 128), (3, 80, 64)]
    assert [tuple(mask.shape) for mask in mixed["mask"]] == [(64, 80), (80, 64)]


def test_without_a_box_the_image_is_as_stored():
    source = Shapes(size=[64, 80], length=4)
    item = EvalSamples(source, Protocol())[2]
    assert (item["image"].numpy() == source.read(2)[0]).all()
    assert (item["mask"].numpy() == source.read(2)[1]).all()


@pytest.mark.parametrize(
    ("size", "divisor", "expected"),
    [
        ((375, 500), 1, (512, 683)),
        ((375, 500), 32, (512, 704)),
        ((500, 375), 1, (683, 512)),
        ((100, 1000), 1, (205, 2048)),
        ((512, 2048), 32, (512, 2048)),
        ((256, 256), 32, (512, 512)),
    ],
)
def test_evaluation_sizes(size, divisor, expected):
    assert evaluation_size(size, (2048, 512), divisor) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 6), st.integers(0, 6))
def test_ranks_together_see_what_one_rank_would(batch_size, world_size, first, more):
    step = batch_size * world_size
    start, total = first * step, (first + more) * step
    ranks = [CounterBatches(start, total, batch_size, rank, world_size) for rank in range(world_size)]
    alone = CounterBatches(start, total, step)
    for batches in zip(alone, *ranks, strict=True):
        whole, *parts = batches
        assert [n for part in parts for n in part] == whole
    assert {len(rank) for rank in ranks} == {total // step}  # of the whole run, wherever it starts
    assert [n for batch in alone for n in batch] == list(range(start, total))


def test_a_start_between_steps_is_refused():
    with pytest.raises(ValueError, match="multiples of the step's 8"):
        CounterBatches(4, 16, 4, 0, 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(1, 8))
def test_shards_cover_everything_once(length, world_size):
    shards = [ShardedIndices(length, rank, world_size) for rank in range(world_size)]
    assert sorted(i for shard in shards for i in shard) == list(range(length))
    assert sum(map(len, shards)) == length


def test_real_images_through_both(shared):
    root = shared / "data/VOCdevkit/VOC2012"
    recipe = replace(AUGMENT, resize_box=[2048, 512], crop_size=[512, 512])
    data = TrainSamples(VOC(root, "train"), recipe, seed=0)
    seen = set()
    for n in range(12):
        sample = data[n]
        assert sample["image"].shape == (512, 512, 3)
        seen |= set(np.unique(sample["mask"].numpy()).tolist())
    assert seen <= {*range(21), 255}
    assert len(seen) > 4
    item = EvalSamples(VOC(root, "val"), Protocol(box=[2048, 512]))[0]
    assert min(item["image"].shape[:2]) == 512
    assert item["name"] == "2007_000033" or item["name"].startswith("20")


def test_large_images_are_decoded_at_a_fraction_of_their_size(shared):
    """And then hold what the mean over blocks of the whole image would."""
    source = VOC(shared / "data/VOCdevkit/VOC2012", "train")
    recipe = replace(AUGMENT, resize_box=[160, 120], scale=[0.7, 1.0], crop_size=[96, 96])
    data = TrainSamples(source, recipe, seed=0)
    shapes, read = [], source.read

    def spy(i, ratio):
        image, mask = read(i, ratio)
        shapes.append(max(mask.shape) / max(image.shape))
        return image, mask

    source.read = spy
    assert all(data[n]["image"].shape == (96, 96, 3) for n in range(20))
    assert {round(shape) for shape in shapes} == {2, 4}
    for i in range(3):
        whole, reduced = read_image(source.pairs[i].image), read_image(source.pairs[i].image, 4)
        height, width = (side // 4 for side in whole.shape[:2])
        blocks = whole[: height * 4, : width * 4].reshape(height, 4, width, 4, 3).mean((1, 3))
        assert np.abs(reduced[:height, :width] - blocks).mean() < 3
