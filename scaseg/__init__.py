"""SCASeg: strip cross-attention for efficient semantic segmentation. Importing this imports nothing heavy.

model = scaseg.load("runs/NAME/checkpoints/best.ckpt")
labels = model.predict("street.jpg")  # (H, W), class numbers of model.classes
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaseg.trained.model import TrainedModel

__version__ = "0.1.0"


def load(path: str | Path, device: str = "cpu", allow: Iterable[str] = ()) -> "TrainedModel":
    """A trained model from a checkpoint (.ckpt), a run's folder, or a folder that `save_pretrained` wrote.

    allow: packages outside scaseg, whose classes the model may be made of; only what is named here is imported.
    Raises scaseg.errors.UserError where the path is none of these. Reads no dataset and no network.
    """
    from scaseg.named import allowing
    from scaseg.trained.model import load_model

    with allowing(allow):
        return load_model(Path(path), device)


def save_pretrained(model: "TrainedModel | str | Path", folder: str | Path) -> Path:
    """Write a trained model, or the one of a path, as a folder that `load` and the Hugging Face hub understand."""
    from scaseg.trained.pretrained import save

    return save(load(model) if isinstance(model, (str, Path)) else model, Path(folder))
