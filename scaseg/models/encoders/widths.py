"""Hidden widths of an encoder's mix-FFNs: by a ratio of each stage's channels, or one by one, as after pruning."""

from collections.abc import Sequence


def ffn_widths(
    given: Sequence[Sequence[int]] | None, depths: Sequence[int], of_stages: Sequence[int]
) -> list[list[int]]:
    """A list a stage, a number a block: `given`, or that of the stage. ValueError where they are not of the depths."""
    if given is None:
        return [[width] * depth for width, depth in zip(of_stages, depths, strict=True)]
    widths = [list(of_stage) for of_stage in given]
    if [len(of_stage) for of_stage in widths] != list(depths) or min(map(min, widths)) < 1:
        raise ValueError(
            f"backbone.ffn_channels={widths}: a list a stage, a number from 1 on a block, depths {list(depths)}"
        )
    return widths
