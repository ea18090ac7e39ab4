"""Names for the parts of a decoder, from the module path of an operation inside it."""

import re

# SCASeg's modules; (path, kind, part), the first that matches. {} is the stage.
_SCASEG = (
    (r"gathers\.(\d)", ".*", "stage {} gather"),
    (r"blocks\.(\d)\.attention", "product", "stage {} attention products"),
    (r"blocks\.(\d)\.(?:attention|norm_query|norm_memory)", ".*", "stage {} attention projections"),
    (r"blocks\.(\d)\.(?:lpm|norm_lpm)", ".*", "stage {} LPM"),
    (r"blocks\.(\d)\.(?:ffn|norm_ffn)", ".*", "stage {} FFN"),
    (r"fuse", ".*", "fuse"),
    (r"classifier", ".*", "head"),
)


def decoder_part(path: str, kind: str) -> str:
    """`path` is relative to the decoder; a decoder without names of its own is divided by its children."""
    for pattern, kinds, name in _SCASEG:
        if (match := re.match(pattern + r"(?:\.|$)", path)) and re.fullmatch(kinds, kind):
            return "decoder " + name.format(*match.groups())
    child = path.split(".")[0] or "itself"
    return f"decoder {child} products" if kind == "product" else f"decoder {child}"
