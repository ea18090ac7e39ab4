"""python -m scaseg.export: a checkpoint as ONNX, torch.export or safetensors, checked against PyTorch."""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from scaseg.commands import command

FORMATS = ("onnx", "torch_export", "safetensors")


@dataclass
class ExportConfig:
    """What python -m scaseg.export takes."""

    ckpt: str = MISSING  # a checkpoint, a run's folder, or a folder of scaseg.save_pretrained
    format: str = "onnx"
    file: str | None = None  # null: export/ in the run's folder, named after the checkpoint
    output: str = "logits"  # logits at a quarter of the size, or labels: resized to the image's size, argmax inside
    strip: str = "spline"  # strip attention in linear time, or exact: the plain form
    int8: bool = False  # format=onnx: quantised, calibrated on the images of `calibration`
    calibration: str | None = None  # a folder, a file or a pattern
    calibration_images: int = 64  # evenly spaced among them
    sizes: list[list[int]] = field(default_factory=lambda: [[97, 131], [256, 320], [360, 480], [1024, 2048]])
    overwrite: bool = False
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    threads: int | None = None


ConfigStore.instance().store(name="export_schema", node=ExportConfig)


@command("export")
def main(cfg: DictConfig) -> None:
    """Parse, check, and call scaseg.export.run.export."""
    from scaseg.errors import UserError
    from scaseg.trained.inputs import find_inputs

    for key, allowed in (("format", FORMATS), ("output", ("logits", "labels")), ("strip", ("exact", "spline"))):
        if cfg[key] not in allowed:
            raise UserError(f"{key}={cfg[key]}: choose one of {', '.join(allowed)}")
    if cfg.int8 and (cfg.format != "onnx" or cfg.calibration is None):
        raise UserError("int8=true needs format=onnx and calibration=FOLDER, images like those to come")
    if not cfg.sizes or any(len(size) != 2 or min(size) < 64 for size in cfg.sizes):
        raise UserError(f"sizes={cfg.sizes}: (height, width) pairs to check at, each side at least 64")
    if cfg.calibration_images < 1:
        raise UserError(f"calibration_images={cfg.calibration_images} must be at least 1")
    images = [one.path for one in find_inputs(cfg.calibration)[0] if not one.is_video] if cfg.int8 else []
    import torch

    from scaseg.export.run import export

    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    step = max(1, len(images) // cfg.calibration_images)
    export(cfg, images[::step][: cfg.calibration_images], [(size[0], size[1]) for size in cfg.sizes])


if __name__ == "__main__":
    main()
