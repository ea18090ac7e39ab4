"""Keys pooled outside training: against plain loops and plain attention, and nothing where it is not asked for."""

from math import ceil

import numpy as np
import pytest
import torch
from torch import Tensor

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.models.encoders.mit import Attention
from scaseg.models.layers.pooled_keys import pool_keys, pooled_keys
from scaseg.models.segmentor import Segmentor

TINY = ["backbone.channels=[8,16,40,32]", "backbone.depths=[1,1,1,1]", "decoder.embed_channels=16"]


def segmentor(*overrides: str) -> Segmentor:
    torch.manual_seed(0)
    run = run_config(compose("train", [*TINY, *overrides]))
    return build_segmentor(run.backbone, run.decoder, 5).eval()


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 3)])
@pytest.mark.parametrize("ratio", [1, 2, 3, 16])
def test_a_cell_is_the_mean_of_what_lies_in_it(size: tuple[int, int], ratio: int) -> None:
    keys = torch.randn(2, *size, 3, dtype=torch.float64)
    found, plain = pooled_keys(keys, ratio, False).numpy(), keys.numpy()
    height, width = (ceil(side / ratio) for side in size)
    assert found.shape == (2, height, width, 3)
    for i in range(height):
        for j in range(width):
            cell = plain[:, ratio * i : ratio * (i + 1), ratio * j : ratio * (j + 1)]
            np.testing.assert_allclose(found[:, i, j], cell.mean((1, 2)), rtol=1e-12)
    assert pooled_keys(keys, ratio, True) is keys


def test_attention_of_mit_is_that_over_pooled_keys_and_values() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 2, 1, 1e-6).double().eval()
    x = torch.randn(1, 5, 6, 8, dtype=torch.float64)
    query, kv = attention.q(x), attention.kv(x)
    key, value = (pooled_keys(one, 2, False).reshape(-1, 2, 4) for one in kv.split(8, -1))
    scores = torch.einsum("nhd,mhd->hnm", query.reshape(-1, 2, 4), key) / 2
    expected = attention.proj(torch.einsum("hnm,mhd->nhd", scores.softmax(-1), value).reshape(x.shape))
    pool_keys(attention, 2)
    torch.testing.assert_close(attention(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "overrides",
    [
        ["backbone=mit_b0", "decoder=scaseg"],
        ["backbone=mit_b0", "decoder=scaseg", "dataset.query_pool=2", "decoder.attn=ca"],
        ["backbone=mscan_t", "decoder=scaseg", "decoder.attn=ca"],
        ["backbone=lvt", "decoder=segformer"],
        ["backbone=edaformer_t", "decoder=edaformer"],
    ],
)
def test_weights_and_training_know_nothing_of_it_and_one_is_what_was(overrides: list[str]) -> None:
    model, images = segmentor(*overrides), torch.rand(1, 3, 96, 160) * 255
    parameters = list(model.state_dict())

    def outputs(ratio: int) -> tuple[Tensor, Tensor]:
        pool_keys(model, ratio)
        with torch.no_grad():
            evaluated = model.eval()(images)
            torch.manual_seed(0)
            return evaluated, model.train()(images)

    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    whole = outputs(1)
    model.load_state_dict(before)  # BatchNorms' statistics
    fewer = outputs(2)
    model.load_state_dict(before)
    again = outputs(1)
    assert torch.equal(whole[0], again[0]) and torch.equal(whole[1], fewer[1])
    assert fewer[0].shape == whole[0].shape and not torch.equal(whole[0], fewer[0])
    assert list(model.state_dict()) == parameters


def test_a_model_without_such_keys_says_so() -> None:
    for decoder in ("segformer", "scaseg"):  # of which the second's strip attention takes linear time
        model = segmentor("backbone=mscan_t", f"decoder={decoder}")
        pool_keys(model, 1)
        with pytest.raises(UserError, match=r"protocol\.key_ratio=2: nothing in this model takes less time"):
            pool_keys(model, 2)
