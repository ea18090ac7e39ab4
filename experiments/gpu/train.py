"""Trainings within a part's process, as `python -m scaseg.train` does them."""

from collections.abc import Sequence
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback

from experiments.gpu.section import Setting, SkippedError
from scaseg.config import compose, run_config
from scaseg.runs.asked import asked
from scaseg.runs.result import Result
from scaseg.training.run import train

# of a rehearsal: seconds on one core, all machinery on
SMALL = (
    *("augment.crop_size=[64,64]", "training.max_steps=4", "training.val_every=4", "training.batch_size=4"),
    *("training.warmup_steps=1", "training.checkpoint_every=2", "training.log_every=1", "hardware.num_workers=0"),
    *("hardware.threads=1", "hardware.eval_batch_size=4", "pictures=0"),
)
SMALL_SHAPES = ("dataset.size=[64,64]", "dataset.length=8")
SMALL_MIT = ("backbone.channels=[8,16,40,32]", "backbone.depths=[1,1,1,1]", "decoder.embed_channels=16")
WEIGHTS = "efficientnet-lite0-*.pth"


def accelerator(setting: Setting) -> str:
    return f"hardware.accelerator={'cpu' if setting.rehearse else 'cuda'}"


def trained(
    setting: Setting, folder: str, overrides: Sequence[str], callbacks: Sequence[Callback] = ()
) -> tuple[Path, Result]:
    """The run's folder and result; one that was cut off goes on, one that is done is read."""
    output = f"output_dir={setting.work / 'runs' / folder}"
    run = asked(run_config(compose("train", [*overrides, output, accelerator(setting)])))
    return run.folder, train(run, callbacks)


def camvid(setting: Setting) -> list[str]:
    """Where CamVid and the encoder's weights lie; a rehearsal has a CamVid of noise, and weights if they are carried.

    Raises SkippedError where they are not.
    """
    weights = sorted(setting.carry.glob(WEIGHTS)) if setting.carry else []
    data = setting.carry / "CamVid" if setting.carry else None
    if setting.rehearse:
        from tests.training.tiny import camvid as of_noise

        data = setting.work / "CamVid"
        if not data.is_dir():
            of_noise(data, 4)
    elif data is None or not data.is_dir() or not weights:
        here = f"in carry={setting.carry}" if setting.carry else "without carry=FOLDER"
        raise SkippedError(f"Skipped: no CamVid or no {WEIGHTS} {here}: python -m experiments.gpu.carry makes it.")
    return [f"data_dir={data}", *(f"backbone.weights={file}" for file in weights[:1])]
