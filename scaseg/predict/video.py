"""Predictions for the frames of a video: a folder of id masks, and an overlay video."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from scaseg.data import draw
from scaseg.data.overheard import overhearing
from scaseg.errors import UserError
from scaseg.files import put
from scaseg.predict.outputs import Outputs, write_mask
from scaseg.progress import ProgressLine
from scaseg.trained.inputs import Input
from scaseg.trained.predictor import Predictor

_PARTS = {"masks": "masks", "overlays": "overlay.mp4"}
CODEC = "mp4v"  # MPEG-4 part 2, which every build of OpenCV can write
RATE, FASTEST = 25.0, 240.0  # frames a second where nothing is known, and the most that is believed
LEAP = 60.0  # seconds between two frames that are believed
TRIES = 64  # frames in a row that cannot be decoded before it is the end: at the end, each try fails at once
_FFMPEG = re.compile(r"\[[^\]]+ @ 0x[0-9a-f]+\] (.*)|\s*Last message repeated|\[ ?(WARN|ERROR|INFO):")


@dataclass
class Reading:
    """A video being read: the frames so far, upright, and what its decoder complained of."""

    capture: Any
    announced: int  # by the file, for all of its streams: true of many, and of some not
    rate: float | None  # frames a second; None where the file says nothing, or nonsense
    number: int = 0
    lost: int = 0
    said: list[str] = field(default_factory=list)

    def frames(self) -> Iterator[tuple[draw.Picture, float]]:
        """Each frame that can be decoded, RGB, and its time in seconds."""
        failed = 0
        while failed < TRIES:
            with overhearing(_FFMPEG) as heard:
                there, frame = self.capture.read()
            self.said += [match[1] for line in heard if (match := _FFMPEG.match(line)) and match[1]]
            if not there:
                failed += 1
                continue
            self.lost, failed = self.lost + failed, 0
            self.number += 1
            yield (
                cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False),
                self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000,
            )

    @property
    def damage(self) -> str | None:
        """What is wrong with the file, as far as its decoder tells; a count of frames that is wrong is nothing."""
        if not self.said and not self.lost:
            return None
        count = f"{self.number}" + (f" of {self.announced}" if self.announced > self.number else "")
        lost = f", {self.lost} within it cannot be decoded" if self.lost else ""
        says = f" ({self.said[0]})" if self.said else ""
        return f"damaged or cut short{says}: what can be read of it, {count} frames, was predicted{lost}"


def predict_video(model: Predictor, one: Input, outputs: Outputs, batch_size: int, progress: ProgressLine) -> None:
    """Predict all frames that can be read, into `masks/NAME/000000.png`.. and `overlays/NAME.mp4`.

    Results get their names when the video is done. UserError where no frame can be read, and, after the results of
    those that can, where the decoder says that the file is damaged.
    """
    if not model.form.is_rgb:
        raise UserError(f"{one.path}: a video's frames are RGB of 8 bits, and this model takes {model.form.in_words}")
    if model.confidence is not None:
        raise UserError(f"{one.path}: confidence= writes masks to train on, beside images: save its frames as such")
    targets = outputs.files(one)
    reading = _opened(one.path)
    overlay: _Overlay | None = None
    number = 0
    with outputs.beside() as beside:
        parts = {kind: beside / _PARTS[kind] for kind in targets}
        if "masks" in parts:
            parts["masks"].mkdir()
        try:
            for frames in _batches(reading.frames(), batch_size):
                masks = model.predict_batch([frame for frame, _ in frames])
                for (frame, when), mask in zip(frames, masks, strict=True):
                    if "masks" in parts:
                        write_mask(parts["masks"] / f"{number:06d}.png", mask, outputs.labels)
                    if "overlays" in parts:
                        rate = reading.rate or _rate([when for _, when in frames])
                        overlay = overlay or _Overlay(parts["overlays"], rate, frame, when)
                        overlay.add(draw.overlay(frame, mask, outputs.labels), when)
                    number += 1
                if number % (50 * batch_size) == 0:
                    progress.say(f"{one.path}: frame {number}/{reading.announced if reading.announced > 0 else '?'}")
        finally:
            reading.capture.release()
            if overlay is not None:
                overlay.writer.release()
        if number == 0:
            raise UserError(f"{one.path}: no frame of it can be read{f' ({reading.said[0]})' if reading.said else ''}")
        outputs.note(one, reading.damage)
        for kind, part in parts.items():
            targets[kind].parent.mkdir(parents=True, exist_ok=True)
            put(part, targets[kind], durable=False)
    if reading.damage:
        raise UserError(f"{one.path}: {reading.damage}")
    if 0 < reading.announced != number:
        progress.say(f"{one.path}: {number} frames, where its header announced {reading.announced}; no fault is found")


def _opened(path: Path) -> Reading:
    _check(path)
    with overhearing(_FFMPEG) as heard:
        capture = cv2.VideoCapture(str(path), cv2.CAP_ANY, [cv2.CAP_PROP_N_THREADS, 1])  # one complains in its turn
        if not capture.isOpened():
            capture = cv2.VideoCapture(str(path))  # by another library than FFmpeg
    if not capture.isOpened():
        said = [match[1] for line in heard if (match := _FFMPEG.match(line)) and match[1]]
        raise UserError(f"{path}: no video that OpenCV can read ({said[0] if said else 'no pictures are in it'})")
    rate = capture.get(cv2.CAP_PROP_FPS)
    return Reading(capture, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), rate if 0 < rate <= FASTEST else None)


def _check(path: Path) -> None:
    """UserError for a path of which OpenCV's videos crash the program."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: OpenCV takes no path of a video that is not UTF-8; rename it") from error


class _Overlay:
    """An MP4 of one rate: a frame is repeated until the next one's time, so that it runs as the video does."""

    def __init__(self, path: Path, rate: float, frame: draw.Picture, start: float):
        _check(path)
        self.rate, self.start, self.written = rate, start, 0
        self.before: Any = None
        size = frame.shape[1], frame.shape[0]
        self.writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODEC), rate, size)
        if not self.writer.isOpened():
            raise UserError(f"{path}: this build of OpenCV cannot write MP4 video; ask for write=masks")

    def add(self, frame: draw.Picture, when: float) -> None:
        """when: its time in seconds; one that goes back, or leaps, counts as the next frame's."""
        missing = (when - self.start) * self.rate - self.written
        if self.before is not None and missing <= LEAP * self.rate:
            for _ in range(round(missing)):
                self._write(self.before)
        self.before = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        self._write(self.before)

    def _write(self, frame: Any) -> None:
        self.writer.write(frame)
        self.written += 1


def _rate(times: list[float]) -> float:
    """Frames a second of the first times, where the file says nothing of use."""
    gaps = [after - before for before, after in pairwise(times) if after > before]
    return min(FASTEST, 1 / median(gaps)) if gaps else RATE


def _batches(frames: Iterator[tuple[draw.Picture, float]], size: int) -> Iterator[list[tuple[draw.Picture, float]]]:
    batch: list[tuple[draw.Picture, float]] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
