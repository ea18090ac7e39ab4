"""A trained model as a folder of plain files, the hub's layout: safetensors, config.json, a model card, and the code
with which transformers opens it.
"""

import json
from pathlib import Path

from scaseg.errors import UserError
from scaseg.files import new_folder
from scaseg.models.build import normalisation
from scaseg.schema import without_places
from scaseg.trained.card import model_card, weights_name
from scaseg.trained.model import TrainedModel
from scaseg.trained.stored import CARD, CODE, CONFIG, FORMAT, OF_THE_MODEL, WEIGHTS
from scaseg.typed import Json, to_plain


def save(model: TrainedModel, folder: Path) -> Path:
    """Write `folder`, which must be new or empty, whole or not at all; returns it. Raises UserError."""
    from safetensors.torch import save as encoded

    with new_folder(folder) as beside:
        tensors = {name: tensor.cpu().contiguous() for name, tensor in model.segmentor.state_dict().items()}
        # save_file would make it readable by its owner alone
        (beside / WEIGHTS).write_bytes(encoded(tensors, metadata={"format": "pt"}))
        (beside / CONFIG).write_text(json.dumps(description(model), indent=2) + "\n")
        (beside / CARD).write_text(model_card(model))
        (beside / CODE).write_bytes(Path(__file__).with_name(CODE).read_bytes())
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


def description(model: TrainedModel) -> Json:
    """config.json: all that `scaseg.load` needs beside the weights, and where transformers finds its classes."""
    plain = {key: to_plain(getattr(model.config, key)) for key in OF_THE_MODEL}
    for part in (plain["backbone"], plain):
        if part.get("weights"):  # a path of the machine of training means nothing elsewhere
            part["weights"] = weights_name(str(part["weights"]))
    plain["more_data"] = without_places(plain["more_data"])
    mean, std = normalisation(model.config.backbone, model.form)
    return {
        "library_name": "scaseg",
        "format": FORMAT,
        "model_type": "scaseg",  # not the decoder's name: transformers knows a `segformer`, which is another model
        "architectures": ["SCASegForSemanticSegmentation"],
        "auto_map": {
            "AutoConfig": f"{CODE.removesuffix('.py')}.SCASegConfig",
            "AutoModelForSemanticSegmentation": f"{CODE.removesuffix('.py')}.SCASegForSemanticSegmentation",
        },
        "classes": list(model.classes),
        "colours": model.colours.tolist(),
        "model": {**plain, "protocol": to_plain(model.protocol), "normalisation": {"mean": mean, "std": std}},
        "about": model.about,
        **({"thresholds": list(model.thresholds)} if model.thresholds else {}),
    }
