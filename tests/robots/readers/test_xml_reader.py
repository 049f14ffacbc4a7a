"""XML of strangers: what is read, repaired and refused."""

from pathlib import Path

import pytest

from roboyard.errors import RobotDescriptionError
from roboyard.robots.readers.xml import parse_xml, read_xml

FILE = Path("robot.urdf")
DECLARED = '<?xml version="1.0" encoding="{}"?>\n<robot name="körper"><link name="a"/></robot>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1", "cp1252", "utf-16"])
def test_declared_encodings_are_read(encoding: str) -> None:
    text = DECLARED.format("utf-8" if encoding == "utf-8-sig" else encoding)
    document = parse_xml(text.encode(encoding), FILE)
    assert document.root.get("name") == "körper"
    assert document.root.children[0].line == 2


def test_text_in_another_encoding_than_declared_is_named() -> None:
    with pytest.raises(RobotDescriptionError, match="not the encoding that it declares"):
        parse_xml(DECLARED.format("utf-8").encode("latin-1"), FILE)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'\n\n <?xml version="1.0"?>\n<robot/>', "before the XML declaration"),
        (b"<robot>\n</robot>\n\0\0", "what follows its last element"),
        (b"<robot>\n</robot>\n</robot>\n", "what follows its last element"),
    ],
)
def test_slips_beside_the_document_are_repaired_and_told(content: bytes, what: str) -> None:
    document = parse_xml(content, FILE)
    assert document.root.tag == "robot"
    (remark,) = document.remarks
    assert remark.code == "xml-repaired"
    assert what in remark.what


@pytest.mark.parametrize(
    "content",
    [
        b"<robot></robot>text",
        b"<robot></robot><robot/>",
        b"<robot><link></robot>",
        b"<robot",
        b"\x7fELF\0\0",
    ],
)
def test_what_leaves_a_doubt_is_refused(content: bytes) -> None:
    with pytest.raises(RobotDescriptionError, match=r"robot\.urdf' is not XML"):
        parse_xml(content, FILE)


def test_entities_of_plain_text_are_expanded() -> None:
    content = b'<!DOCTYPE robot [<!ENTITY size "1 2 3">]><robot size="&size;"/>'
    assert parse_xml(content, FILE).root.get("size") == "1 2 3"


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "aa"><!ENTITY b "&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        "<!ENTITY % a \"<!ENTITY b 'c'>\">",
        f'<!ENTITY a "{"a" * 2000}">',
        '<!ENTITY a "<link/>">',
    ],
)
def test_entities_that_could_harm_are_refused_with_their_line(declared: str) -> None:
    content = f"<!DOCTYPE robot [{declared}]>\n<robot>&a;</robot>".encode()
    with pytest.raises(RobotDescriptionError, match=r"line 1: .*entit"):
        parse_xml(content, FILE)


def test_many_references_to_a_long_entity_end_soon() -> None:
    entity = f'<!ENTITY a "{"a" * 1000}">'
    content = f"<!DOCTYPE robot [{entity}]><robot>{'&a;' * 200_000}</robot>".encode()
    with pytest.raises(RobotDescriptionError):
        parse_xml(content, FILE)


def test_elements_that_lie_too_deep_are_refused() -> None:
    with pytest.raises(RobotDescriptionError, match="deeper than 200"):
        parse_xml(b"<a>" * 5000, FILE)


def test_a_file_that_is_empty_or_not_there_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.urdf"
    empty.write_bytes(b"")
    with pytest.raises(RobotDescriptionError, match="is empty"):
        read_xml(empty)
    with pytest.raises(RobotDescriptionError, match="cannot be read"):
        read_xml(tmp_path / "none.urdf")
