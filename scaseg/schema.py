"""What configures a run, every key with its type, unit and default; values are checked where they are made."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import PurePath

from scaseg.data.augment import Augment
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from scaseg.identity import identity
from scaseg.parts import Parts
from scaseg.typed import (
    REQUIRED,
    Checked,
    Json,
    Plain,
    Yaml,
    check_range,
    number,
    one_of,
    to_plain,
)

DEVICES = ("auto", "cpu", "gpu", "cuda", "mps", "xpu")
SEMANTIC = "semantic"  # of `task`
METRICS = ("image", "worst", "boundary", "dice", "precision", "recall", "loss")


class Decay(Enum):
    """Which tensors have weight decay: see scaseg.training.optimiser."""

    published = "published"
    no_norm_or_bias = "no_norm_or_bias"


class DecayBy(Enum):
    """From which part of the encoder to the one before its learning rate falls."""

    stage = "stage"
    layer = "layer"


class Which(Enum):
    """Of a run folder's checkpoints."""

    last = "last"
    best = "best"


@dataclass
class Training(Checked):
    """The recipe; steps are optimiser steps, batch_size is the total over all devices and accumulation.

    Loss, optimizer and schedule are choices of classes beside it: see scaseg.parts.
    """

    section = "training"
    max_steps: int = number(160_000, 0)  # 0: published `weights` become a run, untrained
    max_epochs: int | None = number(None, 1)  # passes over the training split, instead of max_steps: see in_epochs
    max_time: str | None = None  # DD:HH:MM:SS of training, resumes included, after which it ends with a validation
    batch_size: int = number(16, 1)
    batch_size_per_device: int | None = None  # null: the total divided by the devices, no accumulation
    lr: float = number(6e-5, 0)
    decoder_lr_mult: float = number(10.0, 0)
    encoder_lr_decay: float = number(1.0, 0.01, 1)  # of the encoder's rate, from each of its stages to the one before
    encoder_lr_decay_by: DecayBy = DecayBy.stage  # or from each layer: see scaseg.models.encoders.rates
    weight_decay: float = number(0.01, 0)
    decay: Decay = Decay.published
    warmup_steps: int = number(1500, 0)
    warmup_ratio: float = number(1e-6, 0, 1)
    grad_clip: float | None = number(None, 1e-12)
    ema_decay: float | None = None  # of an average of the weights; null: none
    ema_warmup: bool = True  # it begins with less decay: see scaseg.training.average
    precision: str = one_of(  # Lightning's, without its short forms, of which 16 could be two
        "32-true",
        *("32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"),
        *("transformer-engine", "transformer-engine-float16"),
    )
    compile: bool = False
    deterministic: bool = False
    sync_batchnorm: bool = True
    val_every: int = number(4000, 1)
    checkpoint_every: int = number(1000, 1)
    log_every: int = number(50, 1)

    def check(self) -> None:
        if self.max_time is not None and not re.fullmatch(r"\d+:\d\d:\d\d:\d\d", self.max_time):
            raise UserError(f"training.max_time={self.max_time}: days, hours, minutes, seconds, such as 00:01:30:00")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise UserError(f"training.ema_decay={self.ema_decay}: from 0 to below 1, or null for none")

    @property
    def validated_every(self) -> int:
        """Steps between two validations; the last step ends in one."""
        return max(1, min(self.val_every, self.max_steps))

    def in_epochs(self, images: int) -> "Training":
        """The same in steps, for a training split of so many images: max_epochs passes, each rounded up to whole steps.

        val_every becomes the most passes that divide them all and are no more steps than it says, one at least.
        """
        if self.max_epochs is None or not self.max_steps:
            return self
        a_pass = -(-images // self.batch_size)
        fitting = [n for n in range(1, self.max_epochs + 1) if not self.max_epochs % n and n * a_pass <= self.val_every]
        return replace(self, max_steps=self.max_epochs * a_pass, val_every=a_pass * max(fitting, default=1))

    def accumulation(self, world_size: int) -> tuple[int, int]:
        """(Batch size a device, parts of a step) of so many devices; UserError where the total does not divide."""
        total, per_device = self.batch_size, self.batch_size_per_device
        if per_device is None:
            if total % world_size:
                raise UserError(
                    f"training.batch_size={total} is the total and does not divide among {world_size} devices"
                    f" (hardware.devices x num_nodes): make it a multiple of {world_size}"
                )
            return total // world_size, 1
        if per_device < 1 or total % (per_device * world_size):
            raise UserError(
                f"training.batch_size={total} is the total and must be a multiple of"
                f" training.batch_size_per_device={per_device} x {world_size} devices = {per_device * world_size}"
            )
        return per_device, total // (per_device * world_size)


@dataclass
class Hardware(Checked):
    """Where a run runs; not part of its identity."""

    section = "hardware"
    accelerator: str = one_of("auto", "auto", "cpu", "gpu", "cuda", "mps", "tpu")
    devices: int = number(1, 1)
    num_nodes: int = number(1, 1)
    num_workers: int | None = number(None, 0)  # loader processes a device; null: by the machine
    threads: int | None = number(None, 1)  # torch's CPU threads; null: torch's choice
    eval_batch_size: int | None = number(1, 1)  # images of one size evaluated at once; changes no figure
    recompute_encoder: bool = False  # its blocks keep their input alone: less memory, more time, the same figures
    window_batch_size: int = number(4, 1)  # windows of an image evaluated at once; changes no figure
    cache: str | None = None  # decoded files: `ram`, or a folder on disk; changes no sample

    @property
    def world_size(self) -> int:
        """Processes of a run."""
        return self.devices * self.num_nodes


@dataclass
class Device(Checked):
    """Where a command that uses a trained model runs it: the same keys as a run's."""

    section = "hardware"
    accelerator: str = "auto"  # cpu, cuda, cuda:1, gpu, mps; auto: a GPU where there is one
    threads: int | None = number(None, 1)  # torch's CPU threads; null: torch's choice

    def check(self) -> None:
        name, colon, number = self.accelerator.partition(":")
        if name not in DEVICES or (colon and not number.isdecimal()):
            raise UserError(f"hardware.accelerator={self.accelerator}: choose one of {', '.join(DEVICES)}, or cuda:1")


@dataclass
class MoreData(Checked):
    """Images and masks that training draws from besides the dataset's own: a folder as dataset=folder reads it.

    Its masks may be predicted ones (scaseg.predict confidence=); its classes.yaml names the dataset's classes.
    """

    section = "more_data"
    data_dir: str = REQUIRED
    weight: float = number(1.0, 1e-6, 1e6)  # samples of it for each one of the dataset's own
    split: str = one_of("all", "all", "train", "val", "test")
    images: str = "images"  # folders, within data_dir or absolute
    masks: str = "masks"
    image_suffix: str = ""
    mask_suffix: str = ".png"
    mask_pixels: str = one_of("upright", "upright", "stored")


def without_places(more: Sequence[Plain]) -> list[Yaml]:
    """Plain MoreData as it is told elsewhere: of paths of this machine the last name."""
    places = ("data_dir", "images", "masks")
    return [{key: PurePath(value).name if key in places else value for key, value in one.items()} for one in more]


@dataclass
class Settings(Checked):
    """All of a run that is not the choice of a class."""

    augment: Augment = field(default_factory=Augment)
    protocol: Protocol = field(default_factory=Protocol)
    training: Training = field(default_factory=Training)
    hardware: Hardware = field(default_factory=Hardware)
    seed: int = number(0, 0, 2**32 - 1)
    task: str = one_of(SEMANTIC, SEMANTIC, "binary")  # a class a pixel; or of two classes one logit: scaseg.tasks
    weights: str | None = None  # to start from, of encoder and decoder: a file, an address, a hub name or a run
    teacher: str | None = None  # a trained model to learn from besides: a run, a checkpoint or a saved folder
    weights_sha256: str | None = None  # of the file, which an address must have
    data_dir: str | None = None
    more_data: list[MoreData] = field(default_factory=list)  # drawn from too: [{data_dir: DIR, weight: 0.5}]
    output_dir: str = "runs"
    records: str | None = None  # a folder of finished runs' records: one that lies there is not run, others leave one
    ckpt_path: str | None = "auto"
    fresh: bool = False
    retry: str = one_of("none", "none", "failed")  # failed: a sweep starts its failed jobs again too
    pictures: int = number(6, 0)
    metrics: list[str] = field(default_factory=list)  # of validations, besides mIoU: see METRICS

    def check(self) -> None:
        _check_metrics(self.metrics)


@dataclass(kw_only=True)
class Run(Settings, Parts):
    """All that configures a run. fingerprints: of its data and weights, by what they are of (scaseg.runs.asked).

    class_pixels: of each class, by split, where a loss asks for them (scaseg.training.class_pixels).
    """

    fingerprints: dict[str, str] = field(default_factory=dict)
    class_pixels: dict[str, list[int]] = field(default_factory=dict)

    def check(self) -> None:
        super().check()
        terms = ",".join(self.distillation)
        if self.teacher and self.task != SEMANTIC:
            raise UserError(
                f"teacher={self.teacher}: a teacher tells the best of classes, which task={self.task} does not"
            )
        if self.teacher and not terms:
            raise UserError(
                f"teacher={self.teacher}: choose by what it teaches, distillation=[soft_labels], [channel_wise] or both"
            )
        if terms and not self.teacher:
            raise UserError(f"distillation=[{terms}]: give the trained model that teaches, teacher=RUN")

    def identity(self) -> Json:
        """What determines the result, as plain values: see scaseg.identity."""
        return identity(to_plain(self), self.fingerprints)

    @property
    def name(self) -> str:
        """Of the run's folder: dataset, backbone, decoder, seed and a hash of the identity."""
        digest = hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:8]
        names = [self.dataset.name, self.backbone.name, self.decoder.name, self.decoder.text("attn")]
        return "-".join([*(name.replace("/", "_") for name in names if name), f"s{self.seed}", digest])


