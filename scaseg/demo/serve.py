"""Start the demo on loopback."""

import socket
from collections.abc import Sequence
from pathlib import Path

from scaseg.demo.options import DemoConfig
from scaseg.errors import UserError
from scaseg.exported.model import open_model
from scaseg.progress import stage
from scaseg.runs.folder import CHECKPOINTS, run_of

LOOPBACK = "127.0.0.1"


def serve(options: DemoConfig) -> None:
    """Load the models and answer until interrupted. Raises UserError."""
    try:
        import uvicorn

        from scaseg.demo.server import Limits, application
    except ImportError as error:
        raise UserError(f"the demo needs {error.name}: pip install 'scaseg[demo]'") from error
    paths = options.paths
    names = display_names(paths)
    with stage("loading the models"):
        models = {name: open_model(path, options.hardware) for name, path in zip(names, paths, strict=True)}
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a demo's port stays taken after its end
    try:
        listener.bind((LOOPBACK, options.port))
    except OSError as error:
        raise UserError(f"port={options.port}: {error.strerror}; port=0 takes any that is free") from error
    port = listener.getsockname()[1]
    limits = Limits(options.max_mb * 2**20, options.max_megapixels * 10**6)
    app = application(models, limits, [LOOPBACK, "localhost"])
    print(f"http://{LOOPBACK}:{port}  ({', '.join(models)}; Ctrl-C ends it)", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


def display_names(paths: Sequence[str]) -> list[str]:
    """Short names that tell the models apart: a run's name, with the checkpoint's where one run has several."""
    short = [_run(Path(path)) for path in paths]
    names = [
        run if short.count(run) == 1 else f"{run}/{Path(path).stem}" for run, path in zip(short, paths, strict=True)
    ]
    if len(set(names)) < len(names):
        raise UserError(f"ckpt={list(paths)} names one model twice")
    return names


def _run(path: Path) -> str:
    path = path.resolve()
    if path.is_dir():
        return path.parent.name if path.name == CHECKPOINTS else path.name
    return path.stem if run_of(path) == path.parent else run_of(path).name
