"""Where weights come from: a file, an https address with its checksum, or a name on the Hugging Face hub."""

import hashlib
import pickle
import re
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch

from scaseg.errors import UserError

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
FILE_ENDINGS = (".pth", ".pt", ".bin", ".safetensors", ".tar", ".ckpt")


def read_tensors(source: str, option: str = "backbone.weights", sha256: str | None = None) -> Any:
    """The content of a weights file, tensors on the CPU.

    option: the one that named it, for messages. Other arguments as of `load_encoder_weights`.
    """
    where = f"{option}={source}"
    address, _, fragment = source.partition("#sha256=")
    checksum = (sha256 or fragment).lower()
    if checksum and not re.fullmatch(r"[0-9a-f]{64}", checksum):
        raise UserError(f"{where}: the checksum {checksum} is not 64 hexadecimal digits of SHA-256")
    if "://" in address:
        return _read(_download(address, checksum, where), where)
    if _is_hub_name(address):
        path = _from_hub(address, where)
    else:
        path = Path(address).expanduser()
        if not path.is_file():
            raise UserError(
                f"{where}: no such file ({path.absolute()}); give a file, an https address or a hub name "
                "such as nvidia/mit-b0"
            )
    if checksum and (found := _digest(path)) != checksum:
        raise UserError(f"{where}: the file's SHA-256 is {found}, not {checksum}; get the file again")
    return _read(path, where)


def _is_hub_name(source: str) -> bool:
    return HUB_NAME.fullmatch(source) is not None and not source.endswith(FILE_ENDINGS) and not Path(source).exists()


def _read(path: Path, where: str) -> Any:
    try:
        if _is_safetensors(path):
            from safetensors.torch import load_file

            return load_file(path)
        with path.open("rb") as file:  # of a path, torch goes by the suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{where}: {path} holds more than tensors, and loading it could run somebody else's code. "
            "If you trust it, save its state dict alone: "
            "torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW_FILE)"
        ) from error
    except Exception as error:  # torch and safetensors have no common class for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{where}: {path} cannot be read as weights ({reason}); get it again") from error


def _is_safetensors(path: Path) -> bool:
    """By its content, a length of 8 bytes and JSON, whatever it is called; by its name where that tells nothing."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" or (path.suffix == ".safetensors" and not start.startswith((b"PK", b"\x80")))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(address: str, checksum: str, where: str) -> Path:
    """The cached file of an address; a file with another checksum never gets into the cache."""
    if not address.startswith("https://"):
        raise UserError(f"{where}: only https addresses are taken; give one, or download the file yourself")
    if not checksum:
        raise UserError(
            f"{where}: an address needs its checksum; put #sha256=<64 hexadecimal digits> at its end "
            "(`sha256sum FILE` prints it)"
        )
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / f"{checksum[:16]}-{Path(urlsplit(address).path).name}"
    if path.is_file() and _digest(path) == checksum:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    try:  # into a temporary file, checked, then moved
        torch.hub.download_url_to_file(address, str(path), checksum, progress=sys.stderr.isatty())
    except OSError as error:
        raise UserError(
            f"{where} cannot be downloaded ({error}) and is not in {folder}; "
            f"without network give a file with {where.split('=')[0]}=FILE"
        ) from error
    except RuntimeError as error:
        raise UserError(f"{where}: what came is not the file of this checksum ({error})") from error
    return path


def _from_hub(name: str, where: str) -> Path:
    """The cached or downloaded weights file of a hub repository."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        for file in HUB_FILES:
            try:
                return Path(hf_hub_download(name, file, local_files_only=True))
            except LocalEntryNotFoundError:
                pass
        _check_network(constants.ENDPOINT)
        for file in HUB_FILES:
            try:
                return Path(hf_hub_download(name, file))
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                pass
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{where} is not in the hub's cache and cannot be downloaded ({reason}); "
            f"without network give a file with {where.split('=')[0]}=FILE"
        ) from error
    files = " or ".join(HUB_FILES)
    raise UserError(f"{where}: the hub's {name} has no {files}; give a file or another name")


def _check_network(endpoint: str) -> None:
    """Raise OSError where the hub cannot be reached; its own client would try for most of a minute."""
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        raise OSError("HF_HUB_OFFLINE is set")
    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=10).close()
    except HTTPError:  # an answer, if not a friendly one
        pass
    except URLError as error:
        raise OSError(f"no network: {error.reason}") from error
