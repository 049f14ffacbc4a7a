"""Small experiments for the tests of tuning."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuning_studies import BASE, Study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return a function that writes ``study.yaml`` beside its base config and returns its path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)

    def write(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(f"name: study\nbase: base.yaml\n{text}\n")
        return path

    return write
