"""What a sidecar and a file name say: read strictly, in bounds, and as docs/sidecar.* say."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]

from daemon.document import Described
from daemon.errors import Refused
from daemon.pages import filename, sidecar
from daemon.prepare import Said
from daemon.service import page_workers
from daemon.slip import KEYS, LONGEST, Slip, described, fits, slip_of
from daemon.workers import Workers, typed
from tests.intake import config_of, make_places, section_of

DOCS = Path(__file__).parents[2] / "docs"
WHOLE = Slip(
    operator="m.muster",
    batch="2026-11-22/3",
    number="R-2026-00815",
    pages=4,
    counter=42,
    digits=4,
)
"""What the examples in docs/ say."""


PATTERN = r"(?P<operator>[a-zü]+)_(?P<counter>[0-9]+)(-(?P<pages>[0-9]+))?"


def as_json(**said: Any) -> bytes:
    return json.dumps({"version": 1, **said}).encode()


def as_xml(inside: str, *, before: str = "", root: str = 'sidecar version="1"') -> bytes:
    return f"{before}<{root}>{inside}</{root.split(maxsplit=1)[0]}>".encode()


def place(content: bytes, kind: str) -> str:
    """Return the place that a damaged sidecar is said to be wrong at."""
    with pytest.raises(Refused) as caught:
        sidecar.read(content, kind)
    assert caught.value.code == "sidecar-damaged"
    return str(caught.value.args[0])


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_the_examples_of_the_manual_are_read(kind: str) -> None:
    """Whoever copies one of them has a sidecar that works."""
    assert sidecar.read((DOCS / f"sidecar.{kind}").read_bytes(), kind) == WHOLE


@pytest.mark.parametrize("content", [as_json(), as_json(operator="", counter=None)])
def test_everything_but_the_version_may_be_left_out(content: bytes) -> None:
    """Empty and null say as much as nothing."""
    assert sidecar.read(content, "json") == Slip()
    assert sidecar.read(as_xml("<!-- nothing --><operator/>"), "xml") == Slip()


def test_a_counter_keeps_its_zeros_and_a_text_its_form() -> None:
    """0042 is what stands on the scanner's display; NFC and no blanks around, else as it is."""
    said = sidecar.read(as_json(counter="0042", operator=" Mu\u0308ller "), "json")

    assert (said.counter, said.digits, said.operator) == (42, 4, "M\u00fcller")
    assert sidecar.read(as_json(counter=42), "json").digits == 2


def test_a_byte_order_mark_is_no_damage() -> None:
    """Editors of Windows write one."""
    assert sidecar.read(b"\xef\xbb\xbf" + as_json(pages=3), "json").pages == 3


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", "line 1, column 1"),
        (b'{"version": 1,', "line 1"),
        (b'{"version": 1, "operator": "\xff"}', "byte 28"),
        (b"[]", "version"),
        (b'[["version", 1]]', "number 1"),
        (b"7", "no JSON object"),
        (b"{}", "version"),
        (b'{"version": 2}', "version"),
        (b'{"version": "1"}', "version"),
        (b'{"version": true}', "version"),
        (as_json(operator="a")[:-1] + b', "operator": "b"}', "operator"),
        (as_json(secret_name="Erika"), "number 2 of its keys"),
        (as_json(operator=5), "operator"),
        (as_json(operator={"name": "x"}), "operator"),
        (as_json(operator="two\nlines"), "operator"),
        (as_json(operator="\u202egnp"), "operator"),
        (as_json(batch="x" * (LONGEST + 1)), "batch"),
        (as_json(pages="3"), "pages"),
        (as_json(pages=0), "pages"),
        (as_json(pages=100_001), "pages"),
        (as_json(pages=2.0), "pages"),
        (as_json(counter="4\u0662"), "counter"),
        (as_json(counter=-1), "counter"),
        (as_json(counter="1" * 13), "counter"),
        (b'{"version": 1, "counter": ' + b"9" * 5000 + b"}", "a number"),
        (b'{"version": 1, "pages": NaN}', "a number"),
        (b"[" * 60_000, "nesting"),
    ],
)
def test_json_that_is_not_what_it_has_to_be_is_damaged_and_its_place_is_said(
    content: bytes, where: str
) -> None:
    """A key that nobody reads is one that somebody counts on; the value itself is never said."""
    said = place(content, "json")

    assert where in said
    assert "Erika" not in said


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", "no XML"),
        (as_xml("<operator>"), "line 1"),
        (as_xml("", root="sidecar"), "version"),
        (as_xml("", root='sidecar version="2"'), "version"),
        (as_xml("", root='scan version="1"'), "line 1"),
        (as_xml("", root='sidecar version="1" by="Erika"'), "line 1"),
        (as_xml("", root='sidecar version="1" xmlns="urn:x"'), "line 1"),
        (as_xml("\n<Erika>x</Erika>"), "line 2"),
        (as_xml("<operator>a</operator><operator>b</operator>"), "twice"),
        (as_xml("<operator><b>a</b></operator>"), "line 1"),
        (as_xml('<operator lang="de">a</operator>'), "line 1"),
        (as_xml("<operator>a</operator>Erika"), "text between"),
        (as_xml("Erika<operator>a</operator>"), "line 1"),
        (as_xml("<pages>many</pages>"), "pages"),
        (as_xml("", before="<!DOCTYPE sidecar>"), "document type"),
        (
            as_xml("<operator>&e;</operator>", before='<!DOCTYPE sidecar [<!ENTITY e "Erika">]>'),
            "document type",
        ),
        (
            as_xml(
                "<operator>&e;</operator>",
                before='<!DOCTYPE sidecar [<!ENTITY e SYSTEM "file:///etc/hostname">]>',
            ),
            "document type",
        ),
    ],
)
def test_xml_that_is_not_what_it_has_to_be_is_damaged_and_its_place_is_said(
    content: bytes, where: str
) -> None:
    """No entities, no other files, no namespaces: nothing that a sidecar needs."""
    said = place(content, "xml")

    assert where in said
    assert "Erika" not in said


