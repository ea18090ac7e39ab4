"""The choices in conf/ as parts, without Hydra: what `python -m scaseg.train backbone=... decoder=...` would see.

The YAMLs are the one owner of defaults, and some of their values follow from other choices, so OmegaConf reads them.
Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from scaseg.errors import UserError
from scaseg.parts import Backbone, Decoder
from scaseg.typed import Yaml, check_choice

_PACKAGED = Path(__file__).with_name("conf")
CONF_DIR = str(_PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "conf")
OF_BACKBONE = "backbone_"  # what stands before an option of the encoder's
ANY_BACKBONE = ("mean", "std")  # that none of the YAMLs need have
OTHERS = ("lpm", "classifier", "dataset")  # groups of which decoders' values are made
TIMM = "timm:"


def names(group: str) -> list[str]:
    """The choices of a group, in order."""
    return sorted(path.stem for path in Path(CONF_DIR, group).glob("*.yaml"))


def chosen(decoder: str, backbone: str, options: Mapping[str, Any]) -> tuple[Backbone, Decoder]:
    """The two parts of a model, with options in place of what their YAMLs say.

    backbone: a choice, or `timm:NAME`. options: by the decoder's keys, and by the encoder's with `backbone_` before
    them. Raises UserError, which lists what there is, for an unknown choice or key, and for a value that is not right.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    check_choice("decoder", decoder, names("decoder"))
    given: dict[str, Yaml] = {"backbone": _backbone(backbone), "decoder": _read("decoder", decoder)}
    encoders = {key.removeprefix(OF_BACKBONE): options[key] for key in options if key.startswith(OF_BACKBONE)}
    decoders = {key: options[key] for key in options if not key.startswith(OF_BACKBONE)}
    known, known_of_backbone = _keys(given["decoder"]), [*_keys(given["backbone"]), *ANY_BACKBONE]
    unknown = [*(key for key in decoders if key not in known)]
    unknown += [OF_BACKBONE + key for key in encoders if key not in known_of_backbone]
    if unknown:
        raise UserError(
            f"no option {', '.join(unknown)}: decoder={decoder} has {', '.join(known)}; backbone={backbone} has"
            f" {', '.join(OF_BACKBONE + key for key in known_of_backbone)}"
        )
    given["backbone"] |= encoders
    given["decoder"] |= decoders
    try:
        composed = OmegaConf.create({**_others(), **given})
        parts = [cast("Yaml", OmegaConf.to_container(composed[key], resolve=True)) for key in given]
    except OmegaConfBaseException as error:
        told = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise UserError(f"{told}: {str(error).splitlines()[0]}") from error
    return Backbone(parts[0]), Decoder(parts[1])


def _backbone(choice: str) -> Yaml:
    if choice.startswith(TIMM):
        return {**_read("backbone", "timm"), "name": choice.removeprefix(TIMM)}
    check_choice("backbone", choice, [*names("backbone"), f"{TIMM}NAME"])
    return _read("backbone", choice)


def _others() -> Yaml:
    """The keys of the other groups, as the choices have them with which scaseg.train starts."""
    defaults = _read("", "train")["defaults"]
    first = {group: choice for entry in defaults if isinstance(entry, Mapping) for group, choice in entry.items()}
    return {key: value for group in OTHERS for key, value in _read(group, first[group]).items() if key in OTHERS}


def _read(group: str, name: str) -> Yaml:
    return cast("Yaml", yaml.safe_load(Path(CONF_DIR, group, f"{name}.yaml").read_text(encoding="utf-8")))


def _keys(part: Yaml) -> Sequence[str]:
    """Those that are options: all but the name and this project's own."""
    return [key for key in part if key != "name" and not key.startswith("_")]
