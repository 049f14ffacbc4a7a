"""The overview of subcommands, which are imported when they are called."""

import subprocess
import sys

import pytest

from roboyard.cli.app import SUBCOMMANDS, load_subcommand


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_overview_says_what_the_subcommand_itself_says_first(name):
    said = load_subcommand(name).help or ""
    assert " ".join(said.split("\n\n")[0].split()) == SUBCOMMANDS[name].help


@pytest.mark.parametrize("wanted", [["--help"], ["--version"], []])
def test_the_overview_imports_neither_config_nor_engine_nor_torch(wanted):
    heavy = ("pydantic", "yaml", "numpy", "torch", "pybullet", "ray", "roboyard.config")
    code = (
        "import sys, roboyard.cli as cli\n"
        f"sys.argv = ['roboyard', *{wanted!r}]\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_a_wrong_subcommand_is_answered_by_the_nearest():
    code = "import sys, roboyard.cli as cli; sys.argv = ['roboyard', 'trian']; cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "train" in done.stderr
