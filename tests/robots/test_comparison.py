"""File against simulated, side by side: each difference has its reason."""

from pathlib import Path

import pytest

from roboyard.robots.comparison import compare_models, unexplained
from roboyard.robots.normalization import Normalization, grouped, normalize
from roboyard.robots.readers.files import read_robot
from roboyard.sim.model import Remark

CASES = Path(__file__).parents[1] / "data" / "robots"


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("inertia_not_possible.urdf", {"roll", "pitch", "yaw"}),
        ("planar.urdf", {"links", "joints", "joint 'ja'"}),
        ("mimic_plain.urdf", set()),
        ("root_no_inertial.urdf", set()),
    ],
)
def test_what_differs_is_told_with_its_reason(name: str, differs: set[str]) -> None:
    read = read_robot(CASES / name)
    rows = compare_models(read, normalize(read))
    found = {row.what.split(" inertia")[0] for row in rows if not row.is_equal}
    assert found <= differs
    assert bool(found) is bool(differs)
    assert not unexplained(rows)


def test_computed_masses_are_told() -> None:
    read = read_robot(CASES / "tool_no_inertial.urdf")
    rows = compare_models(read, normalize(read, Normalization(masses="computed")))
    assert not unexplained(rows)


def test_remarks_of_one_kind_are_one_line_and_those_that_matter_come_first() -> None:
    remarks = [
        Remark("ignored", "<gazebo>", "1 not used", "why"),
        *(Remark("inertia-mended", f"link '{n}'", "mended", "why", 3) for n in "abcdef"),
    ]
    first, second = grouped(remarks)
    assert first == (
        "link 'a' (line 3): mended: why; likewise link 'b', link 'c', link 'd' and 2 more"
    )
    assert second.startswith("<gazebo>")
