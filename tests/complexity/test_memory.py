import torch
from torch import Tensor, nn

from scaseg.complexity.memory import LiveTensors, peak_memory
from scaseg.models.build import build_segmentor
from tests.complexity.models import config, on_meta


class Chain(nn.Module):
    """x (B, 3, H, W) -> relu -> relu -> relu: two maps alive at once without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = x.relu()
        return x * self.weight[0]


def test_by_hand() -> None:
    with torch.device("meta"):
        model = Chain()
    image = 3 * 32 * 64 * 4
    peak = peak_memory(model, (32, 64), batch_size=2)
    assert peak.parameters == 40
    assert peak.tensors == 3 * 2 * image  # the caller's image, the map before and the map after
    assert peak_memory(model, (32, 64), backward=True).tensors > 3 * image


def test_derived_equals_what_real_tensors_take() -> None:
    overrides = ("backbone=mit_b0", "dataset=shapes")
    real, derived = LiveTensors(), peak_memory(on_meta(*overrides, num_classes=8), (96, 128))
    model = build_segmentor(*config(*overrides), 8).eval()
    for tensor in [*model.parameters(), *model.buffers()]:
        real.ignore(tensor)
    with real, torch.no_grad():
        image = torch.empty(1, 3, 96, 128)
        model(image)
    assert derived.tensors == real.peak


def test_native_fuse_needs_less() -> None:
    native, literal = (peak_memory(on_meta(f"decoder.fuse={form}"), (512, 512)) for form in ("native", "literal"))
    assert native.tensors < literal.tensors
    assert native.parameters == literal.parameters


def test_nothing_is_left_behind() -> None:
    with torch.device("meta"):
        model = Chain()
    peak_memory(model, (32, 32), backward=True)
    assert model.weight.grad is None
    assert model.training
    assert model.weight.device.type == "meta"


def test_a_real_pass_before_changes_nothing() -> None:
    overrides = ("backbone=mit_b0", "dataset=shapes", "decoder.strip=spline")
    with torch.no_grad():
        build_segmentor(*config(*overrides), 8).eval()(torch.zeros(1, 3, 64, 64))
    assert peak_memory(on_meta(*overrides, num_classes=8), (64, 64)).tensors > 0
