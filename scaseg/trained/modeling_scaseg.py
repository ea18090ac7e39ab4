"""This file lies in every folder that scaseg.save_pretrained writes; transformers runs it, scaseg does the work.

AutoModelForSemanticSegmentation.from_pretrained(FOLDER, trust_remote_code=True)
"""

from typing import Any

try:
    from scaseg.trained import auto_model
except ImportError as error:
    raise ImportError(
        "this model is one of the package scaseg, in the version that saved it or a later one, and it cannot be"
        f" imported ({error}): install it from its own source, with `pip install .` in its folder"
    ) from error


class SCASegConfig(auto_model.SCASegConfig):
    """See scaseg.trained.auto_model."""

    def __init__(self, **values: Any) -> None:  # else transformers makes one, from fields that are not there
        super().__init__(**values)


class SCASegForSemanticSegmentation(auto_model.SCASegForSemanticSegmentation):
    """See scaseg.trained.auto_model."""

    config_class = SCASegConfig
