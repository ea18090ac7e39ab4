"""The transforms that a configuration asks for around scale and crop: those of albumentations, by its own names."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import albumentations as A
import numpy as np

from scaseg.data.augment import padding
from scaseg.data.labels import IGNORE
from scaseg.errors import UserError
from scaseg.form import RGB, Form
from scaseg.named import TRANSFORMS, built, named_class
from scaseg.typed import Part, Plain, Yaml

KINDS = (A.BasicTransform, A.OneOf, A.SomeOf, A.OneOrOther, A.Sequential)
MOST_FILLED = 4  # channels that OpenCV fills with a value each
# of volumes, of functions, which YAML cannot say, and of spectrograms, which write class 0 into masks
OTHERS = (A.Transform3D, A.ToTensor3D, A.Lambda, A.FrequencyMasking, A.TimeMasking)


def users_transforms(key: str, given: Sequence[Plain], form: Form = RGB) -> list[Any]:
    """Of the list under `key`, each `_target_` and arguments; those which choose among transforms hold such lists.

    Pixels that a transform makes up, beyond the image's border, are IGNORE in the mask and padding in the image, 0 of
    more than four channels, where its own `fill_mask` and `fill` say nothing else; what it drops out of an image alone
    stays in the mask. Raises UserError for a transform that is none, refuses a value, or is not for pictures of `form`.
    """
    return [_transform(key, one, form) for one in given]


def check_crop(key: str, transforms: Sequence[Any], size: tuple[int, int], form: Form = RGB) -> None:
    """UserError where a crop of this size, (height, width), is not one for them, or they change its size or type."""
    always = copy.deepcopy(list(transforms))
    for one in always:
        one.p = 1.0
    dtype = np.uint8 if form.dtype == "uint8" else np.float32
    blank = {"image": np.zeros((*size, form.channels), dtype), "mask": np.zeros(size, np.uint8)}
    try:
        seen = A.Compose(always)(**blank)
    except Exception as error:  # each transform has errors of its own
        told = " ".join(str(error).split())
        what = f"{form.in_words}, {size[0]} x {size[1]}"
        raise UserError(f"{key}: they do not take {what} ({type(error).__name__}: {told})") from error
    for name, array in blank.items():
        made = seen[name]
        if (made.shape, made.dtype) != (array.shape, array.dtype):
            raise UserError(
                f"{key}: they make of a crop's {name} {array.shape} {array.dtype} {made.shape} {made.dtype};"
                " sizes and types must stay (the model normalises)"
            )


def _transform(key: str, given: Plain, form: Form) -> Any:
    part = Part(dict(given))
    package, _, name = part.target.rpartition(".")
    if package in TRANSFORMS and not hasattr(A, name):
        raise UserError(
            f"{key}._target_={part.target}: no such class; albumentations {A.__version__} has {', '.join(_names())}"
        )
    kind = named_class(part.target, f"{key}._target_", TRANSFORMS, KINDS, "a transform")
    if issubclass(kind, OTHERS):
        raise UserError(f"{key}._target_={part.target} is not a transform of images and their masks")
    if form.dtype != "uint8" and not issubclass(kind, (A.DualTransform, A.BaseCompose)):
        raise UserError(
            f"{key}: {part.target} changes numbers, takes those of 0 to 1 or of 8 bits, and these are {form.dtype}:"
            " leave it out; augment.photometric has brightness and contrast of any"
        )
    known = inspect.signature(kind).parameters
    fills = "border_mode" in known and form.channels <= MOST_FILLED
    prefer: Yaml = {"fill": padding(form)} if fills else {}
    if "fill_mask" in known and known["fill_mask"].default is not None:
        prefer["fill_mask"] = IGNORE
    within = {name: _within(key, value, form) for name, value in part.values.items()}
    return built(part.changed(**within), key, TRANSFORMS, KINDS, "a transform", prefer=prefer)


def _within(key: str, value: Any, form: Form) -> Any:
    """An argument, with the transforms that it holds."""
    if isinstance(value, Mapping) and "_target_" in value:
        return _transform(key, value, form)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_within(key, one, form) for one in value]
    return value


def _names() -> list[str]:
    found = {name: one for name, one in vars(A).items() if inspect.isclass(one) and issubclass(one, KINDS)}
    core = A.BasicTransform.__module__  # of classes to derive from
    return sorted(name for name, one in found.items() if one.__module__ != core and not issubclass(one, OTHERS))
