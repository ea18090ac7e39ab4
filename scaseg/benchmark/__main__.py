"""`python -m scaseg.benchmark`: what a model costs, by part, as it runs and as the paper counts it."""

import importlib
import json
import sys

from scaseg.benchmark.options import BenchmarkConfig, Format
from scaseg.commands import command
from scaseg.config import run_of
from scaseg.errors import UserError
from scaseg.schema import check_trainable


@command("benchmark", BenchmarkConfig)
def main(cfg: BenchmarkConfig) -> None:
    """Print tables, or one JSON object as the last line of standard output."""
    run = run_of(cfg)
    check_trainable(run)
    if cfg.suite is not None and not run.dataset.form.is_rgb:
        raise UserError(f"suite={cfg.suite.value} is measured on RGB of 8 bits, not on {run.dataset.form.in_words}")
    if cfg.suite is not None:
        from scaseg.benchmark.measurement import record
        from scaseg.benchmark.measurement import show as show_rows

        print(f"measuring suite={cfg.suite.value} in {cfg.rounds} rounds: minutes", file=sys.stderr)
        suite = importlib.import_module(f"scaseg.benchmark.{cfg.suite.value}")
        measured = record(cfg.suite.value, suite.rows(cfg, run))
        show_rows(measured)
        if cfg.format is Format.json:
            print(json.dumps(measured))
        return
    from scaseg.benchmark.cost import benchmark, show

    result = benchmark(cfg, run)
    if cfg.format is Format.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
