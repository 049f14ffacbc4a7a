"""Damages descriptions at random and gives them to reader, normaliser, writers and engines."""

from __future__ import annotations

import copy
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import hypothesis.strategies as st
import mujoco
import numpy as np
import pybullet
from hypothesis import HealthCheck, given, seed, settings

from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization import Normalization, normalize
from roboyard.robots.readers.files import read_robots
from roboyard.sim.writers.meshes import MeshStore
from roboyard.sim.writers.mjcf import write_mjcf
from roboyard.sim.writers.urdf import write_urdf

MOST_LINKS = 128
DAMAGE = ["", "0", "-1", "nan", "inf", "1e400", "1e11", "1,5", "0 0", "0 0 0 0", "a", "ä", "\n",
          "base", "b", "ja", "meshes/broken.stl", "../..", "x" * 3000, "1e-300"]  # fmt: skip


def sources(folder: Path) -> list[tuple[str, bytes]]:
    """Return name and content of every case."""
    files = [*sorted(folder.glob("*.urdf")), *sorted(folder.glob("*.xml"))]
    return [(file.name, file.read_bytes()) for file in files]


def damage(data: st.DataObject, content: bytes) -> bytes:
    """Drop, double, swap, rename or change elements, or bytes of the file."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return content
    for _ in range(data.draw(st.integers(1, 2))):
        parents = [(parent, child) for parent in root.iter() for child in parent]
        if not parents:
            break
        parent, child = data.draw(st.sampled_from(parents))
        kind = data.draw(st.sampled_from(["drop", "double", "swap", "value", "key", "rename"]))
        if kind == "drop":
            parent.remove(child)
        elif kind == "double":
            parent.append(copy.deepcopy(child))
        elif kind == "swap":
            _, other = data.draw(st.sampled_from(parents))
            child.attrib, other.attrib = other.attrib, child.attrib
        elif kind == "rename":
            child.tag = data.draw(st.sampled_from([node.tag for node in root.iter()]))
        elif child.attrib:
            damage_attribute(data, child, kind)
    found = ElementTree.tostring(root)
    if data.draw(st.integers(0, 9)) == 0:
        cut = data.draw(st.integers(0, len(found)))
        found = found[:cut] + data.draw(st.binary(max_size=4)) + found[cut + 1 :]
    return found


def damage_attribute(data: st.DataObject, node: ElementTree.Element, kind: str) -> None:
    """Change an attribute's value, or drop it."""
    key = data.draw(st.sampled_from(sorted(node.attrib)))
    if kind == "value":
        node.attrib[key] = data.draw(st.sampled_from(DAMAGE))
    else:
        del node.attrib[key]


def use(file: Path, store: MeshStore, client: int) -> str:
    """Read, write and load a description; return what came of it."""
    try:
        models = [normalize(r, Normalization(max_links=MOST_LINKS)) for r in read_robots(file)]
        texts = [(model, write_urdf(model, store), write_mjcf(model, store)) for model in models]
    except RobotDescriptionError as error:
        assert "\n" not in str(error), str(error)
        return "refused"
    for model, urdf, mjcf in texts:
        assert np.isfinite([link.mass for link in model.links]).all()
        written = file.with_suffix(".canonical")
        written.write_text(urdf.text)
        flags = pybullet.URDF_USE_INERTIA_FROM_FILE
        body = pybullet.loadURDF(
            str(written), flags=flags, useFixedBase=bool(model.is_fixed), physicsClientId=client
        )
        assert pybullet.getNumJoints(body, client) == len(model.joints)
        pybullet.stepSimulation(client)
        pybullet.removeBody(body, client)
        compiled = mujoco.MjModel.from_xml_string(mjcf)
        mujoco.mj_step(compiled, mujoco.MjData(compiled))
    return "simulated"


def main(folder: Path, examples: int) -> None:
    """Run so many examples."""
    cases = sources(folder)
    client = pybullet.connect(pybullet.DIRECT)
    pybullet.setPhysicsEngineParameter(enableFileCaching=0, physicsClientId=client)
    counts = {"refused": 0, "simulated": 0}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        (place / "meshes").symlink_to(folder / "meshes")
        (place / "mjcf_part.xml").symlink_to(folder / "mjcf_part.xml")
        store = MeshStore(place / "store")

        @seed(0)
        @settings(max_examples=examples, deadline=None, database=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(st.data())
        def one(data: st.DataObject) -> None:
            name, content = data.draw(st.sampled_from(cases))
            file = place / f"damaged{Path(name).suffix}"
            file.write_bytes(damage(data, content))
            counts[use(file, store, client)] += 1

        one()
    print(f"{examples} examples: {counts}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
