"""What a GPU must reach, by the rows that say it."""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.gpu.section import Section

LARGE = (131_072, 2_048)  # queries, keys
LOADER = "images/s with the loader's best number of processes / with one batch that stays on the device"
STEP = "training step, bf16, eager: SCASeg mit_b0 / transformers' SegFormer-B0"


def large(backward: bool, precision: str) -> str:
    """The row of strip attention's largest shape."""
    work = "forward and backward" if backward else "forward"
    return f"{LARGE[0]} x {LARGE[1]}, {work}, {precision}: fastest SDPA / strip attention"


@dataclass(frozen=True)
class Goal:
    """A bound of one row of one part."""

    part: str
    what: str
    bound: float
    least: bool = True  # else the most

    def line(self, sections: Mapping[str, Section], rehearsal: bool) -> str:
        """`reached`, `not reached` or `not run`, with the figure or the reason."""
        bound = f"{'at least' if self.least else 'at most'} {self.bound:g}"
        section = sections.get(self.part)
        row = next((row for row in section.rows if row.what == self.what), None) if section else None
        if rehearsal:
            said = "not run: a rehearsal measures nothing"
        elif row is None:
            said = f"not run: part {self.part} is {section.state if section else 'not made yet'}"
        else:
            value = row.value.median
            said = "reached" if (value >= self.bound if self.least else value <= self.bound) else "not reached"
            said += f": {value:.3g}, quartiles {row.value.lower:.3g} .. {row.value.upper:.3g}"
        return f"- {self.what}, {bound}: **{said}**"


GOALS = (
    *(Goal("strip", large(False, precision), 5) for precision in ("fp32", "bf16")),
    *(Goal("strip", large(True, precision), 4) for precision in ("fp32", "bf16")),
    Goal("models", STEP, 0.8, least=False),
    Goal("loader", LOADER, 0.9),
)
