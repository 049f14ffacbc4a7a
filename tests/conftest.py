"""What every test gets: a folder of its own for what Roboyard keeps of its user."""

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory):
    """Keep the key of this user's seals out of the home; child processes inherit it."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
