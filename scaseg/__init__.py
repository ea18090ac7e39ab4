"""SCASeg: strip cross-attention for efficient semantic segmentation. Importing this imports nothing heavy.

model = scaseg.load("runs/NAME/checkpoints/best.ckpt")
labels = model.predict("street.jpg")  # (H, W), class numbers of model.classes

module = scaseg.create_model("scaseg", "mit_b0", num_classes=19)  # a plain nn.Module, to train in a loop of one's own
logits = module(images)  # (B, 3, H, W), RGB on 0..255 -> (B, 19, H / 4, W / 4)
"""

import importlib
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg.errors import UserError

if TYPE_CHECKING:
    from scaseg.exported.model import ExportedModel
    from scaseg.models.decoders.scaseg import SCASegDecoder
    from scaseg.models.layers.strip_attention import strip_attention
    from scaseg.models.segmentor import Segmentor
    from scaseg.trained.model import TrainedModel

__version__ = "0.1.0"
__all__ = ["SCASegDecoder", "create_model", "list_models", "load", "save_pretrained", "strip_attention"]
_WHERE = {
    "SCASegDecoder": "scaseg.models.decoders.scaseg",
    "strip_attention": "scaseg.models.layers.strip_attention",
}


def __getattr__(name: str) -> Any:
    """What imports torch, at its first use."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def create_model(
    decoder: str = "scaseg",
    backbone: str = "mit_b0",
    num_classes: int = 19,
    weights: str | PathLike[str] | None = None,
    in_channels: int = 3,
    **options: Any,
) -> "Segmentor":
    """The nn.Module that `python -m scaseg.train decoder=... backbone=...` trains, for a loop of one's own.

    It takes images (B, 3, H, W), RGB on the 0..255 scale, uint8 or float, at any size, which it normalises itself, and
    returns logits (B, num_classes, ~H / 4, ~W / 4); `predict` returns class ids (B, H, W). `encoder` and `decoder` are
    its halves. It is in training mode, as every new module: `.eval()` before it predicts.

    decoder, backbone: as `list_models` has them; `timm:NAME` for any timm model with strides 4, 8, 16 and 32.
    weights: of the whole model, as `weights=` of training: a checkpoint, a run's or a saved folder, a published file,
    an address or a hub name; where one of ours has other classes the classifier is a new one, and a warning is logged.
    None: `backbone_weights=`, the encoder's own (a file, an address, a hub name), or random ones from torch's seed.
    in_channels: of the images. Others than three need `backbone_mean` and `backbone_std`, a number each; weights of RGB
    are shared among them by a rule that is logged (scaseg.models.encoders.inputs).
    options: keys of conf/decoder/DECODER.yaml (attn="ca", embed_channels=256, lpm="none", query_pool=2, ...), and those
    of conf/backbone/BACKBONE.yaml with `backbone_` before them (backbone_drop_path=0.0).

    Raises scaseg.errors.UserError, with a list of what there is, for an unknown name or key, and for weights that do
    not fit. Neither Hydra nor Lightning is imported.
    """
    from scaseg.create import create

    return create(decoder, backbone, num_classes, weights, in_channels, options)


def list_models() -> dict[str, list[str]]:
    """{"decoders": [...], "backbones": [...]}: the names that `create_model` takes; each decoder fits each backbone."""
    from scaseg.choices import names

    return {"decoders": names("decoder"), "backbones": names("backbone")}


def load(
    path: str | Path, device: str = "cpu", allow: Iterable[str] = (), runtime: str | None = None
) -> "TrainedModel | ExportedModel":
    """A trained model from a checkpoint (.ckpt), a run's folder, or a folder that `save_pretrained` wrote.

    Or from what `scaseg.export` wrote: a file .onnx, a folder for OpenVINO, of which neither imports torch, or a file
    .pt2; these are no nn.Module, and have `classes`, `colours`, `form`, `protocol` and `predict` as the others.

    allow: packages outside scaseg, whose classes the model may be made of; only what is named here is imported.
    runtime: `torch`, `onnxruntime` or `openvino`; None is that of the file. OpenVINO also takes a file .onnx.
    Raises scaseg.errors.UserError where the path is none of these. Reads no dataset and no network.
    """
    from scaseg.exported.model import exported_model
    from scaseg.named import allowing

    if (found := exported_model(Path(path), runtime)) is not None:
        return found.to(device)
    from scaseg.trained.model import load_model

    with allowing(allow):
        return load_model(Path(path), device)


def save_pretrained(model: "TrainedModel | ExportedModel | str | Path", folder: str | Path) -> Path:
    """Write a trained model, or the one of a path, as a folder that `load` and the Hugging Face hub understand."""
    from scaseg.trained.model import TrainedModel
    from scaseg.trained.pretrained import save

    found = load(model) if isinstance(model, (str, Path)) else model
    if not isinstance(found, TrainedModel):
        raise UserError(f"{found} has no weights to save: name the checkpoint that it was exported from")
    return save(found, Path(folder))
