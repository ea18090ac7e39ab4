"""What all commands share: a Hydra application whose user errors are one message and exit status 2."""

import errno
import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaseg.arguments import checked
from scaseg.choices import CONF_DIR
from scaseg.config import register, typed
from scaseg.config_errors import explained
from scaseg.errors import UserError
from scaseg.named import allowing, targets

Kind = TypeVar("Kind")
# what a user can put right and no command has a better word for; the rest are errors of ours
OF_THE_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ELOOP)


def command(name: str, kind: type[Kind]) -> Callable[[Callable[[Kind], None]], Callable[[], None]]:
    """Turn a function of a typed configuration into the `main` of `python -m scaseg.<name>`, whose keys `kind` has."""
    register(name, kind)

    def decorate(function: Callable[[Kind], None]) -> Callable[[], None]:
        @wraps(function)
        def reporting(cfg: DictConfig) -> None:
            logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
            with _reported(name):
                given: Any = OmegaConf.to_container(cfg, resolve=False)
                with allowing((*targets(given), *given.get("allow", ()))):  # what the user has named
                    function(typed(cfg, kind))

        application = hydra.main(CONF_DIR, name, version_base="1.3")(reporting)

        @wraps(function)
        def main() -> None:
            with _reported(name), _raising():
                sys.argv[1:] = checked(name, sys.argv[1:])
                application()

        return main

    return decorate


@contextmanager
def _reported(config_name: str) -> Iterator[None]:
    """Print what the user can put right as one message, and exit with its status."""
    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except (HydraException, OmegaConfBaseException) as error:
        # the command line was checked: so it is of a job of a sweep
        print(f"error: {explained(error, (), config_name)}", file=sys.stderr)
        sys.exit(UserError.exit_status)
    except KeyboardInterrupt:  # where nothing is left to be said, as training has it of its steps
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        if not _unread(sys.stdout.fileno()):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush at the end
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno not in OF_THE_DISK or error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(UserError.exit_status)


def _unread(pipe: int) -> bool:
    """Whether nobody reads what is written there any more, as after `| head`."""
    poll = select.poll()
    poll.register(pipe, select.POLLERR)
    return bool(poll.poll(0))


@contextmanager
def _raising() -> Iterator[None]:
    """Within it Hydra lets its errors through, which it would print in its own way, with status 1."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before
