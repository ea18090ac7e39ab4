"""Any timm backbone that has maps at strides 4, 8, 16 and 32; timm, slow to import, only inside functions."""

import difflib
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.errors import UserError
from scaseg.models.encoders.inputs import with_inputs
from scaseg.models.encoders.inverted_residual import narrow
from scaseg.models.layers.resize import divided_up

STRIDES = (4, 8, 16, 32)

# Models made for one image size which take any when told so; windows are cut and shifted at every size, as
# the authors' segmentation code does. Keyed by timm's module.
ANY_SIZE = {"strict_img_size": False, "always_partition": True}
SIZE_OPTIONS: dict[str, dict[str, bool]] = {
    "timm.models.swin_transformer": ANY_SIZE,
    "timm.models.swin_transformer_v2": ANY_SIZE,
    "timm.models.swin_transformer_v2_cr": ANY_SIZE,
    "timm.models.efficientformer_v2": {},  # see any_size
}


class TimmEncoder(nn.Module):
    """Four maps of a timm model, whatever other levels and whatever memory layout it has.

    Images are padded with zeros (the mean colour) at the right and bottom to multiples of 32 and the maps are
    cut to ceil(size / stride), so that models which round down or refuse odd sizes work as well; on multiples
    of 32 the maps are timm's own.

    Args:
        model: timm's name, such as pvt_v2_b0 or resnet18.a1_in1k.
        pretrained: start from timm's weights (needs the network, or timm's cache).
        drop_path: timm's `drop_path_rate`.
        in_channels: of the images; timm's weights, which are of RGB, are then shared among them (scaseg's rule, see
            scaseg.models.encoders.inputs, and not timm's own).
        hidden_channels: of the inverted residual blocks, where they are fewer than timm's (see scaseg.prune).

    Raises UserError for an unknown name, a model without these strides, and weights that cannot be had.
    """

    def __init__(
        self,
        model: str,
        pretrained: bool = False,
        drop_path: float = 0.0,
        in_channels: int = 3,
        hidden_channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.model_name, self.in_channels = model, in_channels
        self.net = _create(model, pretrained and in_channels == 3, drop_path, in_channels)
        if pretrained and in_channels != 3:
            of_rgb = _create(model, True, drop_path, 3).state_dict()
            taken, _ = with_inputs(of_rgb, self.net.state_dict(), in_channels)
            self.net.load_state_dict(taken)
        reductions = list(self.net.feature_info.reduction())
        if not set(STRIDES) <= set(reductions):
            raise UserError(
                f"backbone.name={model}: timm gives its maps at strides {reductions}, "
                f"and strides 4, 8, 16 and 32 are needed; take a model which has them, such as pvt_v2_b0"
            )
        widths = self.net.feature_info.channels()
        last = {reduction: level for level, reduction in enumerate(reductions)}
        self.levels = tuple(last[stride] for stride in STRIDES)
        c1, c2, c3, c4 = (int(widths[level]) for level in self.levels)
        self.channels = (c1, c2, c3, c4)
        self.channels_last = str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC")
        self.made_for = _fixed_size(model)
        if max(reductions) == STRIDES[-1]:
            _pad_alike_at_all_sizes(self.net)
        if hidden_channels is not None:
            narrow(self.net, hidden_channels)
        if model.startswith("efficientformerv2"):
            from scaseg.models.encoders.any_size import take_any_size

            take_any_size(self.net)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), H and W at least 32 -> four maps (B, C_i, ceil(H/s), ceil(W/s)), s = 4, 8, 16, 32.

        Raises UserError where the model was built for one image size and takes no other.
        """
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % 32, 0, -height % 32))
        if self.made_for is None:
            outputs = self.net(x)
        else:
            try:
                outputs = self.net(x)
            except (AssertionError, RuntimeError) as error:
                if x.shape[2:] == self.made_for or isinstance(error, torch.OutOfMemoryError):
                    raise
                made_for = " x ".join(map(str, self.made_for))
                raise UserError(
                    f"backbone.name={self.model_name} is made for images of {made_for} and does not take "
                    f"{height} x {width}: {error}; choose that size or another model"
                ) from error
        maps = []
        for level, stride, channels in zip(self.levels, STRIDES, self.channels, strict=True):
            feature = outputs[level].permute(0, 3, 1, 2) if self.channels_last else outputs[level]
            if feature.shape[1] != channels:
                raise RuntimeError(
                    f"{self.model_name}: {tuple(feature.shape)} at stride {stride}, not {channels} channels"
                )
            maps.append(feature[:, :, : divided_up(height, stride), : divided_up(width, stride)])
        return maps


class PaddedConv2d(nn.Conv2d):
    """timm's Conv2dSame where the stride divides both sides, as it does here: the padding is then known beforehand.

    The same figures; and a graph with free sizes has no padding to work out, which torch.export did not end.
    """

    def forward(self, x: Tensor) -> Tensor:
        around: list[int] = []
        for side in (1, 0):  # F.pad takes the width first
            total = max(0, (self.kernel_size[side] - 1) * self.dilation[side] + 1 - self.stride[side])
            around += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, around), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _pad_alike_at_all_sizes(net: nn.Module) -> None:
    """Every Conv2dSame becomes a PaddedConv2d in place: the same parameters under the same names."""
    from timm.layers.conv2d_same import Conv2dSame

    for module in net.modules():
        if isinstance(module, Conv2dSame):
            module.__class__ = PaddedConv2d  # type: ignore[assignment]


def _create(model: str, pretrained: bool, drop_path: float, in_channels: int) -> Any:
    import scaseg.torchvision_fix  # noqa: F401, I001
    import timm

    if not timm.is_model(model):
        close = difflib.get_close_matches(model, timm.list_models(), n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "`timm.list_models()` lists them"
        raise UserError(f"backbone.name={model}: timm {timm.__version__} has no model of this name; {hint}")
    options: dict[str, Any] = dict(SIZE_OPTIONS.get(timm.models.model_entrypoint(model).__module__, {}))
    options["drop_path_rate"] = drop_path
    if in_channels != 3:
        options["in_chans"] = in_channels
    try:
        try:
            return timm.create_model(model, pretrained=pretrained, features_only=True, **options)
        except TypeError as error:
            if "drop_path_rate" not in str(error):
                raise
            if drop_path > 0:
                raise UserError(
                    f"backbone.drop_path={drop_path}: timm's {model} has no stochastic depth; set backbone.drop_path=0"
                ) from error
            del options["drop_path_rate"]
            return timm.create_model(model, pretrained=pretrained, features_only=True, **options)
    except (OSError, RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError) as error:
        if pretrained:
            raise UserError(
                f"backbone.pretrained=true: timm's weights for {model} cannot be had ({_first_line(error)}); "
                "without network give a file with backbone.weights=FILE, or set backbone.pretrained=false"
            ) from error
        raise UserError(
            f"backbone.name={model}: timm cannot give its maps ({_first_line(error)}); take another model"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _fixed_size(model: str) -> tuple[int, int] | None:
    """The image size a model was made for, None where any size is said to do."""
    import timm

    cfg = timm.get_pretrained_cfg(model, allow_unregistered=True)
    if cfg is None or not cfg.fixed_input_size or timm.models.model_entrypoint(model).__module__ in SIZE_OPTIONS:
        return None
    height, width = cfg.input_size[1:]
    return int(height), int(width)
