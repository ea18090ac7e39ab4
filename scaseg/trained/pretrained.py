"""A trained model as a folder of plain files: safetensors, config.json and a model card, the hub's layout."""

import json
import shutil
from pathlib import Path
from typing import Any

from scaseg.errors import UserError
from scaseg.trained.card import model_card, weights_name
from scaseg.trained.model import TrainedModel
from scaseg.trained.stored import CARD, CONFIG, FORMAT, WEIGHTS


def save(model: TrainedModel, folder: Path) -> Path:
    """Write `folder`, which must be new or empty, whole or not at all; returns it. Raises UserError."""
    from safetensors.torch import save as encoded

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already and is not an empty folder; name another")
    beside = folder.with_name(folder.name + ".part")
    try:
        beside.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in model.segmentor.state_dict().items()}
        # save_file would make it readable by its owner alone
        (beside / WEIGHTS).write_bytes(encoded(tensors, metadata={"format": "pt"}))
        (beside / CONFIG).write_text(json.dumps(description(model), indent=2) + "\n")
        (beside / CARD).write_text(model_card(model))
        beside.replace(folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    return folder


def push(folder: Path, repository: str, private: bool = True) -> str:
    """Upload a saved folder to the Hugging Face hub as `repository` (user/name); returns its address.

    Needs `pip install scaseg[hub]`, an account and a network. Raises UserError.
    """
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} is not a folder that scaseg.save_pretrained wrote")
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise UserError("pushing needs huggingface_hub: pip install 'scaseg[hub]'") from error
    try:
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=folder))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(f"{repository}: not uploaded ({str(error).splitlines()[0]})") from error


def description(model: TrainedModel) -> dict[str, Any]:
    """config.json: all that `scaseg.load` needs beside the weights."""
    config = {**model.config, **{part: dict(model.config[part]) for part in ("backbone", "decoder")}}
    for part in (config["backbone"], config["decoder"]):
        if part.get("weights"):  # a path of the machine of training means nothing elsewhere
            part["weights"] = weights_name(str(part["weights"]))
    return {
        "library_name": "scaseg",
        "format": FORMAT,
        "model_type": config["decoder"]["name"],
        "classes": list(model.classes),
        "colours": model.colours.tolist(),
        "model": {**config, "protocol": model.protocol},
        "about": model.about,
    }
