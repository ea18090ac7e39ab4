"""(8) Table V on CamVid by the recipe of experiments/length: attention and local perception module, seed by seed."""

from collections import defaultdict
from itertools import product
from statistics import mean, stdev

from experiments.gpu.section import Section, Setting, SkippedError
from experiments.gpu.train import SMALL, camvid, trained

SEEDS, ATTENTIONS, MODULES = (0, 1, 2), ("sa", "ca", "sca"), ("none", "se")
RECIPE = ("experiment=length", "decoder=scaseg", "training.lr=8e-4")
LENGTH = ("training.max_steps=1500", "training.val_every=1500", "hardware.cache=ram", "pictures=0")
LEAST = 60  # seconds for which a run is begun: it goes on in the next call


def run(setting: Setting, section: Section) -> None:
    data = camvid(setting)
    length = SMALL if setting.rehearse else LENGTH
    jobs = list(product(SEEDS, ATTENTIONS, MODULES))
    found: dict[str, list[float]] = defaultdict(list)
    section.note("Train to val, 1,500 steps.")
    for seed, attention, module in jobs[-1:] if setting.rehearse else jobs:
        label = f"{attention}{'' if module == 'none' else ' + LPM'}"
        with section.attempt(f"{label}, seed {seed}"):
            if setting.left < LEAST and not setting.rehearse:
                raise SkippedError(f"{setting.left:.0f} s were left")
            options = [f"decoder.attn={attention}", f"lpm={module}", f"seed={seed}"]
            _, result = trained(setting, "table5", [*RECIPE, *options, *data, *length])
            found[label].append(result["mIoU"])
            section.add(f"{label}, seed {seed}: val mIoU", "%", result["mIoU"])
    for label, figures in found.items():
        if len(figures) > 1:
            section.note(f"{label}: {mean(figures):.2f} +- {stdev(figures):.2f}, {len(figures)} seeds")
