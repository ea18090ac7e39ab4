"""The form of a dataset's pictures: how many channels, of which numbers, by what normalised, which of them shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from scaseg.errors import UserError
from scaseg.typed import Plain, check_choice, check_number

DTYPES = ("uint8", "uint16", "int16", "float32")
MOST_CHANNELS = 1024


@dataclass(frozen=True)
class Form:
    """What is the same of all pictures of a dataset, (H, W, channels).

    dtype: of the numbers in files. 8 bits stay what they are; all others are float32 from their reader on, as stored.
    names: of the channels, or none. shown: the channels that people see as red, green and blue. mean, std: of each
    channel, in the files' numbers; None where the encoder's weights say what they expect (RGB of 8 bits alone).
    """

    channels: int = 3
    dtype: str = "uint8"
    names: tuple[str, ...] = ()
    shown: tuple[int, int, int] = (0, 1, 2)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def is_rgb(self) -> bool:
        """RGB of 8 bits, which every image can be made into; files of another form are taken as they are."""
        return self.channels == 3 and self.dtype == "uint8"

    @property
    def unscaled(self) -> "Form":
        """The same, where no normalisation is known with one that changes nothing: to count and time models by."""
        if self.is_rgb or self.mean is not None:
            return self
        return replace(self, mean=(0.0,) * self.channels, std=(1.0,) * self.channels)

    @property
    def in_words(self) -> str:
        """As `7 channels of uint16`."""
        return in_words(self.channels, self.dtype)

    @property
    def called(self) -> list[str]:
        """The channels by their names, or by their numbers from 0."""
        return list(self.names) or [f"channel {i}" for i in range(self.channels)]


RGB = Form()


def in_words(channels: int, dtype: str) -> str:
    """As `7 channels of uint16`."""
    return f"{channels} channel{'s' * (channels > 1)} of {dtype}"


def form_of(options: Plain) -> Form:
    """From a dataset's options channels, dtype, channel_names, show_channels, mean and std. Raises UserError."""
    channels, dtype = options.get("channels", 3), str(options.get("dtype", "uint8"))
    if isinstance(channels, bool) or not isinstance(channels, int) or not 1 <= channels <= MOST_CHANNELS:
        raise UserError(f"dataset.channels={channels}: a whole number from 1 to {MOST_CHANNELS}")
    check_choice("dataset.dtype", dtype, DTYPES)
    names = tuple(str(name) for name in _listed(options, "channel_names", channels) or ())
    if len(set(names)) < len(names):
        raise UserError(f"dataset.channel_names=[{','.join(names)}]: a name comes twice")
    mean, std = (_listed(options, key, channels) for key in ("mean", "std"))
    if (mean is None) != (std is None):
        raise UserError("dataset.mean and dataset.std: both or neither")
    for key, numbers, least in (("mean", mean, -inf), ("std", std, 1e-12)):
        for number in numbers or ():
            check_number(f"dataset.{key}", number, (least, 1e30))
    shown = _shown(options.get("show_channels"), names, channels)
    return Form(channels, dtype, names, shown, _numbers(mean), _numbers(std))


def _listed(options: Plain, key: str, channels: int) -> Sequence[Any] | None:
    given = options.get(key)
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != channels:
        raise UserError(f"dataset.{key}={given}: a list of {channels}, one a channel (dataset.channels={channels})")
    return given


def _numbers(given: Sequence[Any] | None) -> tuple[float, ...] | None:
    return None if given is None else tuple(float(one) for one in given)


def _shown(given: Any, names: Sequence[str], channels: int) -> tuple[int, int, int]:
    if given is None:
        red, green, blue = (min(i, channels - 1) for i in range(3))
        return red, green, blue
    known: dict[Any, int] = {i: i for i in range(channels)} | {name: i for i, name in enumerate(names)}
    if (
        isinstance(given, str)
        or not isinstance(given, Sequence)
        or len(given) != 3
        or any(i not in known for i in given)
    ):
        named = f", or of {', '.join(names)}" if names else ""
        raise UserError(f"dataset.show_channels={given}: three numbers from 0 to {channels - 1}{named}")
    red, green, blue = (known[i] for i in given)
    return red, green, blue
