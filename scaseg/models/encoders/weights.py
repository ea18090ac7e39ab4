"""Published weights into our encoders: find the file, recognise its layout, account for every key."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from scaseg.errors import UserError
from scaseg.models.encoders.inputs import rule, with_inputs
from scaseg.models.encoders.layouts import Layout, State, layouts_of
from scaseg.models.encoders.sources import read_tensors

log = logging.getLogger("scaseg")
CONTAINERS = ("state_dict_ema", "state_dict", "model")
PREFIXES = ("", "module.", "backbone.", "module.backbone.", "segformer.", "encoder.")
LISTED = 12  # names shown of each kind in an error


@dataclass(frozen=True)
class LoadReport:
    """What `load_encoder_weights` did."""

    source: str
    layout: str
    loaded: int  # tensors of the encoder, all of them
    dropped: tuple[str, ...]  # names in the source that segmentation has no use for


@dataclass(frozen=True)
class Fitted:
    """Published tensors under our names, and the published names that were dropped."""

    layout: str
    state: State
    dropped: tuple[str, ...]


def load_encoder_weights(encoder: nn.Module, name: str, source: str, sha256: str | None = None) -> LoadReport:
    """Load published weights into an encoder, in whichever of the known layouts (layouts.py) they come.

    Args:
        encoder: changed in place, and only if every key is accounted for.
        name: the encoder's name for messages, such as mit_b0.
        source: a file (.safetensors, or a pickle that loads with weights_only), an https address with its
            checksum (`sha256`, or `#sha256=...` at its end), or a hub name such as nvidia/mit-b0.
        sha256: checksum of the file, hexadecimal; required for an address, checked wherever it is given.

    Raises UserError where the source cannot be had or read, its layout is not known, or a tensor is missing,
    unexpected or of another shape.
    """
    where = f"backbone.weights={source}"
    published = read_state_dict(source, "backbone.weights", sha256)
    fitted = fit(encoder, layouts_of(encoder), published, name, where)
    encoder.load_state_dict(fitted.state)
    return LoadReport(source, fitted.layout, len(fitted.state), fitted.dropped)


def fit(module: nn.Module, layouts: Sequence[Layout], published: State, name: str, where: str) -> Fitted:
    """The published tensors under the names of `module`, in whichever of `layouts` they come.

    name: of the module, and where: the option and its value, for messages. Weights of RGB are shared among the channels
    of a module whose `in_channels` are others, by the rule of scaseg.models.encoders.inputs, which is logged. Raises
    UserError where the layout is not known, or a tensor is missing, unexpected or of another shape.
    """
    layout, prefix = _recognise(layouts, published, name, where)
    drop = re.compile(layout.drop)
    dropped, kept, foreign = [], {}, []
    for key, tensor in published.items():
        bare = key.removeprefix(prefix)
        if drop.match(bare) and bare not in layout.exact:
            dropped.append(key)
        elif key.startswith(prefix):
            kept[bare] = tensor
        else:
            foreign.append(key)
    converted = layout.convert(kept)
    own, channels = module.state_dict(), getattr(module, "in_channels", 3)
    converted, shared = with_inputs(converted, own, channels)
    missing = [key for key in own if key not in converted]
    unexpected = foreign + [key for key in converted if key not in own]
    shapes = [
        f"{key} {tuple(converted[key].shape)} where {name} has {tuple(tensor.shape)}"
        for key, tensor in own.items()
        if key in converted and converted[key].shape != tensor.shape
    ]
    if missing or unexpected or shapes:
        raise UserError(
            f"{where} ({layout.name} layout) does not fit {name}: "
            + "; ".join(
                f"{len(names)} {kind}: {', '.join(names[:LISTED])}{', ...' if len(names) > LISTED else ''}"
                for kind, names in (
                    ("missing", missing),
                    ("unexpected", unexpected),
                    ("of another shape", shapes),
                )
                if names
            )
            + f". Give the weights of this {where.split('.')[0]}; nothing was loaded"
        )
    if shared:
        log.info("%s: of RGB, and pictures have %d channels: in %s %s", where, channels, shared[0], rule(channels))
    return Fitted(layout.name, converted, tuple(dropped))


def read_state_dict(source: str, option: str, sha256: str | None = None) -> State:
    """The tensors of a file, bare or one level down; arguments as of `load_encoder_weights`."""
    content = read_tensors(source, option, sha256)
    if isinstance(content, Mapping):
        for container in CONTAINERS:
            if isinstance(content.get(container), Mapping):
                content = content[container]
                break
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return {str(key): value for key, value in content.items()}
    raise UserError(
        f"{option}={source} holds no state dict (a mapping from names to tensors, bare or under "
        f"{', '.join(CONTAINERS)}); save one with torch.save(model.state_dict(), FILE)"
    )


def _recognise(layouts: Sequence[Layout], published: Mapping[str, Tensor], name: str, where: str) -> tuple[Layout, str]:
    for layout in layouts:
        for prefix in PREFIXES:
            if any(layout.knows(key.removeprefix(prefix)) for key in published if key.startswith(prefix)):
                return layout, prefix
    known = ", ".join(layout.name for layout in layouts) or "none"
    raise UserError(
        f"{where} is in no layout that {name} knows ({known}); it starts with "
        f"{', '.join(list(published)[:4])}. Give the weights of this {where.split('.')[0]}"
    )
