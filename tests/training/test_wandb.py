"""When Weights & Biases is online; what it logs is tested by a run in test_run.py."""

from pathlib import Path

import pytest

from scaseg.errors import UserError
from tests.training.tiny import QUIET, config, run

pytestmark = QUIET


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def entry(path: Path, host: str) -> None:
    path.write_text(f"machine {host}\n  login user\n  password {'0' * 40}\n")
    path.chmod(0o600)


def test_an_account_is_found_where_wandb_looks_for_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scaseg.training.loggers.wandb import has_account

    assert not has_account()
    entry(home / ".netrc", "example.org")
    assert not has_account()
    monkeypatch.setenv("WANDB_BASE_URL", "https://example.org:8080")
    assert has_account()
    monkeypatch.delenv("WANDB_BASE_URL")
    entry(home / "other", "api.wandb.ai")
    monkeypatch.setenv("NETRC", str(home / "other"))
    assert has_account()
    monkeypatch.delenv("NETRC")
    (home / ".netrc").write_text("machine")  # cut short
    assert not has_account()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert has_account()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not has_account()


def test_online_without_an_account_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"logger.wandb.mode=online needs a W&B account"):
        run(config(tmp_path / "runs", "logger=wandb", "logger.wandb.mode=online"))
    assert not list((tmp_path / "runs").glob("*"))
