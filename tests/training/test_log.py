"""A run's log tells what happens in its threads, too."""

from __future__ import annotations

import threading
from pathlib import Path

from roboyard.runs.log_file import logged_to


def test_a_thread_that_ends_by_an_error_says_so_and_where(tmp_path: Path) -> None:
    def quietly_wrong() -> None:
        raise RuntimeError("odd")

    hook = threading.excepthook
    with logged_to(tmp_path / "train.log"):
        thread = threading.Thread(target=quietly_wrong, name="helper")
        thread.start()
        thread.join()
    text = (tmp_path / "train.log").read_text()
    assert "thread 'helper' ended by an error: RuntimeError('odd')" in text
    assert "quietly_wrong" in text
    assert threading.excepthook is hook
