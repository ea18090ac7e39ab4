"""`python -m scaseg.benchmark`: what a model costs, by part, as it runs and as the paper counts it."""

import importlib
import json
import sys
from dataclasses import dataclass
from enum import Enum

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from scaseg.commands import command
from scaseg.config import check
from scaseg.schema import TrainConfig


class Format(Enum):
    """Of the output."""

    table = "table"
    json = "json"


class Suite(Enum):
    """Of measurements beside a peer: modules of scaseg.benchmark."""

    loader = "loader"
    metric = "metric"
    step = "step"
    strip = "strip"
    decoder = "decoder"
    model = "model"
    train = "train"


class Dtype(Enum):
    """Of the timed model."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


@dataclass
class BenchmarkConfig(TrainConfig):
    """Whatever can be trained can be benchmarked: the keys of a run, and the benchmark's own."""

    suite: Suite | None = None  # measure this instead of counting; rounds says how often
    image_size: list[int] | None = None  # (height, width); null: as the dataset's protocol has it
    format: Format = Format.table
    backward: bool = False  # peak memory of a training step too
    latency: bool = False  # time the forward pass; the keys below are for it alone
    device: str = "cpu"
    dtype: Dtype = Dtype.float32
    compile: bool = False
    batch_size: int = 1
    warmup: int = 5
    rounds: int = 30


ConfigStore.instance().store(name="benchmark_schema", node=BenchmarkConfig)


@command("benchmark")
def main(cfg: DictConfig) -> None:
    """Print tables, or one JSON object as the last line of standard output."""
    if cfg.suite is not None:
        check(cfg)
        from scaseg.benchmark.measurement import record
        from scaseg.benchmark.measurement import show as show_rows

        print(f"measuring suite={cfg.suite.value} in {cfg.rounds} rounds: minutes", file=sys.stderr)
        suite = importlib.import_module(f"scaseg.benchmark.{cfg.suite.value}")
        measured = record(cfg.suite.value, suite.rows(cfg))
        show_rows(measured)
        if cfg.format is Format.json:
            print(json.dumps(measured))
        return
    from scaseg.benchmark.cost import benchmark, show

    result = benchmark(cfg)
    if cfg.format is Format.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
