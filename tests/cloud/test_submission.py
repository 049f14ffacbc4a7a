"""Names and records of submissions."""

from __future__ import annotations

import pytest

from roboyard.cloud.layout import check_name
from roboyard.cloud.submission import Submission
from roboyard.errors import CloudError, ConfigError


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 49, "../a", "a/b", "a\n"])
def test_a_name_that_a_stack_or_a_key_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a submission"):
        check_name(name)


def test_a_record_comes_back_as_it_was_written() -> None:
    given = Submission("ant", "train", "b", "i@sha256:0", "0.1.0", "2026-12-01T00:00:00+00:00")
    assert Submission.from_json(given.to_json()) == given


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "a", "unknown": 1}'])
def test_a_damaged_record_is_one_line(text: str) -> None:
    with pytest.raises(CloudError, match="record cannot be read"):
        Submission.from_json(text)
