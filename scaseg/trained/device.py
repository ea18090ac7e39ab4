"""The device that a model runs on, as people ask for it."""

import torch

from scaseg.errors import UserError
from scaseg.schema import Device, Hardware

NAMES = {"gpu": "cuda"}  # Lightning's words for torch's


def chosen_device(asked: Device | Hardware) -> torch.device:
    """The device of hardware.accelerator, `auto` being a GPU where torch sees one; sets hardware.threads.

    Raises UserError where it is not there.
    """
    if asked.threads:
        torch.set_num_threads(asked.threads)
    if asked.accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(NAMES.get(asked.accelerator, asked.accelerator))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"hardware.accelerator={asked.accelerator}: torch has no such device here; use auto or cpu"
        ) from error
    return device
