"""That a long work shows that it lives, and a short one says nothing."""

import time

import pytest

from scaseg import progress
from scaseg.progress import stage


def test_a_stage_tells_its_seconds_and_ends_its_thread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with stage("quick"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "FIRST_LINE", 0.02)
    monkeypatch.setattr(progress, "LINE_EVERY", 0.02)
    with stage("slow"):
        time.sleep(0.15)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    assert set(lines) == {"slow: 0 s"}
    time.sleep(0.05)
    assert capsys.readouterr().err == ""
