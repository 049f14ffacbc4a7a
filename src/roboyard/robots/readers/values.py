"""Numbers and names in a description, with errors that say where they stand."""

from __future__ import annotations

import math
import re

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.robots.readers.xml import XmlNode
from roboyard.sim.mechanics import rotation_from_rpy
from roboyard.sim.model import Floats, Pose, Remark

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_INFINITE = re.compile(r"[+-]?inf(inity)?\Z", re.IGNORECASE)
_NO_LIMIT = 1e9
"""Limits beyond are meant as none."""
LARGEST = 1e12
"""Numbers beyond are no measures of a robot, and engines fail on them."""


class Reading:
    """One file while it is read: where errors stand, and what is remarked on."""

    def __init__(self, file: str, remarks: tuple[Remark, ...] = ()) -> None:
        self.file = file
        self.remarks = list(remarks)
        self.ignored: dict[str, list[int]] = {}

    def refuse(self, node: XmlNode | None, where: str, what: str) -> RobotDescriptionError:
        """Return the error for something at an element."""
        line = f", line {node.line}" if node is not None and node.line else ""
        place = f" {where}:" if where else ""
        return RobotDescriptionError(f"robot description '{self.file}'{line}:{place} {what}")

    def remark(self, code: str, node: XmlNode, where: str, what: str, why: str) -> None:
        """Note one thing that was changed."""
        self.remarks.append(Remark(code, where, what, why, node.line))

    def ignore(self, node: XmlNode, where: str = "") -> None:
        """Note that an element has no effect."""
        name = f"{where}<{node.tag}>" if where else f"<{node.tag}>"
        self.ignored.setdefault(name, []).append(node.line)

    def all_remarks(self) -> tuple[Remark, ...]:
        """Return what was noted, elements without effect counted by name."""
        left = tuple(
            Remark("ignored", name, f"{len(lines)} not used", "it has no part in the simulation",
                   lines[0])
            for name, lines in sorted(self.ignored.items())
        )  # fmt: skip
        return (*self.remarks, *left)

    def numbers(self, node: XmlNode, name: str, count: int, where: str) -> list[float] | None:
        """Return the numbers of an attribute, or None where it is absent.

        Raises:
            RobotDescriptionError: There is another number of them, or something else.
        """
        if name not in node.attributes:
            return None
        text = node.attributes[name]
        words = text.split()
        if not _are_numbers(words):
            words = self._without_commas(node, name, count, where) or words
        if len(words) != count or not _are_numbers(words):
            raise self._no_numbers(node, name, count, where)
        values = [float(word) for word in words]
        if not all(abs(value) <= LARGEST for value in values):
            raise self.refuse(node, where, f"{name} of <{node.tag}> is '{text.strip()}', but must "
                              "hold finite numbers of a size that a robot has.")  # fmt: skip
        return values

    def _without_commas(self, node: XmlNode, name: str, count: int, where: str) -> list[str] | None:
        text = node.attributes[name]
        words = re.split(r"[\s,]+", text.strip().strip(","))
        if count < 2 or len(words) != count or not _are_numbers(words):
            return None
        self.remark("comma-repaired", node, where, f"commas in {name}='{text.strip()}' count as "
                    "spaces", "numbers are divided by spaces")  # fmt: skip
        return words

    def _no_numbers(
        self, node: XmlNode, name: str, count: int, where: str
    ) -> RobotDescriptionError:
        text = node.attributes[name].strip()
        needed = "one number" if count == 1 else f"{count} numbers divided by spaces"
        verb = "be"
        if any(_INFINITE.match(w) or w.lower().strip("+-") == "nan" for w in text.split()):
            verb, needed = "hold", "finite numbers"
        if "${" in text or "$(" in text:
            hint = " It is xacro that was not expanded: give the .xacro file, or expand it first."
        elif "," in text:
            hint = " Decimals have a point, not a comma."
        else:
            hint = ""
        return self.refuse(
            node, where, f"{name} of <{node.tag}> is '{text[:60]}', but must {verb} {needed}.{hint}"
        )

    def number(self, node: XmlNode, name: str, where: str, default: float | None = None) -> float:
        """Return the number of an attribute.

        Raises:
            RobotDescriptionError: It is absent and has no default, or is no number.
        """
        found = self.numbers(node, name, 1, where)
        if found is not None:
            return found[0]
        if default is None:
            raise self.refuse(node, where, f"<{node.tag}> has no {name}.")
        return default

    def limit(self, node: XmlNode, name: str, where: str) -> float | None:
        """Return a limit, infinite where it means none, or None where it is absent."""
        text = node.get(name)
        if _INFINITE.match(text) or (_NUMBER.match(text) and abs(float(text)) > _NO_LIMIT):
            return -math.inf if text.startswith("-") else math.inf
        found = self.numbers(node, name, 1, where)
        return None if found is None else found[0]

    def vector(self, node: XmlNode | None, name: str, where: str,
               default: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Floats:  # fmt: skip
        """Return three numbers, shape (3,)."""
        found = self.numbers(node, name, 3, where) if node is not None else None
        return np.array(default if found is None else found)

    def pose(self, node: XmlNode | None, where: str) -> Pose:
        """Return the pose of URDF's ``<origin>``."""
        return Pose(
            self.vector(node, "xyz", where), rotation_from_rpy(self.vector(node, "rpy", where))
        )

    def name(self, node: XmlNode, kind: str) -> str:
        """Return an element's name."""
        name = node.get("name")
        if not name:
            raise self.refuse(node, "", f"a <{kind}> has no name.")
        return name


def _are_numbers(words: list[str]) -> bool:
    return all(_NUMBER.match(word) for word in words)
