"""Forward pass of the whole model, logits at the image's size, beside public models on the same encoder."""

from collections.abc import Callable

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.benchmark.decoder import LITERAL
from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.benchmark.peers import mmseg_model, smp_segformer
from scaseg.complexity.latency import interleaved
from scaseg.config import image_size
from scaseg.data.build import num_classes
from scaseg.evaluation.inference import labels_at
from scaseg.models.build import build_segmentor
from scaseg.schema import Run

PEERS = {  # mmsegmentation's configurations for ADE20K
    **{f"mit_b{n}": f"segformer/segformer_mit-b{n}_8xb2-160k_ade20k-512x512.py" for n in range(6)},
    **{f"mscan_{s}": f"segnext/segnext_mscan-{s}_1xb16-adamw-160k_ade20k-512x512.py" for s in "tsb"},
}
GOALS = {"mit_b0": "below 1", "mscan_t": "at most 1.05"}


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """Ratios of times, batch 1, float32, eval mode."""
    torch.set_num_threads(run.hardware.threads or 1)
    name, size, classes = (
        run.backbone.name,
        image_size(run.protocol, run.augment, cfg.image_size),
        num_classes(run.dataset, run.data_dir),
    )
    image = torch.rand(1, 3, *size).mul_(255)
    device = torch.device("cpu")
    ours = build_segmentor(run.backbone, run.decoder, classes).eval()
    literal = build_segmentor(run.backbone, run.decoder.changed(**LITERAL), classes).eval()
    literal.load_state_dict(ours.state_dict())
    where = f"{name} at {size[0]} x {size[1]}, {classes} classes"

    def logits(of: nn.Module) -> Callable[[], Tensor]:
        @torch.inference_mode()
        def forward() -> Tensor:
            out: Tensor = of(image)
            return out if out.shape[2:] == size else F.interpolate(out, size=size, mode="bilinear")

        return forward

    @torch.inference_mode()
    def labels() -> Tensor:
        return labels_at(ours(image), size)

    def argmax() -> Tensor:
        return logits(ours)().argmax(1)

    table = []
    peer = mmseg_model(PEERS[name], classes) if name in PEERS else None
    if peer is not None:
        pair = interleaved(logits(ours), logits(peer), device, 2, cfg.rounds)
        table += [
            Row(f"{where}: ours / mmsegmentation's {PEERS[name].split('/')[0]}", "x", pair.ratio, GOALS.get(name, "")),
            Row(f"{where}: ours", "s", pair.a),
        ]
    peer = smp_segformer(name, classes)
    if peer is not None:
        pair = interleaved(logits(ours), logits(peer), device, 2, cfg.rounds)
        table.append(Row(f"{where}: ours / segmentation-models-pytorch's Segformer", "x", pair.ratio))
    pair = interleaved(logits(ours), logits(literal), device, 1, cfg.rounds)
    table.append(Row(f"{where}: ours / the literal form", "x", pair.ratio))
    pair = interleaved(labels, argmax, device, 1, cfg.rounds)
    table.append(Row(f"{where}: labels in bands / argmax of full-size logits", "x", pair.ratio))
    return table