def _check_metrics(names: Sequence[str]) -> None:
    if wrong := [name for name in names if name not in METRICS]:
        raise UserError(f"metrics=[{','.join(wrong)}]: choose of {', '.join(METRICS)}")


@dataclass
class EvaluateConfig(Checked):
    """What python -m scaseg.evaluate takes; protocol holds changes to the checkpoint's own."""

    ckpt: str = REQUIRED
    split: str | None = None
    submission: str | None = None  # a new folder for the predictions, as the benchmark's server takes them
    data_dir: str | None = None
    protocol: Yaml = field(default_factory=dict)
    key_ratios: list[int] = field(default_factory=list)  # evaluates at each of these protocol.key_ratio, and times them
    image_size: list[int] | None = None  # (height, width) to time them at; null: as the split's first image is seen
    threshold: float | None = number(None, 0, 1)  # of a task that has one; null: the checkpoint's
    metrics: list[str] | None = None  # besides mIoU, as training takes them; null: those of the run's validations
    pictures: int = number(6, 0)
    output: str | None = None
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Hardware = field(default_factory=lambda: Hardware(eval_batch_size=None))  # null: the run's own

    def check(self) -> None:
        _check_metrics(self.metrics or ())
        for ratio in self.key_ratios:
            check_range("key_ratios", ratio, (1, 16))
        if self.key_ratios and (len(set(self.key_ratios)) < max(2, len(self.key_ratios)) or self.submission):
            raise UserError(
                f"key_ratios={self.key_ratios}: two or more to compare, none twice and without a submission; of one"
                " alone: protocol.key_ratio"
            )
        if self.image_size and (len(self.image_size) != 2 or min(self.image_size) < 32):
            raise UserError(f"image_size={self.image_size}: (height, width) in pixels, each at least 32")


def check_trainable(run: Run) -> None:
    """Raise UserError for values that are right one by one and can't train together."""
    steps, val_every = run.training.max_steps, run.training.val_every
    if steps == 0 and not run.weights:
        raise UserError(
            "training.max_steps=0 evaluates a published model as it is: give weights=FILE, or steps to train"
        )
    if steps == 0 and run.ckpt_path not in ("auto", None):
        raise UserError(f"ckpt_path={run.ckpt_path} is to train on from, and training.max_steps=0: scaseg.evaluate")
    if run.training.max_epochs is None and val_every < steps and steps % val_every:
        raise UserError(
            f"training.val_every={val_every} must divide training.max_steps={steps}, so that the last step is evaluated"
        )
    run.training.accumulation(run.hardware.world_size)
