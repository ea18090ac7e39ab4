"""What the commands take, every key with its type and default; Hydra checks values against it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from scaseg.evaluation.protocol import Protocol


class Decay(Enum):
    """Which tensors have weight decay: see scaseg.training.optimiser."""

    published = "published"
    no_norm_or_bias = "no_norm_or_bias"


class Average(Enum):
    """Pixels that cross-entropy is the mean of: the labelled ones, or as in mmsegmentation all, ignored ones as 0."""

    labelled = "labelled"
    all = "all"


class Which(Enum):
    """Of a run folder's checkpoints."""

    last = "last"
    best = "best"


@dataclass
class Augment:
    """Training augmentation; sizes are (height, width), boxes (long side, short side), all in pixels."""

    resize_box: list[int] | None = None  # null: the image's own size
    scale: list[float] = field(default_factory=lambda: [0.5, 2.0])
    crop_size: list[int] = field(default_factory=lambda: [512, 512])
    cat_max_ratio: float = 0.75
    flip: float = 0.5
    photometric: bool = True
    hue: float = 18.0  # degrees to either side; mmsegmentation's 18 are of 180 a turn: 36 here


@dataclass
class Loss:
    """Terms of the loss: see scaseg.losses.segmentation."""

    ohem: bool = False  # cross-entropy over the hard pixels alone
    ohem_threshold: float = 0.7
    ohem_min_kept: int = 100_000  # pixels an image
    dice: float = 0.0  # weight of a Dice term
    class_weights: list[float] | None = None  # one a class, at least 0
    average: Average = Average.labelled


@dataclass
class Training:
    """The recipe; steps are optimiser steps, batch_size is the total over all devices and accumulation."""

    max_steps: int = 160_000  # 0: published weights (decoder.weights) are evaluated and become a run, untrained
    batch_size: int = 16
    batch_size_per_device: int | None = None  # null: the total divided by the devices, no accumulation
    lr: float = 6e-5
    decoder_lr_mult: float = 10.0
    weight_decay: float = 0.01
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    decay: Decay = Decay.published
    warmup_steps: int = 1500
    warmup_ratio: float = 1e-6
    poly_power: float = 1.0
    grad_clip: float | None = None
    ema_decay: float | None = None  # of an average of the weights; null: none
    ema_warmup: bool = True  # it begins with less decay: see scaseg.training.average
    precision: str = "32-true"
    compile: bool = False
    deterministic: bool = False
    sync_batchnorm: bool = True
    loss: Loss = field(default_factory=Loss)
    val_every: int = 4000
    checkpoint_every: int = 1000
    log_every: int = 50


@dataclass
class Hardware:
    """Where a run runs; not part of its identity."""

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    num_workers: int | None = None  # loader processes a device; null: by the machine
    threads: int | None = None  # torch's CPU threads; null: torch's choice
    eval_batch_size: int | None = 1  # images of one size evaluated at once; changes no figure
    window_batch_size: int = 4  # windows of an image evaluated at once; changes no figure
    cache: str | None = None  # decoded files: `ram`, or a folder on disk; changes no sample


@dataclass
class Logger:
    """Where metrics go besides metrics.csv: `csv` is nowhere else, `wandb` Weights & Biases."""

    name: str = "csv"
    project: str = "scaseg"
    entity: str | None = None
    mode: str = "auto"  # auto: online with an account, else offline; never a prompt
    group: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass
class DataConfig:
    """A dataset's YAML and where its files are: what commands about data alone take."""

    dataset: dict[str, Any] = MISSING
    augment: Augment = field(default_factory=Augment)
    protocol: Protocol = field(default_factory=Protocol)
    training: Training = field(default_factory=Training)
    hardware: Hardware = field(default_factory=Hardware)
    data_dir: str | None = None


@dataclass
class TrainConfig:
    """What python -m scaseg.train takes."""

    backbone: dict[str, Any] = MISSING
    decoder: dict[str, Any] = MISSING
    lpm: str = MISSING
    dataset: dict[str, Any] = MISSING
    augment: Augment = field(default_factory=Augment)
    protocol: Protocol = field(default_factory=Protocol)
    training: Training = field(default_factory=Training)
    hardware: Hardware = field(default_factory=Hardware)
    logger: Logger = field(default_factory=Logger)
    seed: int = 0
    data_dir: str | None = None
    output_dir: str = "runs"
    ckpt_path: str | None = "auto"
    fresh: bool = False
    retry: str = "none"  # failed: a sweep starts its failed jobs again too
    pictures: int = 6


@dataclass
class EvaluateConfig:
    """What python -m scaseg.evaluate takes; protocol holds changes to the checkpoint's own."""

    ckpt: str = MISSING
    split: str | None = None
    export: str | None = None  # a new folder for the predictions, as the benchmark wants them
    data_dir: str | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    pictures: int = 6
    output: str | None = None
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Hardware = field(default_factory=lambda: Hardware(eval_batch_size=None))  # null: the run's own
