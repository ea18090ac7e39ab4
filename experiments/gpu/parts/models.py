"""(3) Forward pass and training step of SCASeg beside public models on encoders of the same size."""

from collections.abc import Callable
from dataclasses import dataclass

import scaseg.torchvision_fix

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scaseg
from experiments.gpu.goals import STEP
from experiments.gpu.section import Section, Setting, SkippedError
from scaseg.benchmark.model import PEERS
from scaseg.benchmark.peers import mmseg_model
from scaseg.benchmark.train import autocast, logits_loss, our_loss, segformer_b0, segformer_loss, training_step
from scaseg.complexity.latency import interleaved, latency
from scaseg.errors import UserError

OURS, SEGFORMER, OURS_MSCAN, SEGNEXT = MODELS = (
    "SCASeg mit_b0",
    "transformers' SegFormer-B0",
    "SCASeg mscan_t",
    "mmsegmentation's SegNeXt-T",
)
PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}
FORWARD, TRAIN = "forward", "training step"
EAGER, COMPILED, CHANNELS_LAST = "eager", "compiled", "eager, channels last"
SECONDS = {EAGER: 15.0, CHANNELS_LAST: 15.0, COMPILED: 90.0}  # with less left a measurement is not begun


@dataclass(frozen=True)
class Work:
    """The images of every measurement. rehearse: small ones, and a compiler that only traces."""

    device: torch.device
    rehearse: bool

    @property
    def classes(self) -> int:
        return 5 if self.rehearse else 150

    def images(self) -> Tensor:
        """(B, 3, H, W) on 0..1."""
        batch, size = (2, 64) if self.rehearse else (8, 512)
        return torch.rand(batch, 3, size, size).to(self.device)

    def target(self, images: Tensor) -> Tensor:
        return torch.randint(0, self.classes, (len(images), *images.shape[2:])).to(self.device)


def run(setting: Setting, section: Section) -> None:
    work = Work(torch.device("cpu" if setting.rehearse else "cuda"), setting.rehearse)
    images = work.images()
    section.note(
        f"Batches of {len(images)} x {images.shape[2]} x {images.shape[3]}, {work.classes} classes, random weights;"
        " forward to logits of the images' size, in eval mode; a step is forward, loss, backward, AdamW."
        " Precision is autocast's; fp16 scales its loss. Memory is torch's peak of allocations."
    )
    with section.attempt(STEP):
        beside(section, work)
    for name, what, precision, how in cells(setting):
        label = f"{name}, {what}, {precision}, {how}"
        with section.attempt(label):
            if setting.left < SECONDS[how] and not setting.rehearse:
                raise SkippedError(f"{setting.left:.0f} s were left")
            measure(section, label, name, what, precision, how, work)


def beside(section: Section, work: Work) -> None:
    """The step that must be reached, in turns."""
    ours, theirs = (call(name, TRAIN, "bf16", EAGER, work) for name in (OURS, SEGFORMER))
    section.add(STEP, "x", interleaved(ours, theirs, work.device, 2, 1 if work.rehearse else 9).ratio, "at most 0.8")


def cells(setting: Setting) -> list[tuple[str, str, str, str]]:
    """Model, work, precision and form, in order of worth: those in bf16 first, compiled ones last."""
    eager = [(name, what, precision, EAGER) for precision in PRECISIONS for what in (TRAIN, FORWARD) for name in MODELS]
    last = [(name, what, "bf16", CHANNELS_LAST) for what in (TRAIN, FORWARD) for name in (OURS, OURS_MSCAN)]
    if setting.rehearse:
        few = [cell for cell in eager if cell[2] == "bf16" or cell[:2] == (OURS, TRAIN)]
        return [*few, last[0], (OURS, FORWARD, "bf16", COMPILED)]
    return [*eager, *last, *((*cell[:3], COMPILED) for cell in eager)]


def measure(section: Section, label: str, name: str, what: str, precision: str, how: str, work: Work) -> None:
    torch.compiler.reset()
    on_gpu = work.device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    timed = call(name, what, precision, how, work)
    spread = latency(timed, work.device, *(1, 1) if work.rehearse else (5, 20))
    images = len(work.images())
    section.add(f"{label}: median", "images/s", images / spread.median)
    if on_gpu:
        section.add(f"{label}: peak memory", "MiB", torch.cuda.max_memory_allocated() / 2**20)


def call(name: str, what: str, precision: str, how: str, work: Work) -> Callable[[], object]:
    """A forward pass or a step of a new model."""
    torch.manual_seed(0)
    model = built(name, work.classes).to(work.device).train(what == TRAIN)
    images, dtype = work.images(), PRECISIONS[precision]
    if how == CHANNELS_LAST:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    if how == COMPILED:
        model.compile(backend="eager" if work.rehearse else "inductor")  # type: ignore[no-untyped-call]
    if what == TRAIN:
        loss = {SEGFORMER: segformer_loss, SEGNEXT: logits_loss}.get(name, our_loss)
        return training_step(model, loss(model, images, work.target(images)), work.device, dtype)
    scale = 1 if name in (SEGFORMER, SEGNEXT) else 255

    @torch.inference_mode()
    def forward() -> Tensor:
        with autocast(work.device, dtype):
            out = model(images * scale)
            logits: Tensor = getattr(out, "logits", out)
            return F.interpolate(logits, size=images.shape[2:], mode="bilinear")

    return forward


def built(name: str, classes: int) -> nn.Module:
    """SkippedError where the peer is not installed."""
    if name in (OURS, OURS_MSCAN):
        return scaseg.create_model("scaseg", name.removeprefix("SCASeg "), num_classes=classes)
    if name == SEGNEXT:
        model = mmseg_model(PEERS["mscan_t"], classes)
        if model is None:
            raise SkippedError("mmsegmentation is not installed")
        return model
    try:
        return segformer_b0(classes)
    except UserError:
        raise SkippedError("transformers is not installed") from None
