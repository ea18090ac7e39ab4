"""(7) CamVid from ImageNet weights: both halves of experiments/camvid_pretrained, and the test figure."""

from experiments.gpu.section import Section, Setting
from experiments.gpu.train import SMALL, accelerator, camvid, trained
from scaseg.config import compose, typed
from scaseg.report.curves import COLUMNS, drawn, save, series
from scaseg.schema import EvaluateConfig
from scaseg.training.evaluate import evaluate

FULL = ("hardware.cache=ram", "pictures=0")
BESIDE = "67.3 +- 0.3 on CPUs: experiments/camvid_pretrained"


def run(setting: Setting, section: Section) -> None:
    data = camvid(setting)
    small = SMALL if setting.rehearse else FULL
    first, begun = trained(setting, "camvid", ["experiment=camvid_pretrained", *data, *small])
    section.add("first half: wall time", "s", begun["wall_time_s"])
    second_data = [option for option in data if not option.startswith("backbone.weights")]
    start = [f"weights={first / 'checkpoints/last.ckpt'}"]
    second, ended = trained(setting, "camvid", ["experiment=camvid_whole", *second_data, *start, *small])
    section.add("second half: wall time", "s", ended["wall_time_s"])
    asked = [f"ckpt={second / 'checkpoints/last.ckpt'}", "split=test", accelerator(setting), "pictures=0"]
    found = evaluate(typed(compose("evaluate", asked), EvaluateConfig))
    section.add("test mIoU, one seed", "%", found["mIoU"], BESIDE)
    section.add("test pixel accuracy", "%", found["pixel_accuracy"])
    for name, one in (found["per_class"] or {}).items():
        if one["iou"] is not None:
            section.add(f"test IoU of {name}", "%", one["iou"])
    curves = {
        name: [series(folder / "metrics.csv", column) for column in COLUMNS]
        for name, folder in (("first half", first), ("second half", second))
    }
    save("output", drawn(curves), setting.output / "camvid.png", 110)
    section.pictures.append("camvid.png")
    section.save()
