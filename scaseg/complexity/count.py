"""Multiply-adds of a segmentor by part, from one forward pass without data (the meta device serves)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from scaseg.complexity.operators import COSTS, Cost, cost_of, is_free
from scaseg.complexity.parts import decoder_part

MODULES = ("linear", "convolution", "norm")  # kinds of operators that modules are


@dataclass(frozen=True)
class Operation:
    """One counted operator: the module whose forward called it, its kind, its cost in both conventions."""

    path: str
    kind: str
    macs: int
    macs_paper: int


@dataclass(frozen=True)
class Counts:
    """Costs of one forward pass, batch 1, eval mode.

    parts: name -> (macs, macs_paper), in the order of execution. unknown: operator -> calls, for operators
    that have no rule and are not known to be free: the counts leave them out. macs_modules: as a counter of hooks on
    modules has it (mmcv 1's get_flops), which sees linears, convolutions and norms, and neither products nor resizes.
    """

    parts: dict[str, tuple[int, int]]
    unknown: dict[str, int]
    macs_modules: int = 0

    @property
    def macs(self) -> int:
        """Multiply-adds of Linear, convolutions and matrix products."""
        return sum(plain for plain, _ in self.parts.values())

    @property
    def macs_paper(self) -> int:
        """The same and norms and resizes, by the paper's counter."""
        return sum(paper for _, paper in self.parts.values())

    def __add__(self, other: "Counts") -> "Counts":
        modules = self.macs_modules + other.macs_modules
        return Counts({**self.parts, **other.parts}, {**self.unknown, **other.unknown}, modules)


class Recorder(TorchDispatchMode):
    """Records the cost of every operator, and which operations each tensor came after.

    To be used in inference mode: only there do operators such as `linear` and `scaled_dot_product_attention`
    arrive whole, so that what a kernel is made of neither matters nor is counted twice. A module that knows
    its cost better than its operators do says so in a method `multiply_adds(*inputs) -> int`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.unknown: Counter[str] = Counter()
        self._path = [""]
        self._muted = 0
        self._last: dict[int, int] = {}  # storage -> number of operations that its content came after
        self._alive: list[Tensor] = []  # a freed storage's address would be used again

    @contextmanager
    def watch(self, module: nn.Module) -> Iterator[None]:
        """Name operations after the submodules of `module` while the context lasts."""
        handles = []
        for name, submodule in module.named_modules():
            handles.append(submodule.register_forward_pre_hook(self._enter(name)))
            handles.append(submodule.register_forward_hook(self._leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def operations_before(self, tensor: Tensor) -> int:
        """How many of `operations` there were when the last one was done that `tensor` depends on."""
        return self._last.get(_storage(tensor), 0)

    def counts(self, part: Callable[[int, Operation], str]) -> Counts:
        """Sum the operations by part, which `part` tells from their number and themselves."""
        parts: dict[str, tuple[int, int]] = {}
        for number, operation in enumerate(self.operations):
            name = part(number, operation)
            plain, paper = parts.get(name, (0, 0))
            parts[name] = plain + operation.macs, paper + operation.macs_paper
        modules = sum(one.macs_paper for one in self.operations if one.kind in MODULES)
        return Counts(parts, dict(self.unknown), modules)

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._path.append(name)
            declared = getattr(module, "multiply_adds", None)
            if declared is not None:
                if not self._muted:
                    self._add(Cost("declared", *(2 * (int(declared(*inputs)),))))
                self._muted += 1

        return hook

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._path.pop()
        if hasattr(module, "multiply_adds"):
            self._muted -= 1

    def _add(self, cost: Cost) -> None:
        self.operations.append(Operation(self._path[-1], cost.kind, cost.macs, cost.paper))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = NotImplemented
        cost = None
        if not is_free(func):
            out, cost = self._price(func, args, kwargs)
        if out is NotImplemented:
            out = func(*args, **kwargs)
        last = max((self._last.get(_storage(x), 0) for x in tree_iter((args, kwargs)) if _is(x)), default=0)
        if cost is not None:
            if not self._muted:
                self._add(cost)
            last = len(self.operations)
        for tensor in filter(_is, tree_iter(out)):
            self._last[_storage(tensor)] = max(last, self._last.get(_storage(tensor), 0))
            self._alive.append(tensor)
        return out

    def _price(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Cost | None]:
        """Run an operator that may cost something: as a whole where it has a rule, else piece by piece."""
        if func.overloadpacket in COSTS:
            out = func(*args, **kwargs)
            return out, cost_of(func, args, kwargs, out)
        with self:
            out = func.decompose(*args, **kwargs)
        if out is NotImplemented and not self._muted:
            self.unknown[str(func)] += 1
        return out, None


def count(model: nn.Module, image_size: tuple[int, int]) -> Counts:
    """Count a Segmentor's forward pass on an image of `image_size` (height, width)."""
    encoder, features = count_encoder(model.get_submodule("encoder"), image_size)
    return encoder + count_decoder(model.get_submodule("decoder"), features)


def count_encoder(encoder: nn.Module, image_size: tuple[int, int]) -> tuple[Counts, list[Tensor]]:
    """Counts, and the four maps that a decoder can be counted on, where the encoder's parameters are.

    Stage i holds what map i needs and the maps before it do not.
    """
    device = next(encoder.parameters()).device
    inputs = getattr(encoder, "in_channels", 3)
    recorder, features = _record(encoder, torch.empty(1, inputs, *image_size, device=device))
    ends = [recorder.operations_before(feature) for feature in features]

    def stage(number: int, operation: Operation) -> str:
        needed_by = (i for i, end in enumerate(ends, 1) if number < end)
        return f"encoder stage {next(needed_by, len(ends))}"

    return recorder.counts(stage), features


def count_decoder(decoder: nn.Module, features: list[Tensor]) -> Counts:
    """Counts of a decoder on the maps of an encoder."""
    recorder, _ = _record(decoder, features)
    return recorder.counts(lambda number, operation: decoder_part(operation.path, operation.kind))


def _record(module: nn.Module, inputs: Any) -> tuple[Recorder, Any]:
    """Run a module in eval mode under a recorder; it is left as it was."""
    training, recorder = module.training, Recorder()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it hides nn.MultiheadAttention's products
    try:
        with torch.inference_mode(), recorder.watch(module.eval()), recorder:
            return recorder, module(inputs)
    finally:
        module.train(training)
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _is(x: Any) -> bool:
    return isinstance(x, Tensor)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
