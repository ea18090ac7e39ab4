"""How a picture is cut into windows. Imports no torch."""

from dataclasses import dataclass, replace

from scaseg.data.sizes import Size, overlapping
from scaseg.evaluation.protocol import Mode, Protocol


@dataclass(frozen=True)
class Tiling:
    """How a picture of `size` (H, W) is cut: windows of at most `window` pixels, neighbours sharing `overlap` or more.

    whole: it is one window, seen as the protocol says. Else each window is seen at its own size (no box), in the
    protocol's scales, and mirrored where that says so.
    """

    size: Size
    window: Size
    overlap: Size
    whole: bool = False

    @property
    def down(self) -> list[tuple[int, int]]:
        """Windows from top to bottom."""
        return overlapping(self.size[0], self.window[0], self.overlap[0])

    @property
    def across(self) -> list[tuple[int, int]]:
        """Windows from left to right."""
        return overlapping(self.size[1], self.window[1], self.overlap[1])

    @property
    def count(self) -> int:
        """Of all windows."""
        return len(self.down) * len(self.across)

    def seen_by(self, protocol: Protocol) -> Protocol:
        """How each window is seen."""
        return protocol if self.whole else replace(protocol, mode=Mode.whole, box=None)
