"""Where strip attention turns to its spline on a GPU: a table by the device's name, and what holds without a line."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scaseg.errors import UserError
from scaseg.models.layers import strip_attention as module
from scaseg.models.layers import strip_crossings
from scaseg.models.layers.strip_attention import strip_attention
from scaseg.models.layers.strip_crossings import TABLE, UNMEASURED, Crossing, read_crossings, write_crossing
from tests.models.strip_families import exact, inputs

GPU = torch.device("cuda", 0)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of this test's own, and a GPU of a name in it."""
    path = tmp_path / "crossings.json"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Ours")
    monkeypatch.setattr(strip_crossings, "_known", lambda: read_crossings(path))
    monkeypatch.setattr(strip_crossings._known, "cache_clear", lambda: None, raising=False)
    return path


def test_what_is_written_is_read(table: Path) -> None:
    assert strip_crossings.least_work(GPU, half=False) == UNMEASURED.float32
    assert strip_crossings.least_work(GPU, half=True) == UNMEASURED.half
    write_crossing("Ours", Crossing(1000, None, "2026-01-01, torch 2.11"), table)
    write_crossing("Another", Crossing(7, 8), table)
    write_crossing("Another", Crossing(9, 10), table)
    assert list(read_crossings(table)) == ["Another", "Ours"]
    assert read_crossings(table)["Another"] == Crossing(9, 10)
    assert strip_crossings.least_work(GPU, half=False) == 1000
    assert strip_crossings.least_work(GPU, half=True) == float("inf")


def test_the_table_that_is_shipped_is_sound() -> None:
    assert TABLE.is_file()
    for line in read_crossings().values():
        assert line.measured


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"Ours": 3}', '{"Ours": {"float32": "1", "half": 2}}', '{"Ours": {"float32": 0, "half": 1}}']
)
def test_what_is_no_table_is_one_message(text: str, table: Path) -> None:
    table.write_text(text)
    with pytest.raises(UserError, match=r"crossings\.json is not a table of strip attention's crossings .*restore it"):
        strip_crossings.least_work(GPU, half=False)
    with pytest.raises(UserError):
        write_crossing("Ours", Crossing(1, 2), table)
    assert table.read_text() == text


def worthwhile(heads: int, queries: int, keys: int, dtype: torch.dtype, device: torch.device = GPU) -> bool:
    query, key = (
        SimpleNamespace(shape=(1, heads, n), numel=lambda n=n: heads * n, device=device) for n in (queries, keys)
    )
    return module._worthwhile(query, key, SimpleNamespace(dtype=dtype), 128)


def test_auto_takes_the_line_of_its_device_and_precision(table: Path) -> None:
    write_crossing("Ours", Crossing(2**24, 2**26), table)
    for dtype, queries in ((torch.float32, 2**16), (torch.bfloat16, 2**18), (torch.float16, 2**18)):
        assert worthwhile(1, queries, 256, dtype)
        assert not worthwhile(1, queries - 1, 256, dtype)
    assert not worthwhile(2**10, 511, 256, torch.float32)  # no fewer nodes than a quarter of the queries
    assert not worthwhile(8, 2**16, 63, torch.float32)
    assert worthwhile(1, 2**12, 256, torch.float32, torch.device("cpu"))  # of which the table says nothing


def test_without_a_gpu_a_fake_one_has_what_holds_for_the_unmeasured() -> None:
    """Tracing for a GPU works where there is none."""
    if not torch.cuda.is_available():
        assert strip_crossings.least_work(GPU, half=True) == UNMEASURED.half


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo does
def test_a_graph_takes_it_for_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def known() -> dict[str, Crossing]:
        asked.append(True)
        return {"": Crossing(1, None)}  # where torch sees no GPU it has no name

    def by_the_table(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, nodes: int) -> bool:
        return query.numel() * key.shape[-1] >= strip_crossings.least_work(query.device, value.dtype is torch.bfloat16)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(strip_crossings, "_known", known)
    monkeypatch.setattr(module, "_worthwhile", by_the_table)
    q, k, v = inputs(1, 2, 30, 20, 3)
    compiled = torch.compile(strip_attention, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(q, k, v).double(), exact(q, k, v), atol=1e-5, rtol=0)
    assert asked
