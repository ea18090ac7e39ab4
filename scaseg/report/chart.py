"""Small charts as SVG text that takes its colours from the page around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 480, 300, 52, 40, 10, 14
COLOURS = (  # Okabe and Ito's, which colour-blind readers tell apart; black is left out
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f", "#b15928", "#999900"),
)


@dataclass(frozen=True)
class Series:
    """One line, or single points. label: shown when the mouse is on it; spreads: half-lengths of error bars."""

    label: str
    colour: int
    xs: Sequence[float]
    ys: Sequence[float]
    joined: bool = True
    spreads: Sequence[float] = ()


def colour(number: int) -> str:
    """Of the n-th group."""
    return COLOURS[number % len(COLOURS)]


def chart(series: Sequence[Series], xlabel: str, ylabel: str, log_y: bool = False, steps: bool = False) -> str:
    """An SVG element; empty where there is nothing to draw. Values that a log axis cannot show are left out.

    steps: x counts them, from 0 and in whole numbers.
    """
    series = [_finite(one, log_y) for one in series]
    xs = [x for one in series for x in one.xs]
    ys = [y for one in series for y in one.ys]
    ys += [end for one in series for y, d in zip(one.ys, one.spreads, strict=False) for end in _ends(y, d)]
    if not xs:
        return ""
    horizontal = _Axis([0, *xs] if steps else xs, False, LEFT, WIDTH - RIGHT, whole=steps)
    vertical = _Axis(ys, log_y, HEIGHT - BOTTOM, TOP)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{ylabel} over {xlabel}")}">']
    for tick in horizontal.ticks:
        x = horizontal.place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{tick:.4g}</text>')
    for tick in vertical.ticks:
        y = vertical.place(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    middle = (HEIGHT - BOTTOM + TOP) / 2
    parts.append(f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(xlabel)}</text>')
    turned = f'transform="rotate(-90 12 {middle})"'
    parts.append(f'<text x="12" y="{middle}" text-anchor="middle" {turned}>{escape(ylabel)}</text>')
    for one in series:
        parts += _drawn(one, horizontal, vertical)
    return "\n".join([*parts, "</svg>"])


def _drawn(one: Series, horizontal: "_Axis", vertical: "_Axis") -> list[str]:
    points = [(horizontal.place(x), vertical.place(y)) for x, y in zip(one.xs, one.ys, strict=True)]
    title, paint = f"<title>{escape(one.label)}</title>", colour(one.colour)
    parts = []
    if one.joined and len(points) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = ' stroke-dasharray="6 3"' if one.colour // len(COLOURS) % 2 else ""
        parts.append(f'<polyline class="line" stroke="{paint}"{dashes} points="{path}">{title}</polyline>')
    for y, spread, (x, _) in zip(one.ys, one.spreads, points, strict=False):
        low, high = _ends(y, spread)
        ends = f'y1="{vertical.place(low):.1f}" y2="{vertical.place(high):.1f}"'
        parts.append(f'<line stroke="{paint}" x1="{x:.1f}" x2="{x:.1f}" {ends}/>')
    if not one.joined or len(points) < 30:
        radius = 2.5 if one.joined else 5
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{paint}">{title}</circle>' for x, y in points]
    return parts


def _ends(value: float, spread: float) -> tuple[float, float]:
    """Of an error bar, which no quantity that is drawn here can have below 0."""
    return max(0.0, value - spread), value + spread


def _finite(one: Series, log_y: bool) -> Series:
    keep = [
        i
        for i, (x, y) in enumerate(zip(one.xs, one.ys, strict=True))
        if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log_y)
    ]
    spreads = [one.spreads[i] for i in keep] if one.spreads else ()
    return Series(one.label, one.colour, [one.xs[i] for i in keep], [one.ys[i] for i in keep], one.joined, spreads)


class _Axis:
    def __init__(self, values: Sequence[float], log: bool, start: float, end: float, whole: bool = False) -> None:
        self.log, self.start, self.end = log, start, end
        low, high = min(values), max(values)
        if low == high:
            low, high = (low / 2, high * 2) if low > 0 else (low, high + 1)
        self.low, self.high = self._scaled(low), self._scaled(high)
        margin = 0.04 * (self.high - self.low)
        self.low, self.high = self.low - margin, self.high + margin
        if not log and low >= 0:
            self.low = max(0.0, self.low)
        self.ticks = _log_ticks(low, high) if log else _ticks(low, high, 1.0 if whole else 0.0)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def place(self, value: float) -> float:
        share = (self._scaled(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def _ticks(low: float, high: float, least: float = 0.0) -> list[float]:
    """Round numbers at a distance of at least `least`."""
    rough = max((high - low) / 5, least)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(i * step, 12) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        ticks = [f * 10.0**n for n in decades for f in factors if low <= f * 10.0**n <= high]
        if len(ticks) >= 3:
            return ticks
    return [tick for tick in _ticks(low, high) if tick > 0]
