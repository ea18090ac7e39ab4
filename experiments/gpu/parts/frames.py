"""(4) Frames a second of Table V's and VII's rows. The paper names neither its GPU nor how it timed: see the note."""

from dataclasses import replace

from experiments.gpu.section import Section, Setting
from scaseg.benchmark.cost import latency_of
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.complexity.latency import Spread
from scaseg.config import compose, register, run_of, typed
from scaseg.report.published import rows_of
from scaseg.schema import Hardware

SIZE, SMALL = (512, 512), (64, 64)
CLASSES = 21  # VOC's


def run(setting: Setting, section: Section) -> None:
    size = SMALL if setting.rehearse else SIZE
    section.note(
        f"One image of {size[0]} x {size[1]} at a time, the device awaited after each, to the decoder's own logits;"
        " float32, eager, 20 passes before and the median of 100; of the paper's protocol only the size is known."
    )
    register("benchmark", BenchmarkConfig)
    rows = [*rows_of(5), *rows_of(7)]
    for row in (rows[4], rows[-1]) if setting.rehearse else rows:
        variant = row.variant if row.table == 5 else f"{row.variant} query/key channels a head"
        label = f"Table {'V' if row.table == 5 else 'VII'}, {row.backbone}, {variant}"
        with section.attempt(label):
            given = ["dataset=voc", *(f"{key}={value}" for key, value in row.overrides.items())]
            asked = typed(compose("benchmark", given), BenchmarkConfig)
            passes = {"warmup": 1, "rounds": 1} if setting.rehearse else {"warmup": 20, "rounds": 100}
            hardware = Hardware(accelerator="cpu" if setting.rehearse else "cuda")
            run_ = run_of(asked)
            found = latency_of(replace(asked, hardware=hardware, **passes), run_, CLASSES, size)
            frames = [1 / found[key] for key in ("seconds", "upper_quartile", "lower_quartile")]
            section.add(label, "frames/s", Spread(*frames, found["rounds"]), f"printed: {row.fps:g}")