def test_entities_in_entities_take_no_time() -> None:
    """A thousand million letters in a few hundred bytes."""
    entities = ['<!ENTITY a0 "ha">'] + [
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
    ]
    before = f"<!DOCTYPE sidecar [{''.join(entities)}]>"

    assert place(as_xml("<operator>&a9;</operator>", before=before), "xml")


@given(
    st.dictionaries(st.sampled_from(KEYS), st.text(st.characters(categories=["L", "N", "P", "Zs"])))
)
def test_the_schema_and_the_program_agree(said: dict[str, str]) -> None:
    """What the XSD of the manual takes is read, with the same texts; what is read it takes."""
    schema = etree.XMLSchema(etree.parse(DOCS / "sidecar.xsd"))
    root = etree.Element("sidecar", version="1")
    for key, value in said.items():
        etree.SubElement(root, key).text = value
    content = etree.tostring(root)
    if not schema.validate(root):
        # The manual asks for a number where the program takes nothing for "nothing said".
        trimmed = {key: value.strip() for key, value in said.items()}
        if any(not trimmed.get(key, "x") for key in ("pages", "counter")) or said != trimmed:
            return
        with pytest.raises(Refused):
            sidecar.read(content, "xml")
    elif all(value.isprintable() for value in said.values()):
        assert fits(sidecar.read(content, "xml"))


@pytest.mark.parametrize(
    ("key", "value", "good"),
    [
        ("operator", "x" * 200, True),
        ("operator", "x" * 201, False),
        ("batch", "a\nb", False),
        ("number", "", True),
        ("pages", "1", True),
        ("pages", "007", True),
        ("pages", "100000", True),
        ("pages", "100001", False),
        ("pages", "0", False),
        ("pages", "-1", False),
        ("counter", "0", True),
        ("counter", "9" * 12, True),
        ("counter", "0" * 13, False),
        ("counter", "1.0", False),
        ("version", "1", False),
        ("other", "x", False),
    ],
)
def test_the_limits_of_schema_and_program_are_the_same(key: str, value: str, good: bool) -> None:
    """To the letter."""
    schema = etree.XMLSchema(etree.parse(DOCS / "sidecar.xsd"))
    root = etree.Element("sidecar", version="1")
    etree.SubElement(root, key).text = value

    assert schema.validate(root) is good
    if good:
        assert fits(sidecar.read(etree.tostring(root), "xml"))
    else:
        assert place(etree.tostring(root), "xml")


