"""``module:Attr`` says what is missing: the module, what the module needs, or the name in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboyard.errors import ConfigError
from roboyard.registry import resolve_entry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_module_that_is_not_there_is_to_be_installed() -> None:
    with pytest.raises(ConfigError, match="put its folder on PYTHONPATH"):
        resolve_entry("no_such_module_of_mine.part:Thing")


def test_what_a_module_needs_is_named_and_not_the_module(folder: Path) -> None:
    (folder / "needs_another.py").write_text("import no_such_library\n")
    with pytest.raises(ConfigError, match=r"was found, but .*no_such_library") as found:
        resolve_entry("needs_another:Thing")
    assert "PYTHONPATH" not in str(found.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("roboyard.envs.vector_local", "roboyard.envs.vector.lockstep_vec_env"),
        ("roboyard.training.checkpoint", "roboyard.training.checkpoints.store"),
        ("roboyard.sim.connection", "roboyard.sim.pybullet.connection"),
        ("roboyard.storage.run_directory", "roboyard.runs.directory"),
    ],
)
def test_former_modules_are_the_present_ones_and_say_so(old: str, new: str) -> None:
    import importlib
    import sys

    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"'{old}' is now '{new}'"):
        assert importlib.import_module(old) is importlib.import_module(new)
