import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from scaseg.models.decoders.scaseg import SCASegDecoder
from scaseg.models.layers.attention import CrossAttention
from scaseg.training.strip_watch import measure, strip_attentions, strip_columns
from tests.training.tiny import QUIET, config, run

pytestmark = QUIET


def test_every_stage_is_logged(tmp_path: Path) -> None:
    result = run(config(tmp_path, "training.log_every=2", "decoder.strip=spline"))
    with (tmp_path / result["run"] / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["strip/range/stage_1"]]
    assert rows
    for row in rows:
        for stage in (1, 2, 3, 4):
            assert float(row[f"strip/range/stage_{stage}"]) > 0
            assert float(row[f"strip/error/stage_{stage}"]) < 1e-4


@pytest.mark.parametrize("options", [{"attn": "ca"}, {"attn": "sa"}, {"qk_channels": 2}])
def test_other_attentions_have_nothing_to_log(options: dict[str, object]) -> None:
    assert strip_columns(SCASegDecoder((8, 12, 20, 32), 3, **options)) == []  # type: ignore[arg-type]


def test_the_pooled_block_is_found() -> None:
    decoder = SCASegDecoder((8, 12, 20, 32), 3, query_pool=2)
    assert list(strip_attentions(decoder)) == ["stage_4", "stage_3", "stage_2", "stage_1"]


def test_range_and_error_are_those_of_the_inputs() -> None:
    torch.manual_seed(0)
    module = CrossAttention(16, 24, 2, 1, strip="spline", nodes=32).double().float()
    nn.init.normal_(module.q.weight, std=8)
    query, memory = torch.randn(1, 30, 30, 16), torch.randn(1, 9, 9, 24)
    found, error = measure(module, query, memory)
    weights = (module.q.weight.detach(), module.k.weight.detach())
    q, k = query.reshape(900, 16) @ weights[0].T, memory.reshape(81, 24) @ weights[1].T
    right = max(float((q[:, h].max() - q[:, h].min()) * (k[:, h].max() - k[:, h].min())) for h in range(2))
    assert found == pytest.approx(right, rel=1e-5)
    finer = CrossAttention(16, 24, 2, 1, strip="exact")
    finer.load_state_dict(module.state_dict())
    assert error > 10 * measure(finer, query, memory)[1]  # 32 nodes are few for such a range, and it says so
