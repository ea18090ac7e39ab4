"""The device that a model runs on, as people ask for it."""

import torch

from scaseg.errors import UserError

NAMES = {"gpu": "cuda"}  # Lightning's words for torch's


def chosen_device(asked: str, key: str) -> torch.device:
    """`auto`: a GPU where torch sees one. key: the option, for messages. UserError where it is not there."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(NAMES.get(asked, asked))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"{key}={asked}: torch has no such device here; use auto or cpu") from error
    return device
