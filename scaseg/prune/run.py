"""From a trained model to one whose widths are worth what they cost."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from scaseg.aligned import aligned
from scaseg.complexity.latency import Ratio
from scaseg.config import image_size
from scaseg.data.build import build_source
from scaseg.data.datasets import TrainBatch, TrainSamples, collate_train
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.progress import ProgressLine, stage
from scaseg.prune.options import PruneConfig
from scaseg.prune.plan import Cost, Plan
from scaseg.prune.smaller import Kept, smaller_run, smaller_tensors
from scaseg.prune.timing import by_time, measured
from scaseg.prune.widths import ENCODERS, Width, widths_of
from scaseg.prune.worth import by_l2, by_taylor, of_blocks
from scaseg.runs.folder import model_of
from scaseg.trained.device import chosen_device
from scaseg.trained.model import TrainedModel, load_model
from scaseg.trained.smaller import place_for, told, write_smaller
from scaseg.training.recipe import build_loss

COSTS = {"params": "parameters", "macs": "multiply-adds", "time": "time"}


def prune(options: PruneConfig) -> Path:
    """Write the smaller model as the checkpoint of a new folder, which is returned; prints each width."""
    device = chosen_device(options.hardware)
    source = model_of(options.ckpt, "ckpt")
    target = place_for(options.output, source, f"prune-{options.target:g}")
    if options.depth and options.importance == "l2":
        raise UserError("depth=true goes by what the loss moves without a block: importance=taylor")
    model = load_model(source).to(device)
    widths, notes = widths_of(model.segmentor)
    if not widths:
        raise UserError(f"ckpt={options.ckpt}: nothing to prune: {'; '.join(notes)}")
    if options.depth and type(model.segmentor.encoder) not in ENCODERS:
        raise UserError(f"ckpt={options.ckpt}: depth=true is for MiT and MSCAN, and its encoder is another")
    for note in notes:
        print(note)
    scores, blocks = _worth(model, widths, options)
    size = image_size(model.config.protocol, model.config.augment, options.image_size)
    cost = Cost("params" if options.by == "params" else "macs", model.asked.logits, size)
    plan = Plan(model.config, widths, scores, cost, options.round, blocks)
    ratio = None
    with stage("choosing widths"):
        if options.by == "time":
            kept, ratio = by_time(plan, options.target, measured(model, scores, size, options.rounds))
            share = ratio.ratio.median
        else:
            kept = plan.kept(options.target)
            share = plan.share(kept)
    if share > options.target:
        raise UserError(
            f"target={options.target:g} by={options.by}: the least that can be reached, with round={options.round} and"
            f" depth={str(options.depth).lower()}, is {share:.3f} of the {COSTS[options.by]}"
        )
    config = smaller_run(model.config, kept)
    tensors = {name: tensor.cpu() for name, tensor in model.segmentor.state_dict().items()}
    write_smaller(target, model, config, smaller_tensors(tensors, kept, scores), source)
    print(_table(plan, kept, options.importance))
    for by in ("params", "macs"):
        of = plan.by(by)
        print(_costs(by, of.whole, of.cost(config), size))
    if ratio is not None:
        print(_time(ratio, size))
    print(told(target, model, config))
    return target


def _worth(
    model: TrainedModel, widths: Sequence[Width], options: PruneConfig
) -> tuple[list[Tensor], list[list[float]] | None]:
    """Of channels and, where these may go, of blocks."""
    if options.importance == "l2":
        return by_l2(model.segmentor, widths), None
    run = model.config
    split = options.split or run.dataset.train_split
    source = build_source(run.dataset, options.data_dir or run.data_dir, split)
    if source.labels.names != model.classes:
        raise UserError(
            f"ckpt={options.ckpt} knows the classes {', '.join(model.classes)}, the dataset has"
            f" {', '.join(source.labels.names)}"
        )
    if not source.labelled:
        raise UserError(f"split={split} has no masks, by which importance=taylor goes: another, or importance=l2")
    terms = build_loss(run.loss, run.dataset.name, source.labels, run.class_pixels.get("train")).to(model.device)
    of_task = model.asked.loss(terms)

    def loss(logits: Tensor, masks: Tensor) -> Tensor:
        found: Tensor = of_task(logits, model.asked.target(masks))
        return found

    samples = TrainSamples(source, run.augment, run.seed, run.dataset.form)

    def batches(unit: str) -> Iterator[TrainBatch]:
        with ProgressLine(options.samples, unit) as progress:
            for n in range(options.samples):
                yield collate_train([samples[n]])
                progress.advance()

    scores = by_taylor(model.segmentor, widths, loss, batches("images for what channels are worth"))
    if not options.depth:
        return scores, None
    return scores, of_blocks(model.segmentor, loss, list(batches("images for what blocks are worth")))


def _table(plan: Plan, kept: Sequence[Kept], importance: str) -> str:
    """A row a width."""
    heading = "loss, nats" if importance == "taylor" else "l2, of the mean"
    rows = [["width", "channels", "kept", heading]]
    for one, loss in zip(kept, plan.loss(kept), strict=True):
        rows.append([one.width.in_words, str(one.width.channels), str(one.channels or "none"), f"{loss:.2g}"])
    return aligned(rows)


def _costs(by: str, before: int, after: int, size: Size) -> str:
    where, unit, sign = ("", 1e6, "M") if by == "params" else (f" at {size[0]} x {size[1]}", 1e9, "G")
    return f"{COSTS[by]}{where}: {after / unit:.3g} {sign} of {before / unit:.3g}, {after / before:.3f}"


def _time(ratio: Ratio, size: Size) -> str:
    share, threads = ratio.ratio, torch.get_num_threads()
    return (
        f"time at {size[0]} x {size[1]}: {ratio.a.median:.3g} s of {ratio.b.median:.3g}, {share.median:.3f} (quartiles"
        f" {share.lower:.3f} and {share.upper:.3f} of {share.rounds} rounds in turn, threads {threads})"
    )