def test_the_schema_takes_the_example_of_the_manual() -> None:
    """Both are in docs/, and nobody should have to try them out."""
    schema = etree.XMLSchema(etree.parse(DOCS / "sidecar.xsd"))

    assert schema.validate(etree.parse(DOCS / "sidecar.xml"))
    assert not schema.validate(etree.fromstring('<sidecar version="2"/>'))
    assert not schema.validate(etree.fromstring("<sidecar/>"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["version", *KEYS, "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)
WHATEVER = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
CUT = st.tuples(
    st.sampled_from([(DOCS / f"sidecar.{kind}").read_bytes() for kind in ("json", "xml")]),
    st.integers(0, 250),
    st.binary(max_size=4),
).map(lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + len(cut[2]) :])


@given(WHATEVER | CUT, st.sampled_from(["json", "xml"]))
def test_whatever_lies_there_is_read_or_damaged(content: bytes, kind: str) -> None:
    """No other error, which would be a death of the worker; and what was read fits."""
    found: Slip | Refused
    try:
        found = sidecar.read(content, kind)
    except Refused as exc:
        found = exc

    if isinstance(found, Slip):
        assert fits(found)
    else:
        assert found.code == "sidecar-damaged"
        assert str(found.args[0]).isprintable()


@given(st.binary(), st.sampled_from([r"(?P<batch>.*)", r"(?P<counter>.*)_(?P<pages>.*)", PATTERN]))
def test_whatever_a_name_is_it_says_something_or_nothing(name: bytes, pattern: str) -> None:
    """Names are bytes, and anybody's."""
    slip = filename.read(name, pattern)

    assert slip is None or fits(slip)


# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "slip"),
    [
        (b"muster_0042.pdf", Slip(operator="muster", counter=42, digits=4)),
        (b"muster_7-3.tiff", Slip(operator="muster", counter=7, digits=1, pages=3)),
        ("mu\u0308ller_1".encode(), Slip(operator="müller", counter=1, digits=1)),
        (b"muster_0042.pdf.pdf", None),
        (b"Scan.pdf", None),
        (b"muster_" + b"1" * 13 + b".pdf", None),
        (b"muster_1-0.pdf", None),
        (b"\xff_1.pdf", None),
    ],
)
def test_a_name_says_what_its_pattern_finds_in_it_or_nothing(
    name: bytes, slip: Slip | None
) -> None:
    """Without its last extension, and as a whole; one that does not fit says nothing."""
    assert filename.read(name, PATTERN) == slip


def test_a_group_may_be_anything_that_is_printable() -> None:
    """Names are written by people and programs: what cannot be printed is not taken over."""
    assert filename.read(b"a\nb.pdf", r"(?P<batch>(?s:.*))") is None
    assert filename.read(b"\xff.pdf", r"(?P<batch>.*)") is None


# -- both -----------------------------------------------------------------------------------


def test_the_sidecar_counts_before_the_name_and_a_contradiction_is_remarked() -> None:
    """Who wrote a sidecar meant it; who named a file may have meant an older one."""
    beside, name = Slip(operator="a", counter=7, digits=4), Slip(operator="b", counter=7, pages=2)

    assert described("", beside, name, ["name-unmatched"]) == Described(
        operator="a",
        source="sidecar",
        counter=7,
        digits=4,
        pages=2,
        remarks=("name-unmatched", "sidecar-differs"),
    )
    assert described("x", None, name, []).source == "name"
    assert described("", None, None, []) == Described()


@pytest.mark.parametrize(
    "slip",
    [
        Slip(operator="x" * 201),
        Slip(operator="a\x1b[2J"),
        Slip(number=" padded"),
        Slip(batch="u\u0308"),
        Slip(pages=-1),
        Slip(pages=100_001),
        Slip(counter=5),
        Slip(counter=123, digits=2),
        Slip(counter=1, digits=13),
        Slip(digits=4),
        Slip(counter=-2),
    ],
)
def test_a_worker_that_lies_is_found_out(slip: Slip) -> None:
    """It could have been taken over by the sidecar that it read."""
    assert not fits(slip)


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=30)))
def test_whatever_slip_of_makes_fits(said: dict[str, str]) -> None:
    """Else a good document would be refused for its own word."""
    try:
        slip = slip_of(said)
    except ValueError:
        return
    assert fits(slip)


# -- in a page worker -----------------------------------------------------------------------


def test_the_services_own_page_worker_reads_both_in_its_sandbox(tmp_path: Path) -> None:
    """What it needs for that is there inside of its walls: lxml, codecs and all."""

    async def work() -> None:
        config = config_of(tmp_path, section_of(tmp_path))
        make_places(config)
        pages = Workers(page_workers(config)[:1])
        try:
            replies = [
                await pages.call(
                    "describe",
                    {"sidecar": base64.b64encode(content).decode(), "kind": kind},
                    seconds=20,
                )
                for kind in ("json", "xml")
                for content in [(DOCS / f"sidecar.{kind}").read_bytes()]
            ]
            named = await pages.call(
                "describe", {"name": b"muster_0042.pdf".hex(), "pattern": PATTERN}, seconds=20
            )
            with pytest.raises(Refused, match="no XML"):
                await pages.call("describe", {"sidecar": "", "kind": "xml"}, seconds=20)
            assert pages.replaced == 0
        finally:
            await pages.stop()

        assert [typed(Said, reply).slip for reply in replies] == [WHOLE, WHOLE]
        assert typed(Said, named).slip == Slip(operator="muster", counter=42, digits=4)

    asyncio.run(work())
