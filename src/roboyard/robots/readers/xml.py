"""XML of strangers, read safely and with line numbers.

Entities that a file declares are expanded where they hold plain text; those that hold others, or
name a file, are refused. Namespaces need no declaration: many descriptions lack it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from roboyard.errors import RobotDescriptionError
from roboyard.sim.model import FileLine, Remark

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 200
_MAX_ENTITY = 1000
_MAX_EXPANDED = 10_000_000
_DECLARATION = re.compile(rb"\A(\xef\xbb\xbf)?(\s+)(?=<\?xml\s)")


@dataclass(eq=False)
class XmlNode:
    """An element."""

    tag: str
    attributes: dict[str, str]
    source: FileLine
    children: list[XmlNode] = field(default_factory=list)
    text: str = ""

    @property
    def line(self) -> int:
        """Its line in the file."""
        return self.source.line

    def get(self, name: str, default: str = "") -> str:
        """Return an attribute, without spaces around it."""
        return self.attributes.get(name, default).strip()

    def find(self, tag: str) -> XmlNode | None:
        """Return the first child of that name."""
        return next((child for child in self.children if child.tag == tag), None)

    def findall(self, tag: str) -> list[XmlNode]:
        """Return all children of that name."""
        return [child for child in self.children if child.tag == tag]

    def walk(self) -> Iterator[XmlNode]:
        """Return it and all elements below it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


@dataclass(frozen=True)
class Document:
    """A file that was read."""

    root: XmlNode
    remarks: tuple[Remark, ...]
    """What was repaired."""


def read_xml(file: Path) -> Document:
    """Read an XML file.

    Raises:
        RobotDescriptionError: It cannot be read, is no XML, or declares entities that are not
            plain text; the message names the line.
    """
    try:
        size = file.stat().st_size
        content = file.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise RobotDescriptionError(
            f"robot description '{file}' cannot be read ({error})."
        ) from error
    if size > MAX_BYTES:
        raise RobotDescriptionError(
            f"robot description '{file}' has {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} "
            "are read. Put meshes into files of their own."
        )
    return parse_xml(content, file)


def parse_xml(content: bytes, file: Path) -> Document:
    """Read XML from memory; see :func:`read_xml`. ``file`` is named in errors."""
    if not content.strip(b"\0 \t\r\n"):
        raise RobotDescriptionError(f"robot description '{file}' is empty.")
    content, remarks = _repaired(content)
    builder = _Builder(file)
    try:
        builder.parser.Parse(content, True)
    except expat.ExpatError as error:
        left = builder.left_over(content)
        if left is not None:
            return Document(left, (*remarks, _LEFT_OVER))
        raise RobotDescriptionError(
            f"robot description '{file}' is not XML ({error}).{_encoding_hint(content, error)}"
        ) from error
    except (LookupError, ValueError) as error:
        raise RobotDescriptionError(
            f"robot description '{file}' is not XML in an encoding that can be read ({error}). "
            "Save it as UTF-8."
        ) from error
    assert builder.root is not None
    return Document(builder.root, remarks)


def _repaired(content: bytes) -> tuple[bytes, tuple[Remark, ...]]:
    """Return content without what can only be a slip."""
    remarks = []
    is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    before = None if is_wide else _DECLARATION.match(content)
    if before:
        # Lines keep their numbers: the declaration moves up, the blank lines follow it.
        end = content.find(b"?>", before.end()) + 2
        declaration = content[before.end() : end]
        content = declaration + before.group(2) + content[end:]
        remarks.append(Remark("xml-repaired", "the file", "blank lines before the XML declaration "
                              "were skipped", "a declaration must come first"))  # fmt: skip
    return content, tuple(remarks)


_LEFT_OVER = Remark(
    "xml-repaired", "the file", "what follows its last element was skipped",
    "it is a second end tag or zero bytes, which belong to no element",
)  # fmt: skip


def _encoding_hint(content: bytes, error: expat.ExpatError) -> str:
    if error.code != expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
        return ""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return " Its text is not the encoding that it declares (UTF-8 without a word)."
    return ""


class _Builder:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.root: XmlNode | None = None
        self.open: list[XmlNode] = []
        self.expanded = 0
        self.end_of_root = -1
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.data
        self.parser.EntityDeclHandler = self.entity
        self.parser.ExternalEntityRefHandler = self.external

    def refuse(self, what: str) -> RobotDescriptionError:
        line = self.parser.CurrentLineNumber
        return RobotDescriptionError(f"robot description '{self.file}', line {line}: {what}")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise self.refuse(f"elements lie deeper than {MAX_DEPTH} levels.")
        self.count(sum(map(len, attributes.values())))
        node = XmlNode(tag, attributes, FileLine(str(self.file), self.parser.CurrentLineNumber))
        if self.open:
            self.open[-1].children.append(node)
        elif self.root is None:
            self.root = node
        self.open.append(node)

    def end(self, tag: str) -> None:
        del tag  # Expat has compared it.
        self.open.pop()
        if not self.open:
            self.end_of_root = self.parser.CurrentByteIndex

    def data(self, text: str) -> None:
        self.count(len(text))
        if self.open:
            self.open[-1].text += text

    def left_over(self, content: bytes) -> XmlNode | None:
        """Return the root if it is complete and only end tags and zero bytes follow it."""
        if self.open or self.root is None:
            return None
        rest = content[self.end_of_root :].decode("latin-1")
        tag = re.escape(self.root.tag)
        return self.root if re.fullmatch(rf"(\s|\0|</{tag}\s*>)*", rest) else None

    def count(self, characters: int) -> None:
        self.expanded += characters
        if self.expanded > MAX_BYTES + _MAX_EXPANDED:
            raise self.refuse("its entities make it too large.")

    def entity(  # noqa: PLR0917
        self, name: str, is_parameter: int, value: str | None, base: str | None,
        system: str | None, public: str | None, notation: str | None,
    ) -> None:  # fmt: skip
        del base, notation
        if is_parameter or value is None or system or public:
            raise self.refuse(f"the entity '{name}' names something outside; write it out.")
        if "&" in value or "<" in value or len(value) > _MAX_ENTITY:
            raise self.refuse(
                f"the entity '{name}' holds more than {_MAX_ENTITY} letters, elements or other "
                "entities; only plain text is expanded."
            )

    def external(self, *_: object) -> int:
        raise self.refuse("it includes another file as an entity; write it out.")
