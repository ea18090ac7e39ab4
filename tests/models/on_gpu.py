"""`pytest -p tests.models.on_gpu FILES`: the kernels' tests with their tensors on a GPU, for experiments/gpu.

The tests draw from `generator()`, and else name no device: a default device is then all it takes.
"""

import torch


def pytest_configure() -> None:
    torch.set_default_device("cuda")


def generator(seed: int) -> torch.Generator:
    """Of the default device, as torch asks for: numbers differ from device to device."""
    return torch.Generator(torch.get_default_device()).manual_seed(seed)
