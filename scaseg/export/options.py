"""What python -m scaseg.export takes. Imports nothing heavy."""

from dataclasses import dataclass, field

from scaseg.errors import UserError
from scaseg.schema import Device
from scaseg.typed import REQUIRED, Checked, number, one_of


@dataclass
class ExportConfig(Checked):
    """The command's keys."""

    ckpt: str = REQUIRED  # a checkpoint, a run's folder, or a folder of scaseg.save_pretrained
    format: str = one_of("onnx", "onnx", "openvino", "web", "torch_export", "safetensors")
    file: str | None = None  # null: export/ in the run's folder, named after the checkpoint
    output: str = one_of("logits", "logits", "labels")  # at a quarter of the size; or resized to the image's, argmax
    threshold: float | None = number(None, 0, 1)  # of a task that has one; null: the checkpoint's
    strip: str = one_of("spline", "exact", "spline")  # strip attention in linear time, or exact: the plain form
    key_ratio: int | None = number(None, 1, 16)  # keys pooled by it in the file; null: the protocol's key_ratio
    int8: bool = False  # not of torch_export, safetensors: quantised, calibrated on the images of `calibration`
    calibration: str | None = None  # a folder, a file or a pattern
    calibration_images: int = number(64, 1)  # evenly spaced among them
    int8_changed: float = number(0.01, 0, 1)  # format=openvino: share of their labels that int8 may change
    onnxruntime_web: str | None = None  # format=web: what npm packed, an archive or a folder; null: `npm pack` now
    sizes: list[list[int]] = field(default_factory=lambda: [[97, 131], [256, 320], [360, 480], [1024, 2048]])
    overwrite: bool = False
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Device = field(default_factory=lambda: Device("cpu"))

    def check(self) -> None:
        if self.int8 and (self.format in ("torch_export", "safetensors") or self.calibration is None):
            raise UserError(
                "int8=true needs format=onnx, openvino or web, and calibration=FOLDER, images like those to come"
            )
        if not self.sizes or any(len(size) != 2 or min(size) < 64 for size in self.sizes):
            raise UserError(f"sizes={self.sizes}: (height, width) pairs to check at, each side at least 64")
        if self.hardware.accelerator not in ("auto", "cpu"):
            raise UserError(f"hardware.accelerator={self.hardware.accelerator}: models are exported on the CPU")
