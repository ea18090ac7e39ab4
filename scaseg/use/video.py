"""Predictions for the frames of a video: a folder of id masks, and an overlay video."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from scaseg.data import draw
from scaseg.errors import UserError
from scaseg.use.inputs import Input
from scaseg.use.model import TrainedModel
from scaseg.use.outputs import Outputs, write_mask
from scaseg.use.pictures import Picture
from scaseg.use.progress import ProgressLine

CODEC = "mp4v"  # MPEG-4 part 2, which every build of OpenCV can write


def predict_video(
    model: TrainedModel, one: Input, outputs: Outputs, batch_size: int, overwrite: bool, progress: ProgressLine
) -> bool:
    """Predict all frames, into `masks/NAME/000000.png`.. and `overlays/NAME.mp4`; whether they were there before.

    Results appear under their names when the video is done. Raises UserError where it cannot be read to its end.
    """
    targets = {
        "masks": outputs.folder / "masks" / one.name,
        "overlays": outputs.folder / "overlays" / one.name.with_name(one.name.name + ".mp4"),
    }
    targets = {kind: target for kind, target in targets.items() if kind in outputs.kinds}
    if not overwrite and all(target.exists() for target in targets.values()):
        return True
    parts = {kind: target.with_name(f"part-{target.name}") for kind, target in targets.items()}
    capture = cv2.VideoCapture(str(one.path))
    writer: Any = None
    try:
        if not capture.isOpened():
            raise UserError(f"{one.path}: not a video that OpenCV can read")
        rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        for part in parts.values():
            part.parent.mkdir(parents=True, exist_ok=True)
        if "masks" in parts:
            shutil.rmtree(parts["masks"], ignore_errors=True)
            parts["masks"].mkdir()
        number = 0
        for frames in _batches(capture, batch_size):
            for frame, mask in zip(frames, model.predict_batch(frames), strict=True):
                if "masks" in parts:
                    write_mask(parts["masks"] / f"{number:06d}.png", mask, outputs.labels)
                if "overlays" in parts:
                    writer = writer or _writer(parts["overlays"], rate, frame)
                    shown = draw.overlay(frame, mask, outputs.labels)
                    writer.write(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
                number += 1
            if number % (50 * batch_size) < batch_size and number >= batch_size:
                progress.say(f"{one.path}: frame {number}/{announced if announced > 0 else '?'}")
        if number == 0 or (announced > 0 and number < announced):
            raise UserError(f"{one.path}: damaged or cut short (frame {number} of {announced} cannot be read)")
    except BaseException:
        _discard(writer, parts)
        raise
    finally:
        capture.release()
    if writer is not None:
        writer.release()
    for kind, part in parts.items():
        if targets[kind].is_dir():
            shutil.rmtree(targets[kind])
        part.replace(targets[kind])
    return False


def _batches(capture: Any, size: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    while True:
        there, frame = capture.read()
        if there:
            batch.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        if batch and (len(batch) == size or not there):
            yield batch
            batch = []
        if not there:
            return


def _writer(path: Path, rate: float, frame: Picture) -> Any:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODEC), rate, (frame.shape[1], frame.shape[0]))
    if not writer.isOpened():
        raise UserError(f"{path}: this build of OpenCV cannot write MP4 video; ask for write=masks")
    return writer


def _discard(writer: Any, parts: dict[str, Path]) -> None:
    if writer is not None:
        writer.release()
    for part in parts.values():
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
