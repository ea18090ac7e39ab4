"""The commands, called within the tests' process."""

import importlib
from collections.abc import Callable
from pathlib import Path

import scaseg

PACKAGE = Path(scaseg.__file__).parent


def main_of(command: str) -> Callable[[], None]:
    """The `main` of `python -m scaseg.COMMAND`, a file or a package; importing it makes its keys known to Hydra."""
    module = f"scaseg.{command}.__main__" if (PACKAGE / command).is_dir() else f"scaseg.{command}"
    main: Callable[[], None] = importlib.import_module(module).main
    return main
