"""Parts that measure nothing: `python -m tests.gpu.fakes [KEY=VALUE ...]` makes a rehearsal's report of them."""

from experiments.gpu.parts import Part


def parts(*names: str, limit: float = 60.0) -> list[Part]:
    return [Part(f"{__name__}.{name}", name.title(), limit, 1.0) for name in names]
