"""What python -m scaseg.benchmark takes. Imports nothing heavy."""

from dataclasses import dataclass, field
from enum import Enum

from scaseg.config import TrainConfig
from scaseg.schema import Hardware
from scaseg.typed import number


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
    runtime = "runtime"
    profile = "profile"


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
    dtype: Dtype = Dtype.float32
    compile: bool = False
    batch_size: int = number(1, 1)
    warmup: int = number(5, 0)
    rounds: int = number(30, 1)
    hardware: Hardware = field(default_factory=lambda: Hardware(accelerator="cpu"))
