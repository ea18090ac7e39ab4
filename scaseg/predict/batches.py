"""Predictions for many files: read ahead, batch what is of one size, write behind, and name what fails."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from scaseg.data.images import read_image, size_and_turn
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.form import Form
from scaseg.predict.large import Cut, predict_large
from scaseg.predict.outputs import Outputs
from scaseg.predict.video import predict_video
from scaseg.progress import ProgressLine
from scaseg.trained.images import Picture
from scaseg.trained.inputs import Input
from scaseg.trained.predictor import Predictor

THREADS = 2  # that decode and encode beside the model
BATCH_PIXELS = 2**21  # seen by the model in one batch, which is one image where that alone has more
Result = TypeVar("Result")
Item = TypeVar("Item")


@dataclass
class Outcome:
    """What came of the inputs: names of those done, those kept from before, and (file, reason) of those failed."""

    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def predict_all(
    model: Predictor, inputs: Sequence[Input], outputs: Outputs, batch_size: int, overwrite: bool, cut: Cut
) -> Outcome:
    """Predict every input; one that cannot be read is named, counted and left out. cut: what is seen in windows."""
    outcome = Outcome()
    videos = [one for one in inputs if one.is_video]
    images = [one for one in inputs if not one.is_video]
    with ProgressLine(len(inputs), "images" if not videos else "files") as progress:

        def fail(one: Input, error: UserError) -> None:
            reason = str(error).removeprefix(f"{one.path}: ")
            outcome.failed.append((str(one.path), reason))
            progress.say(f"failed: {one.path}: {reason}")
            progress.advance()

        def wanted(some: Sequence[Input]) -> Iterator[Input]:
            for one in some:
                if overwrite or not outputs.kept(one):
                    yield one
                elif damage := outputs.damage(one):
                    fail(one, UserError(f"{one.path}: {damage} before"))
                else:
                    outcome.kept.append(str(one.name))
                    progress.advance()

        with ThreadPoolExecutor(THREADS) as pool:
            sized, large = _sized(pool, list(wanted(images)), model, cut, fail)
            batches = _batches(sized, model, batch_size)
            writing: deque[Future[None]] = deque()
            for group, pictures in _read_ahead(pool, batches, model.form):
                good = []
                for one, picture in zip(group, pictures, strict=True):
                    if isinstance(picture, UserError):
                        fail(one, picture)
                    else:
                        good.append((one, picture))
                for same in _one_size(good):
                    masks = model.predict_batch([picture for _, picture in same])
                    for (one, picture), mask in zip(same, masks, strict=True):
                        writing.append(pool.submit(outputs.write, one, picture, mask))
                        outcome.done.append(str(one.name))
                    progress.advance(len(same))
                while len(writing) > 2 * batch_size:
                    _written(writing.popleft(), outputs)
            for future in writing:
                _written(future, outputs)
        several = [(one, partial(predict_large, model, one, outputs, cut, progress)) for one in large]
        several += [(one, partial(predict_video, model, one, outputs, batch_size, progress)) for one in wanted(videos)]
        for one, predict in several:
            try:
                predict()
            except UserError as error:
                fail(one, error)
            except OSError as error:
                raise _unwritable(outputs, error) from error
            else:
                outcome.done.append(str(one.name))
                progress.advance()
    return outcome


def _sized(
    pool: ThreadPoolExecutor,
    inputs: Sequence[Input],
    model: Predictor,
    cut: Cut,
    fail: Callable[[Input, UserError], None],
) -> tuple[list[tuple[Size, Input]], list[Input]]:
    """Each readable header's size, headers alone, so that a folder's images can be sorted by size; and what is large.

    That are maps, and what is seen in windows.
    """
    sized, large = [], []
    size_of = partial(_size, form=model.form)
    for one, size in zip(inputs, pool.map(lambda one: _caught(size_of, str(one.path)), inputs), strict=True):
        try:
            if one.is_map:
                large.append(one)
            elif isinstance(size, UserError):
                raise size
            elif reason := model.refusal(size):
                raise UserError(reason)
            elif (cut.window or model.protocol.windows is None) and cut.tiling(model, size) is not None:
                large.append(one)
            else:
                sized.append((size, one))
        except UserError as error:
            fail(one, error)
    return sized, large


def _batches(sized: Sequence[tuple[Size, Input]], model: Predictor, batch_size: int) -> Iterator[list[Input]]:
    """Inputs of one size together, sizes and inputs in the order in which they came."""
    groups: dict[Size, list[Input]] = {}
    for size, one in sized:
        groups.setdefault(size, []).append(one)
    for size, group in groups.items():
        height, width = model.seen_size(size)
        count = max(1, min(batch_size, BATCH_PIXELS // (height * width)))
        for start in range(0, len(group), count):
            yield group[start : start + count]


def _read_ahead(
    pool: ThreadPoolExecutor, batches: Iterable[list[Input]], form: Form
) -> Iterator[tuple[list[Input], list[Picture | UserError]]]:
    """Each batch with its pictures, the next one being read meanwhile."""
    read = partial(read_image, form=form)
    ahead: deque[tuple[list[Input], list[Future[Picture | UserError]]]] = deque()
    for batch in batches:
        ahead.append((batch, [pool.submit(_caught, read, str(one.path)) for one in batch]))
        if len(ahead) > 1:
            group, futures = ahead.popleft()
            yield group, [future.result() for future in futures]
    for group, futures in ahead:
        yield group, [future.result() for future in futures]


def _one_size(pairs: Sequence[tuple[Input, Picture]]) -> list[list[tuple[Input, Picture]]]:
    groups: dict[tuple[int, ...], list[tuple[Input, Picture]]] = {}
    for one, picture in pairs:
        groups.setdefault(picture.shape, []).append((one, picture))
    return list(groups.values())


def _size(path: str, form: Form) -> Size:
    return size_and_turn(path, form)[0]


def _caught(function: Callable[[str], Result], path: str) -> Result | UserError:
    try:
        return function(path)
    except UserError as error:
        return error


def _written(future: "Future[None]", outputs: Outputs) -> None:
    try:
        future.result()
    except OSError as error:
        raise _unwritable(outputs, error) from error


def _unwritable(outputs: Outputs, error: OSError) -> UserError:
    return UserError(f"output={outputs.folder} cannot be written: {error}; the same command goes on")
