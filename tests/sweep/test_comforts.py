"""What Hydra's users are used to still works beside the launcher."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def said(*arguments: str, **environment: str) -> str:
    program = [sys.executable, "-m", "scaseg.train", *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_configuration_can_be_looked_at_with_its_overlays() -> None:
    text = said("--cfg", "job", "experiment=table5", "debug=fast", "decoder.attn=ca")
    assert "max_steps: 10\n" in text
    assert "attn: ca\n" in text
    assert "hydra:" not in text
    assert "LocalLauncher" in said("--cfg", "hydra", "-p", "hydra.launcher")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("scaseg-train experiment=table", "experiment=table5"),
        ("scaseg-train decoder.att", "decoder.attn="),
        ("scaseg-train hydra/launcher=lo", "hydra/launcher=local"),
        ("scaseg-train debug=", "debug=overfit"),
    ],
)
def test_the_shell_completes(line: str, offered: str) -> None:
    told = said("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert offered in told.split()


@pytest.mark.parametrize("what", ["plugins", "defaults", "config", "searchpath"])
def test_hydra_tells_about_itself(what: str) -> None:
    assert {"searchpath": "conf"}.get(what, "local") in said("--info", what).lower()
