"""Imports go one way, and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "scaseg"
LEVELS = [  # a module may import from its own level and from those before it
    (
        "errors",
        "aligned",
        "torchvision_fix",
        "typed",
        "identity",
        "parts",
        "files",
        "machine",
        "progress",
        "pages",
        "named",
        "form",
    ),
    ("statistics",),
    ("data.sizes", "data.labels", "data.augment", "evaluation.protocol"),
    ("schema",),
    ("runs.folder", "runs.result", "models.layers"),
    ("models.encoders", "models.decoders"),
    ("models.segmentor", "models.build", "models.weights"),
    ("data", "losses", "distillation", "schedules", "evaluation", "complexity"),
    ("tasks",),
    ("runs.earlier", "runs.counts", "runs.checkpoint", "runs.figures"),
    ("trained",),
    ("exported",),
    ("config", "config_errors", "choices", "create", "runs.store"),
    ("runs",),
    ("training",),
    ("report", "sweep"),
    ("values", "overrides", "renamed", "arguments", "commands"),
    ("report.__main__",),
]
COMMANDS = ("audit", "benchmark", "compare", "demo", "export", "predict", "prune", "rank", "report")  # packages
KNOWN = {"compare": ("figures",), "report": ("dashboard", "plan")}  # commands of one file, at home in another's package
FRAMEWORKS = {"lightning", "hydra", "wandb", "omegaconf"}


def level(module: str) -> int:
    best, found = -1, len(LEVELS)  # an unnamed module is a command
    for number, names in enumerate(LEVELS):
        for name in names:
            if (module == name or module.startswith(name + ".")) and len(name) > best:
                best, found = len(name), number
    return found


def imports() -> list[tuple[str, str]]:
    """(importing module, imported module) of all import statements, those within functions too."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(module, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    target = f"{node.module}.{alias.name}"
                    found.append((module, target if is_module(target) else node.module))
    return found


def is_module(name: str) -> bool:
    path = PACKAGE.parent / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_imports_go_one_way() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, target in imports()
        if target.startswith("scaseg.") and level(target.removeprefix("scaseg.")) > level(module)
    ]
    assert wrong == []


def test_no_circles() -> None:
    """Those within functions count: a circle is two modules of which none can be read, or moved, alone."""
    targets: dict[str, set[str]] = {}
    for module, target in imports():
        if target == "scaseg" or target.startswith("scaseg."):
            targets.setdefault(module, set()).add(target.removeprefix("scaseg").removeprefix("."))
    circles, done = [], set()

    def follow(module: str, way: tuple[str, ...]) -> None:
        if module in way:
            circles.append(" -> ".join((*way[way.index(module) :], module)))
        elif module not in done:
            for target in sorted(targets.get(module, ())):
                follow(target, (*way, module))
            done.add(module)

    for module in sorted(targets):
        follow(module, ())
    assert circles == []


def test_no_command_imports_a_command() -> None:
    """Its main, that is; and of the rooms of a command nothing but the command knows."""
    commands = {path.stem for path in PACKAGE.glob("*.py") if "@command(" in path.read_text()}
    wrong = []
    for module, target in imports():
        name, _, room = target.removeprefix("scaseg.").partition(".")
        own = module.split(".")[0]
        is_main = name in commands or room == "__main__"
        if target.startswith("scaseg.") and (is_main or (name in COMMANDS and own not in (name, *KNOWN.get(name, ())))):
            wrong.append(f"{module} imports {target}")
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
        "scaseg.choices",
        "scaseg.config",
        "scaseg.train",
        "scaseg.evaluate",
        "scaseg.benchmark.__main__",
        "scaseg.prepare",
        "scaseg.browse",
        "scaseg.validate",
        "scaseg.audit.__main__",
        "scaseg.audit.asked",
        "scaseg.compare.__main__",
        "scaseg.figures",
        "scaseg.plan",
        "scaseg.prune.__main__",
        "scaseg.rank.__main__",
        "scaseg.predict.__main__",
        "scaseg.export.__main__",
        "scaseg.exported.model",
        "scaseg.predict.run",
        "scaseg.data.labels",
        "scaseg.runs.store",
        "scaseg.runs.asked",
        "scaseg.runs.result",
        "scaseg.sweep.launch",
    ],
)
def test_light_modules_do_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
