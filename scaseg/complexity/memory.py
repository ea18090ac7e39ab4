"""Peak memory of a pass, derived: the bytes of all tensors that are alive at once."""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


@dataclass(frozen=True)
class Peak:
    """Bytes. parameters: parameters and buffers; tensors: the most that all others took at once."""

    parameters: int
    tensors: int

    @property
    def total(self) -> int:
        """Parameters and everything else at its peak."""
        return self.parameters + self.tensors


class LiveTensors(TorchDispatchMode):
    """Follows the storages that operators make; `peak` is the most bytes of them alive at any time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def add(self, tensor: Tensor) -> None:
        """Count a storage from now until it dies."""
        self._follow(tensor, tensor.untyped_storage().nbytes())

    def ignore(self, tensor: Tensor) -> None:
        """Leave out a storage that was there before, and views of it."""
        self._follow(tensor, 0)

    def _follow(self, tensor: Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        if id(storage) in self._sizes:
            return
        self._sizes[id(storage)] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, id(storage))

    def _remove(self, key: int) -> None:
        self.now -= self._sizes.pop(key)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, Tensor):
                self.add(tensor)
        return out


class _Pass(nn.Module):
    """Backward happens inside forward: what is computed again there must see the same parameters."""

    def __init__(self, model: nn.Module, backward: bool) -> None:
        super().__init__()
        self.model = model
        self.backward = backward

    def forward(self, image: Tensor) -> None:
        out = self.model(image)
        if self.backward:
            out.backward(torch.empty_like(out))


def peak_memory(model: nn.Module, image_size: tuple[int, int], batch_size: int = 1, backward: bool = False) -> Peak:
    """Peak of a forward pass (eval mode, no gradients), or of forward and backward (train mode).

    `model` is on the meta device and stays there. Derived and not measured: float32, CPU kernels in eager
    mode, without the kernels' own scratch space and the allocator's slack. The input image counts.
    """
    training = model.training
    live = LiveTensors()
    with FakeTensorMode(allow_non_fake_inputs=True):  # constants that an earlier real pass has made
        state = {
            f"model.{name}": torch.empty(tensor.shape, dtype=tensor.dtype).requires_grad_(tensor.requires_grad)
            for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        }
        for tensor in state.values():
            live.ignore(tensor)
        model.train(backward)
        try:
            with live, torch.set_grad_enabled(backward):
                image = torch.empty(batch_size, getattr(model, "in_channels", 3), *image_size)
                torch.func.functional_call(_Pass(model, backward), state, (image,))
        finally:
            model.train(training)
    return Peak(sum(t.numel() * t.element_size() for t in state.values()), live.peak)
