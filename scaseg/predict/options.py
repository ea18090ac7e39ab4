"""What python -m scaseg.predict takes. Imports nothing heavy."""

from dataclasses import dataclass, field

from scaseg.data.sizes import GRID
from scaseg.errors import UserError
from scaseg.schema import Device
from scaseg.typed import REQUIRED, Checked, Yaml, number, one_of

WINDOW = 1024  # pixels


@dataclass
class PredictConfig(Checked):
    """The command's keys; protocol holds changes to the checkpoint's own."""

    ckpt: str = REQUIRED  # a checkpoint, a run's folder, a folder of scaseg.save_pretrained, or what export wrote
    input: str = REQUIRED  # a file, a folder, a pattern in quotes, a video
    output: str = REQUIRED  # a folder
    runtime: str | None = one_of(None, "torch", "onnxruntime", "openvino")  # null: that of what ckpt names
    write: str = one_of("both", "masks", "overlays", "both")
    overwrite: bool = False
    protocol: Yaml = field(default_factory=dict)
    confidence: float | None = number(None, 0, 1)  # masks to learn from: what is less likely is ignored (255)
    threshold: float | None = number(None, 0, 1)  # of a task that has one; null: the checkpoint's
    batch_size: int = number(4, 1)  # images of one size at once
    max_pixels: int = number(2**25, 1)  # seen by the model at once; larger images in windows of WINDOW
    window: int | None = number(None, GRID)  # pixels of a side: all images in windows, at their own size
    overlap: int | None = number(None, 0)  # pixels that neighbouring windows share; null: a quarter of the window
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Device = field(default_factory=Device)

    def check(self) -> None:
        window = self.window or WINDOW
        for key, pixels in (("window", self.window), ("overlap", self.overlap)):
            if pixels is not None and pixels % GRID:
                raise UserError(f"{key}={pixels}: a multiple of {GRID}, such as {max(GRID, pixels // GRID * GRID)}")
        if self.confidence is not None and self.write == "overlays":
            raise UserError(f"confidence={self.confidence} is of masks: write=masks, or both")
        if self.overlap is not None and self.overlap > window // 2:
            raise UserError(f"overlap={self.overlap}: at most half a window, {window // 2} of {window}")
