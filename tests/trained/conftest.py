"""A checkpoint as scaseg.train writes it, of a small model whose masks have several classes."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scaseg
import scaseg.export.run
from scaseg.config import compose, run_config
from scaseg.data.build import dataset_class
from scaseg.export.options import ExportConfig
from scaseg.export.run import export
from scaseg.models.build import build_segmentor
from scaseg.runs.checkpoint import write_into
from scaseg.trained.model import TrainedModel

TINY = [
    "backbone=mscan_t",
    "backbone.channels=[8,16,24,32]",
    "backbone.depths=[1,1,1,1]",
    "decoder.embed_channels=16",
    "dataset=shapes",
]


def write_checkpoint(path: Path, overrides: list[str] | None = None, plain: list[str] | None = None) -> Path:
    """overrides: of the small model; plain: those of another model altogether."""
    config = run_config(compose("train", plain or [*TINY, *(overrides or [])]))
    torch.manual_seed(0)
    labels = dataset_class(config.dataset).labels
    segmentor = build_segmentor(config.backbone, config.decoder, labels.num_classes, config.dataset.form)
    with torch.no_grad():  # fresh classifiers answer one class everywhere
        for norm in (m for m in segmentor.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
        segmentor.decoder.classifier.weight.normal_(0, 0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"model.{name}": tensor for name, tensor in segmentor.state_dict().items()}
    content: dict[str, Any] = {"state_dict": state, "global_step": 7}
    write_into(content, config, labels, [])
    torch.save(content, path)
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("run") / "checkpoints" / "last.ckpt")


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run have: following a model takes most of an export's time."""
    pytest.importorskip("onnxruntime")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "graph"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "model.onnx").exists():
            options = ["decoder.clb_stages=[4]", "decoder.query_pool=2"]  # one block, Cityscapes' kind
            checkpoint = write_checkpoint(folder / "graph.ckpt", options)
            asked = {"output": "labels", "strip": "exact", "sizes": [[97, 131], [64, 160]]}
            export(ExportConfig(str(checkpoint), "onnx", str(folder / "model.onnx"), **asked), [])
    return folder


@pytest.fixture(scope="session")
def graph_checkpoint(graph: Path) -> Path:
    return graph / "graph.ckpt"


@pytest.fixture(scope="session")
def labels_file(graph: Path) -> Path:
    """Its ONNX file, which gives labels."""
    return graph / "model.onnx"


def exported_again(
    graph: Path, checkpoint: Path, form: str, target: Path, pictures: Sequence[Path] = (), **changes: Any
) -> Path:
    """The graph of an ONNX file that gives labels, exported in another form: following the model is left out."""
    options = {"output": "labels", "strip": "exact", "sizes": [[97, 131]], **changes}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaseg.export.run, "capture", lambda *_: None)
        patch.setattr(scaseg.export.run, "write_onnx", lambda _, path, *__: shutil.copy(graph, path))
        return export(ExportConfig(str(checkpoint), form, str(target), **options), pictures)


@pytest.fixture(scope="module")
def small(checkpoint: Path) -> Iterator[TrainedModel]:
    """The model on one thread: so small a one waits for others most of its time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield scaseg.load(checkpoint)
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def photo() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(
        np.repeat(np.repeat(coarse, 12, 0), 12, 1) // 2 + rng.integers(0, 128, (72, 96, 3), dtype=np.uint8)
    )
