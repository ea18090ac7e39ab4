"""A cache changes no sample, survives what can go wrong, and leaves nothing in memory behind."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from scaseg.data import cache as module
from scaseg.data.cache import Cache
from scaseg.data.camvid import CamVid
from scaseg.data.datasets import CounterBatches, TrainSamples, collate_train
from scaseg.data.masks import read_mask
from scaseg.errors import UserError
from tests.conftest import ROOT
from tests.data.test_datasets import AUGMENT, equal
from tests.data.test_folder import camvid

RECIPE = replace(AUGMENT, resize_box=[16, 12], scale=[0.2, 1.0])  # so small that JPEGs come decoded at 1/2 and 1/4


@pytest.mark.parametrize("where", ["ram", "disk"])
def test_samples_are_the_same_with_a_cache(tmp_path, where, monkeypatch):
    monkeypatch.setattr(module, "SHARED_MEMORY", tmp_path)
    root = camvid(tmp_path / "data", names="abcd", suffix="jpg")
    plain, kept = (TrainSamples(CamVid(root), RECIPE, 0) for _ in range(2))
    kept.source.cache = Cache("ram" if where == "ram" else str(tmp_path / "kept"))
    for n in (*range(12), *range(12)):
        assert equal(plain[n], kept[n])
    entries = list(kept.source.cache.folder.rglob("*.npy"))
    assert len(entries) > 8  # four masks, and images at several fractions
    entries[0].write_bytes(b"cut")
    assert all(equal(plain[n], kept[n]) for n in range(12))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside threads, Python 3.12
def test_loader_processes_share_it(tmp_path):
    data = TrainSamples(CamVid(camvid(tmp_path / "data", suffix="jpg")), AUGMENT, 0)
    data.source.cache = Cache(str(tmp_path / "kept"))
    loader = DataLoader(data, batch_sampler=CounterBatches(0, 8, 4), collate_fn=collate_train, num_workers=1)
    batches = list(loader)
    assert len(list((tmp_path / "kept").rglob("*.npy"))) == 4
    assert not list((tmp_path / "kept").rglob("*.part"))
    assert all(equal(data[n], data[n]) for n in range(4))
    data.source.cache = None
    assert torch.equal(batches[1]["image"], collate_train([data[n] for n in range(4, 8)])["image"])


def test_a_changed_file_is_read_anew(tmp_path):
    root = camvid(tmp_path / "data")
    mask = str(root / "trainannot/a.png")
    cache = Cache(str(tmp_path / "kept"))
    first = cache.get(mask, read_mask)
    other = Path(root / "trainannot/b.png").read_bytes()
    Path(mask).write_bytes(other)
    os.utime(mask, ns=(1, 1))
    assert not np.array_equal(cache.get(mask, read_mask), first)


def test_without_room_it_reads_on(tmp_path, caplog):
    root = camvid(tmp_path / "data")
    cache = Cache(str(tmp_path / "kept"))
    cache.folder.rmdir()
    cache.folder.write_text("no folder any more")
    for _ in range(3):
        assert cache.get(str(root / "trainannot/a.png"), read_mask).shape == (24, 32)
    assert [record.message for record in caplog.records if "decoded each time" in record.message] != []
    assert len(caplog.records) == 1
    with pytest.raises(UserError, match=r"hardware\.cache="):
        Cache(str(tmp_path / "kept/below"))


def test_memory_is_given_back(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from scaseg.data import cache\n"
        "cache.SHARED_MEMORY = Path(sys.argv[1])\n"
        "one = cache.Cache('ram')\n"
        "assert one.folder.is_dir()\n"
        "os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] == 'kill' else None\n"
    )
    for how in ("kill", "end"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path), how], cwd=ROOT, check=False)
        assert len(list(tmp_path.iterdir())) == (1 if how == "kill" else 0)  # the killed one's goes with the next


def test_a_machine_without_shared_memory_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARED_MEMORY", tmp_path / "none")
    with pytest.raises(UserError, match=r"hardware\.cache=ram needs"):
        Cache("ram")
