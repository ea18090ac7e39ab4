"""From a trained SCASeg decoder to one whose heads have each the query/key channels that they are worth."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from scaseg.aligned import aligned
from scaseg.errors import UserError
from scaseg.models.decoders.scaseg import SCASegDecoder
from scaseg.models.layers.attention import CrossAttention
from scaseg.progress import ProgressLine
from scaseg.rank.budget import allocate
from scaseg.rank.options import RankConfig
from scaseg.rank.spectrum import Moments, Spectrum
from scaseg.rank.worth import by_energy, by_loss
from scaseg.runs.folder import model_of
from scaseg.schema import Run
from scaseg.trained.device import chosen_device
from scaseg.trained.images import as_picture
from scaseg.trained.model import TrainedModel, load_model
from scaseg.trained.smaller import place_for, told, write_smaller


@torch.no_grad()
def rank(options: RankConfig, pictures: Sequence[Path]) -> Path:
    """Write the ranked model as the checkpoint of a new folder, which is returned; prints each head's rank."""
    device = chosen_device(options.hardware)
    source = model_of(options.ckpt, "ckpt")
    target = place_for(options.output, source, f"rank-{options.budget:g}")
    model = load_model(source).to(device)
    if options.by == "loss":
        model.require_best_class("scaseg.rank by=loss")
    attentions = _attentions(model, options.ckpt)
    heads = [(attention, head) for attention in attentions for head in range(attention.heads)]
    moments = [Moments(attention) for attention in attentions]
    hooks = [one.attention.register_forward_hook(one) for one in moments]
    features = _features(model, pictures)
    for hook in hooks:
        hook.remove()
    spectra = [one for of_stage in moments for one in of_stage.spectra()]
    costs = by_loss(model.segmentor.decoder, heads, spectra, features) if options.by == "loss" else by_energy(spectra)
    ranks = allocate(costs, int(options.budget * len(heads) + 1e-9))
    ranked, config = _ranked(model, attentions, spectra, ranks)
    write_smaller(target, model, config, ranked, source)
    print(_told(model, attentions, spectra, costs, ranks, options.by))
    print(told(target, model, config))
    return target


def _attentions(model: TrainedModel, ckpt: str) -> list[CrossAttention]:
    """Of each block, in their order; UserError where there is nothing to rank."""
    decoder = model.segmentor.decoder
    if not isinstance(decoder, SCASegDecoder):
        raise UserError(
            f"ckpt={ckpt}: its decoder is {model.config.decoder.name}, and scaseg.rank is for decoder=scaseg"
        )
    found = [module for module in decoder.blocks.modules() if isinstance(module, CrossAttention)]
    if not found:
        raise UserError(f"ckpt={ckpt}: its heads are ranked already: give the model that was trained")
    return found


def _features(model: TrainedModel, pictures: Sequence[Path]) -> list[list[Tensor]]:
    """Of each picture, at the size at which the model sees it, the encoder's four maps."""
    found = []
    with ProgressLine(len(pictures), "pictures seen") as progress:
        for path in pictures:
            images = model.views([as_picture(path, model.form)], model.protocol)[0]
            maps: list[Tensor] = []
            model.segmentor(images, maps)
            found.append(maps)
            progress.advance()
    return found


def _ranked(
    model: TrainedModel,
    attentions: Sequence[CrossAttention],
    spectra: Sequence[Spectrum],
    ranks: Sequence[int],
) -> tuple[dict[str, Tensor], Run]:
    """Tensors of the ranked model and its configuration."""
    names = {module: name for name, module in model.segmentor.named_modules()}
    tensors = {key: value.cpu() for key, value in model.segmentor.state_dict().items()}
    lists, first = [], 0
    for attention in attentions:
        own, of_stage = ranks[first : first + attention.heads], spectra[first : first + attention.heads]
        first += attention.heads
        order = sorted(range(attention.heads), key=lambda head: -own[head])
        tensors |= {
            f"{names[attention]}.{key}": value for key, value in _smaller(attention, of_stage, own, order).items()
        }
        if not any(own):
            del tensors[f"{names[attention]}.q.weight"], tensors[f"{names[attention]}.k.weight"]
        lists.append([own[head] for head in order])
    return tensors, replace(model.config, decoder=model.config.decoder.changed(ranks=lists))


def _smaller(
    attention: CrossAttention, spectra: Sequence[Spectrum], ranks: Sequence[int], order: Sequence[int]
) -> dict[str, Tensor]:
    """Tensors of the attention whose heads come in this order and have these ranks."""
    q, k, v = (
        layer.weight.cpu().double().unflatten(0, (attention.heads, -1))
        for layer in (attention.q, attention.k, attention.v)
    )
    out = attention.out.weight.cpu().unflatten(1, (attention.heads, -1))
    factors = [spectra[head].factors(ranks[head]) for head in order]
    found = {
        "q.weight": torch.cat([a.T @ q[head] for head, (a, _) in zip(order, factors, strict=True)]),
        "k.weight": torch.cat([b.T @ k[head] for head, (_, b) in zip(order, factors, strict=True)]),
        "v.weight": v[list(order)].flatten(0, 1),
        "out.weight": out[:, list(order)].flatten(1),
    }
    return {name: tensor.to(out.dtype) for name, tensor in found.items()}


def _told(
    model: TrainedModel,
    attentions: Sequence[CrossAttention],
    spectra: Sequence[Spectrum],
    costs: Sequence[Sequence[float]],
    ranks: Sequence[int],
    by: str,
) -> str:
    """A row a head: its rank, what it loses by that, and the energy of its logits that stays."""
    rows = [
        ["stage", "head", "channels", "rank", "loss, nats" if by == "loss" else "energy lost, nats^2", "energy kept"]
    ]
    stages = [
        (stage, head)
        for stage, attention in zip(model.segmentor.decoder.blocks, attentions, strict=True)  # type: ignore[arg-type]
        for head in range(attention.heads)
    ]
    for (stage, head), one, of_head, chosen in zip(stages, spectra, costs, ranks, strict=True):
        kept = 1 - one.dropped(chosen) / max(one.dropped(0), 1e-300)
        rows.append([stage, str(head), str(one.channels), str(chosen), f"{of_head[chosen]:.2g}", f"{100 * kept:.1f} %"])
    mean = sum(ranks) / len(ranks)
    return aligned(rows) + f"\nmean rank {mean:.2f} of {sum(one.channels for one in spectra) / len(spectra):g}"
