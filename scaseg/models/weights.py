"""Weights of whole models, published ones and our own: encoder and decoder, every key accounted for."""

from torch import Tensor

from scaseg.errors import UserError
from scaseg.models.decoders import layouts as decoder_layouts
from scaseg.models.encoders import layouts as encoder_layouts
from scaseg.models.encoders.layouts import Layout
from scaseg.models.encoders.weights import LoadReport, fit, read_state_dict
from scaseg.models.segmentor import Segmentor

HEAD = "decode_head."
AUXILIARY = "auxiliary_head."  # helps training alone
OWN = ("model.", "")  # what our halves' names stand behind: in checkpoints of training, in saved folders
CLASSIFIER = "decoder.classifier."
# The alive one comes first: mmsegmentation's base class adds a `conv_seg` to heads that have a classifier already.
CLASSIFIERS = ("linear_pred.bias", "classifier.bias", "conv_seg.bias")


def load_model_weights(
    model: Segmentor, backbone: str, decoder: str, source: str, sha256: str | None = None, trains: bool = False
) -> LoadReport:
    """Load a published model, in whichever of the known layouts its two halves come, or one of our own.

    backbone, decoder: names for messages. source, sha256: as of `load_encoder_weights`, a hub name such as
    nvidia/segformer-b0-finetuned-ade-512-512, a checkpoint of ours or the model.safetensors of a saved folder.
    trains: a checkpoint of ours may then have another number of classes, and the classifier stays a new one.
    Changes the model only if every key of both halves is accounted for. Raises UserError where it is not, and where
    the model has other classes.
    """
    where = f"weights={source}"
    published = {
        key.removeprefix("module."): tensor for key, tensor in read_state_dict(source, "weights", sha256).items()
    }
    for prefix in OWN:
        if any(key.startswith(f"{prefix}encoder.") for key in published) and f"{prefix}{CLASSIFIER}bias" in published:
            own = {key.removeprefix(prefix): tensor for key, tensor in published.items() if key.startswith(prefix)}
            return _load_own(model, f"backbone={backbone} decoder={decoder}", own, source, where, trains)
    head = {key.removeprefix(HEAD): tensor for key, tensor in published.items() if key.startswith(HEAD)}
    if not head:
        raise UserError(
            f"{where} holds no decoder (no key starts with {HEAD}); the weights of an encoder are given by"
            " backbone.weights"
        )
    body = {key: tensor for key, tensor in published.items() if not key.startswith((HEAD, AUXILIARY))}
    classes = model.decoder.get_parameter("classifier.bias").shape[0]
    theirs = next((len(head[key]) for key in CLASSIFIERS if key in head), classes)
    if theirs != classes:
        raise UserError(
            f"{where} knows {theirs} classes, the dataset has {classes}; backbone.weights={source} takes its encoder"
            " alone"
        )
    decoded = fit(model.decoder, decoder_layouts.layouts_of(model.decoder), head, decoder, where)
    encoded = fit(model.encoder, encoder_layouts.layouts_of(model.encoder), body, backbone, where)
    model.encoder.load_state_dict(encoded.state)
    model.decoder.load_state_dict(decoded.state)
    dropped = [key for key in published if key.startswith(AUXILIARY)]
    return LoadReport(
        source,
        decoded.layout if decoded.layout == encoded.layout else f"{encoded.layout}; {decoded.layout}",
        len(encoded.state) + len(decoded.state),
        (*encoded.dropped, *(HEAD + key for key in decoded.dropped), *dropped),
    )


def _load_own(
    model: Segmentor, name: str, tensors: dict[str, Tensor], source: str, where: str, trains: bool
) -> LoadReport:
    new = model.state_dict()
    theirs, classes = (len(state[f"{CLASSIFIER}bias"]) for state in (tensors, new))
    if theirs != classes and not trains:
        raise UserError(f"{where} knows {theirs} classes, the dataset has {classes}: evaluate it on its own, or train")
    dropped = tuple(key for key in tensors if key.startswith(CLASSIFIER) and theirs != classes)
    tensors = {key: new[key] if key in dropped else tensor for key, tensor in tensors.items()}
    fitted = fit(model, (Layout("scaseg", marker="encoder"),), tensors, name, where)
    model.load_state_dict(fitted.state)
    return LoadReport(source, fitted.layout, len(fitted.state) - len(dropped), dropped)
