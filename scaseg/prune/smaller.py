"""From channels that are kept to the smaller model: its configuration and its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scaseg.prune.widths import Width, order
from scaseg.schema import Run
from scaseg.typed import Yaml


@dataclass(frozen=True)
class Kept:
    """Of a width so many channels; none: the block that it is of goes whole."""

    width: Width
    channels: int


def smaller_run(run: Run, kept: Sequence[Kept]) -> Run:
    """The configuration whose widths these are. Options whose widths all stay are left as they were."""
    changes: dict[str, Yaml] = {"backbone": {}, "decoder": {}}
    for part, key in dict.fromkeys((one.width.part, one.width.key) for one in kept):
        own = [one for one in kept if (one.width.part, one.width.key) == (part, key)]
        if all(one.channels == one.width.channels for one in own):
            continue
        if not own[0].width.place:
            changes[part][key] = own[0].channels
        elif len(own[0].width.place) == 1:
            changes[part][key] = [one.channels for one in own]
        else:
            lists: dict[int, list[int]] = {}
            for one in own:
                lists.setdefault(one.width.place[0], []).extend([one.channels] if one.channels else [])
            changes[part] |= {key: list(lists.values()), "depths": [len(of_stage) for of_stage in lists.values()]}
    return replace(
        run, backbone=run.backbone.changed(**changes["backbone"]), decoder=run.decoder.changed(**changes["decoder"])
    )


def smaller_tensors(tensors: Mapping[str, Tensor], kept: Sequence[Kept], scores: Sequence[Tensor]) -> dict[str, Tensor]:
    """Those of the smaller model: of each width the channels that are worth most, in their order."""
    found = dict(tensors)
    numbers: dict[int, int] = {}  # of blocks that stay, by stage
    for one, score in zip(kept, scores, strict=True):
        width = one.width
        if one.channels:
            best = order(score)[:, width.channels - one.channels :].sort(1).values
            found |= width.sliced(found, best)
        if width.part == "backbone" and len(width.place) == 2:
            stage, number = width.place
            before, after = f"encoder.block{stage + 1}.{number}.", f"encoder.block{stage + 1}.{numbers.get(stage, 0)}."
            block = {name: found.pop(name) for name in list(found) if name.startswith(before)}
            if one.channels:
                found |= {after + name.removeprefix(before): tensor for name, tensor in block.items()}
                numbers[stage] = numbers.get(stage, 0) + 1
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in found.items()}
