"""An exported file in use: the API of scaseg.load, without torch where torch is not its runtime."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scaseg.data.labels import Mask
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.views import batched
from scaseg.exported.labels import predict_labels
from scaseg.exported.metadata import Metadata, read_metadata
from scaseg.exported.sessions import BIN, OPENVINO, RUNTIMES, TORCH, Session, exported_file, open_session
from scaseg.form import Form
from scaseg.schema import Device
from scaseg.trained.images import Picture
from scaseg.trained.predictor import Predictor
from scaseg.typed import check_choice


@dataclass
class ExportedModel(Predictor):
    """What `scaseg.load` gives of an exported file. file: of a folder for OpenVINO its XML."""

    session: Session
    metadata: Metadata
    classes: tuple[str, ...]
    colours: npt.NDArray[np.uint8]
    protocol: Protocol
    file: Path
    device: str = "cpu"
    thresholds: tuple[float, ...] = ()

    def __repr__(self) -> str:
        int8 = ", int8" if self.metadata.quantised else ""
        return f"<ExportedModel {self.file} by {self.session.runtime}: {len(self.classes)} classes{int8}>"

    @property
    def form(self) -> Form:
        """Of the images that it takes."""
        return self.metadata.form

    @property
    def task(self) -> str:
        """See Predictor."""
        return self.metadata.task

    def decide_from(self, threshold: float | None) -> None:
        """See Predictor."""
        if threshold is not None and self.thresholds and self.metadata.output == "labels":
            raise UserError(f"threshold={threshold}: {self.file} gives labels, at its own: export output=logits")
        super().decide_from(threshold)

    def to(self, device: str) -> "ExportedModel":
        """Itself, for `cpu`; UserError for another."""
        if str(device) != "cpu":
            raise UserError(f"device={device}: {self.file} runs on the CPU alone; a checkpoint runs elsewhere")
        return self

    def predict_batch(self, images: Sequence[Picture]) -> list[Mask]:
        """See Predictor. Raises UserError where the file cannot do what the protocol asks for, or at this size."""
        size: Size = images[0].shape[0], images[0].shape[1]
        if self.confidence is not None and self.untold:
            raise UserError(f"{self.file}: {self.untold}")
        if reason := self.refusal(size):
            raise UserError(f"{self.file}: {reason}")
        views = batched(images, self.protocol)
        if self.metadata.output == "logits":
            return list(predict_labels(self.session.run, views, size, self.protocol, self.thresholds, self.confidence))
        (view,) = views
        labels = self.session.run(np.ascontiguousarray(view, np.float32))
        return [_at(one.astype(np.uint8 if len(self.classes) <= 256 else np.int64), size) for one in labels]

    def refusal(self, size: Size) -> str | None:
        """See Predictor."""
        least, windowed = self.metadata.least_side, self.protocol.windows
        if (ratio := self.protocol.key_ratio) != (own := self.metadata.protocol.key_ratio):
            return (
                f"its keys are pooled by {own} in the file, and protocol.key_ratio={ratio}: scaseg.export"
                f" key_ratio={ratio} writes one that does so, and a checkpoint takes any"
            )
        seen = [self.seen_size(size, scale) for scale in self.protocol.scales]
        several = len(seen) > 1 or self.protocol.flip
        if windowed is not None:
            several |= any(height > windowed[0][0] or width > windowed[0][1] for height, width in seen)
            seen = [(min(height, windowed[0][0]), min(width, windowed[0][1])) for height, width in seen]
        if several and self.metadata.output == "labels":
            return "it gives labels, and this protocol takes the mean of several views or windows: export output=logits"
        if (smallest := min(min(one) for one in seen)) < least:
            return (
                f"an image of {size[1]} x {size[0]} would be seen with {smallest} pixels a side, and an exported model"
                f" needs {least}: a checkpoint takes it, or a larger protocol.box"
            )
        return None

    @property
    def untold(self) -> str | None:
        """See Predictor."""
        if self.metadata.output == "logits":
            return super().untold
        return "it gives labels, and no probability of any: a checkpoint does, or scaseg.export output=logits"

    def digest(self) -> str:
        """Of the files."""
        found = hashlib.sha256(self.file.read_bytes())
        if (weights := self.file.with_name(BIN)).is_file() and self.file.suffix == ".xml":
            found.update(weights.read_bytes())
        return found.hexdigest()[:16]


def load_exported(file: Path, runtime: str | None = None, threads: int | None = None) -> ExportedModel:
    """See scaseg.load; file: as `exported_file` gives it."""
    session = open_session(file, runtime, threads)
    metadata = read_metadata(session.texts, file)
    colours = np.array(metadata.colours, np.uint8).reshape(-1, 3)
    return ExportedModel(
        session, metadata, metadata.classes, colours, metadata.protocol, file, thresholds=metadata.thresholds
    )


def exported_model(path: Path, runtime: str | None = None, threads: int | None = None) -> ExportedModel | None:
    """The model of an exported file; None where the path is none, and torch may have a checkpoint there.

    Raises UserError where the runtime is not one for what is there.
    """
    if runtime is not None:
        check_choice("runtime", runtime, RUNTIMES)
    file = exported_file(path.expanduser())
    if file is None and runtime not in (None, TORCH):
        form = "openvino" if runtime == OPENVINO else "onnx"
        raise UserError(
            f"runtime={runtime} takes what scaseg.export wrote, and {path} is no such file or folder: python -m"
            f" scaseg.export ckpt={path} format={form}, then name what it wrote"
        )
    return None if file is None else load_exported(file, runtime, threads)


def open_model(ckpt: str, hardware: Device, runtime: str | None = None) -> Predictor:
    """The model that a command's keys mean: an exported one by its runtime, else by torch. Raises UserError."""
    path = Path(ckpt)
    if (found := exported_model(path, runtime, hardware.threads)) is not None:
        return found if hardware.accelerator == "auto" else found.to(hardware.accelerator)
    from scaseg.trained.device import chosen_device
    from scaseg.trained.model import load_model

    return load_model(path, chosen_device(hardware))


def _at(labels: Mask, size: Size) -> Mask:
    """Labels (h, w) at `size`, by nearest neighbours where that is another."""
    rows, columns = (
        ((np.arange(wanted) + 0.5) * (there / wanted)).astype(np.int64)
        for wanted, there in zip(size, labels.shape, strict=True)
    )
    return labels if labels.shape == size else labels[rows[:, None], columns]
