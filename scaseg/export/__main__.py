"""python -m scaseg.export: a checkpoint as ONNX, for OpenVINO, torch.export or safetensors, checked against PyTorch."""

from scaseg.commands import command
from scaseg.export.options import ExportConfig


@command("export", ExportConfig)
def main(cfg: ExportConfig) -> None:
    """Parse, check, and call scaseg.export.run.export."""
    from scaseg.trained.inputs import find_inputs

    images = []
    if cfg.int8 and cfg.calibration is not None:
        images = [one.path for one in find_inputs(cfg.calibration).inputs if not one.is_video]
    step = max(1, len(images) // cfg.calibration_images)
    from scaseg.export.run import export

    export(cfg, images[::step][: cfg.calibration_images])


if __name__ == "__main__":
    main()
