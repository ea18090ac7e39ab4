from torch import nn


def drop_path(probability: float) -> nn.Module:
    """Stochastic depth over samples (timm's DropPath), or the identity where the probability is 0.

    timm takes seconds to import, and inference, which drops nothing, must not wait for it.
    """
    if probability == 0:
        return nn.Identity()
    import scaseg.torchvision_fix  # noqa: F401

    from timm.layers.drop import DropPath

    layer: nn.Module = DropPath(probability)
    return layer
