"""Imports go one way, and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "scaseg"
LEVELS = [  # a module may import from its own level and from those before it
    ("errors", "torchvision_fix", "files", "machine", "named", "runs.folder"),
    ("data.labels", "models.layers"),
    ("models.encoders", "models.decoders"),
    ("models.segmentor", "models.build", "models.weights"),
    ("data", "resized_cross_entropy", "losses", "metrics", "evaluation", "complexity"),
    ("use",),
    ("schema", "config", "config_errors", "run_store"),
    ("runs",),
    ("training",),
    ("suites", "report", "sweep", "comparison"),
    ("values", "overrides", "arguments", "commands", "report.__main__"),
]
FRAMEWORKS = {"lightning", "hydra", "wandb", "omegaconf"}


def level(module: str) -> int:
    best, found = -1, len(LEVELS)  # an unnamed module is a command
    for number, names in enumerate(LEVELS):
        for name in names:
            if (module == name or module.startswith(name + ".")) and len(name) > best:
                best, found = len(name), number
    return found


def imports() -> list[tuple[str, str]]:
    found = []
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(module, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                if node.module in ("scaseg", "scaseg.data", "scaseg.models"):
                    found += [(module, f"{node.module}.{alias.name}") for alias in node.names]
                else:
                    found.append((module, node.module))
    return found


def test_imports_go_one_way() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, target in imports()
        if target.startswith("scaseg.") and level(target.removeprefix("scaseg.")) > level(module)
    ]
    assert wrong == []


def test_only_training_and_above_know_the_frameworks() -> None:
    training = level("config")
    wrong = [
        f"{module} imports {target}"
        for module, target in imports()
        if target.split(".")[0] in FRAMEWORKS and level(module) < training
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module",
    [
        "scaseg",
        "scaseg.errors",
        "scaseg.config",
        "scaseg.train",
        "scaseg.evaluate",
        "scaseg.benchmark",
        "scaseg.prepare",
        "scaseg.browse",
        "scaseg.validate",
        "scaseg.compare",
        "scaseg.figures",
        "scaseg.predict",
        "scaseg.export",
        "scaseg.data.labels",
        "scaseg.run_store",
        "scaseg.runs.asked",
        "scaseg.sweep.launch",
    ],
)
def test_light_modules_do_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
