"""Public implementations that are in no package: what they gave, stored as a few numbers, with which ours is compared.

The weights follow from the tensors' names by integer arithmetic, so that they are the same everywhere and need not be
stored. `python -m tests.models.public_make` makes the numbers; no code of theirs is here.
"""

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FILE = Path(__file__).with_name("public_numbers.json")
SAMPLES = 24


@dataclass(frozen=True)
class Numbers:
    """A map (B, C, h, w) in brief: its shape, the root of its mean square, and values at equal distances in memory."""

    shape: list[int]
    size: float
    values: list[float]

    @classmethod
    def of(cls, x: Tensor) -> "Numbers":
        flat = x.detach().double().contiguous().flatten()
        places = torch.linspace(0, len(flat) - 1, SAMPLES).round().long()
        return cls(list(x.shape), float(flat.square().mean().sqrt()), flat[places].tolist())


def stored() -> dict[str, dict[str, Numbers]]:
    """Model -> case -> numbers."""
    models = json.loads(FILE.read_text())["models"]
    return {model: {case: Numbers(**one) for case, one in cases.items()} for model, cases in models.items()}


def store(made_with: str, models: dict[str, dict[str, Numbers]]) -> None:
    plain = {model: {case: asdict(one) for case, one in cases.items()} for model, cases in models.items()}
    FILE.write_text(json.dumps({"made_with": made_with, "models": plain}, indent=1) + "\n")


def spread(name: str, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Numbers of mean 0 and variance 1, as good as random, that follow from the name: float64."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()))
    for factor in (2654435761, 73244475, 73244475):
        x = (x * np.uint64(factor)) & np.uint64(2**32 - 1)
        x ^= x >> np.uint64(16)
    return torch.from_numpy((x.astype(np.float64) / 2**31 - 1) * 3**0.5).reshape(shape)


def filled(module: nn.Module, gain: float = 1) -> nn.Module:
    """The module in evaluation mode and double precision, no tensor of it at an initial value.

    gain: of linears and convolutions; below 1 where maps are multiplied by each other, whose size would run away.
    """
    module.double().eval()
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = spread(name, tensor.shape)
        if name.endswith("running_var"):
            tensor.copy_(torch.exp(0.3 * noise))
        elif tensor.ndim > 1:
            tensor.copy_(gain * noise / tensor[0].numel() ** 0.5)
        else:  # of norms the weights, and what is added
            tensor.copy_(0.2 * noise + (1 if name.endswith("weight") else 0))
    return module
