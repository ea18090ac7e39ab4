"""What all commands share: a Hydra application whose user errors are one message and exit status 2."""

import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaseg.config import CONF_DIR
from scaseg.errors import UserError
from scaseg.named import allowing, targets


def command(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Turn a function of a configuration into the `main` of `python -m scaseg.<config_name>`."""

    def decorate(function: Callable[[DictConfig], None]) -> Callable[[], None]:
        @wraps(function)
        def reporting(cfg: DictConfig) -> None:
            logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
            try:
                missing = OmegaConf.missing_keys(cfg)
                if missing:
                    raise UserError(f"{', '.join(sorted(missing))} must be given: {sorted(missing)[0]}=...")
                typed = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=False))
                with allowing((*targets(typed), *typed.get("allow", ()))):  # what the user has named
                    function(cfg)
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                sys.exit(error.exit_status)
            except OmegaConfBaseException as error:
                print(f"error in the configuration: {error}", file=sys.stderr)
                sys.exit(2)

        main: Callable[[], None] = hydra.main(CONF_DIR, config_name, version_base="1.3")(reporting)
        return main

    return decorate
