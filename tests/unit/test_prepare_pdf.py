"""PDFs become files that lack nothing but their CMS, or are refused with the reason."""

from __future__ import annotations

import io
import re
import zlib
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from lxml import etree  # type: ignore[import-untyped]
from pikepdf import Array, Dictionary, Name

from daemon import prepare, transfernote
from daemon.errors import Refused, TransientError
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import PAGE, handmade, pdf, prepared, read_back
from tests.unit.pdf_sources import updated

if TYPE_CHECKING:
    from pathlib import Path

OURS = f"{{{transfernote.NAMESPACE}#}}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
EXTENSION = "{http://www.aiim.org/pdfa/ns/extension/}"
PACKET = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    b' dc:format="application/pdf">%b</rdf:Description></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


ENTITY = b'<!ENTITY a "aa">'


def packet_of(path: Path) -> Any:
    with pikepdf.open(path) as made:
        return etree.fromstring(made.Root.Metadata.read_bytes())


def with_metadata(data: bytes, **entries: Any) -> bytes:
    def change(made: pikepdf.Pdf) -> None:
        made.Root.Metadata = made.make_stream(data, Type=Name.Metadata, **entries)

    return pdf(change=change)


def test_the_gap_holds_a_random_mark_and_zeros(tmp_path: Path) -> None:
    """The main process digests all but the gap, and trusts the offsets only if this holds."""
    _, target, reply = prepared(tmp_path, pdf())
    data = target.read_bytes()

    gap = data[reply["gap_start"] : reply["gap_end"]]

    assert reply["size"] == len(data)
    assert re.fullmatch(rb"<[0-9a-f]{32}0{2016}>", gap)
    assert gap[1:33] != b"0" * 32
    assert data.count(gap[1:33]) == 1


def test_the_byte_range_is_everything_but_the_gap(tmp_path: Path) -> None:
    """It was written into the place of wider numbers, and must still be read as four."""
    _, target, reply = prepared(tmp_path, pdf())

    with pikepdf.open(target) as made:
        value = made.Root.AcroForm.Fields[-1].V

        assert [int(number) for number in value.ByteRange] == [
            0,
            reply["gap_start"],
            reply["gap_end"],
            reply["size"] - reply["gap_end"],
        ]


def test_the_signature_is_an_empty_certification(tmp_path: Path) -> None:
    """PAdES B-B with DocMDP: what a validator will see once the CMS is there."""
    _, target, _ = prepared(tmp_path, pdf(), permissions=2)

    with pikepdf.open(target) as made:
        field = made.Root.AcroForm.Fields[-1]
        value = field.V

        assert value.is_indirect
        assert value.SubFilter == Name("/ETSI.CAdES.detached")
        assert value.Filter == Name("/Adobe.PPKLite")
        assert str(value.M) == "D:20261122100021Z"
        assert str(value.Name) == "Stadt Musterstadt, Bürgeramt"
        assert str(value.Reason) == "Scankonzept 1.4"
        assert value.Reference[0].TransformMethod == Name.DocMDP
        assert value.Reference[0].TransformParams.P == 2
        assert made.Root.Perms.DocMDP.objgen == value.objgen
        assert made.Root.AcroForm.SigFlags == 3


def test_the_field_shows_nothing_on_the_first_page(tmp_path: Path) -> None:
    """PDF/A accepts an empty rectangle with the flags print and locked, and nothing less."""
    _, target, _ = prepared(tmp_path, pdf(2))

    with pikepdf.open(target) as made:
        (field,) = made.pages[0].obj.Annots

        assert [int(edge) for edge in field.Rect] == [0, 0, 0, 0]
        assert field.F == 132
        assert field.objgen == made.Root.AcroForm.Fields[0].objgen
        assert "/Annots" not in made.pages[1].obj


def test_without_permissions_there_is_no_certification(tmp_path: Path) -> None:
    """`permissions = 0` is an ordinary signature."""
    source, target, reply = prepared(tmp_path, pdf(), permissions=0)

    with pikepdf.open(target) as made:
        assert "/Perms" not in made.Root
        assert "/Reference" not in made.Root.AcroForm.Fields[0].V
    assert read_back(source, target, reply["kind"])["permissions"] == 0


def test_a_form_keeps_its_fields_and_gets_one_more(tmp_path: Path) -> None:
    """Also if a field has the name of ours, and all pages share one list of annotations."""
    source, target, reply = prepared(tmp_path, pdf(2, change=samples.add_form))

    with pikepdf.open(target) as made:
        form = made.Root.AcroForm
        assert [str(field.T) for field in form.Fields] == ["Seal", "Seal 2"]
        assert str(form.Fields[0].V) == "42"
        assert form.get_bool(Name.NeedAppearances)
        assert len(made.pages[0].obj.Annots) == 3
        assert len(made.pages[1].obj.Annots) == 2
    assert read_back(source, target, reply["kind"])["images"] == 2


@pytest.mark.parametrize(
    "name", [b"(Seal)", b"<feff005300650061006c>", b"<efbbbf5365616c>"], ids=["plain", "16", "8"]
)
def test_a_field_of_our_name_is_known_however_it_is_spelled(tmp_path: Path, name: bytes) -> None:
    """Two fields of one name are one field to most readers."""
    field = b"<< /FT /Tx /T %b >>" % name
    others = b"<< /FT /Tx /T <efbbbfff> >> << /FT /Tx /T /Seal >> << /FT /Tx >>"
    scan = handmade(
        {
            **PAGE,
            1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [ %b %b ] >> >>"
            % (field, others),
        }
    )

    source, target, _ = prepared(tmp_path, scan)

    with pikepdf.open(target) as made:
        assert str(made.Root.AcroForm.Fields[-1].T) == "Seal 2"
    assert read_back(source, target, "pdf")["images"] == 1


def test_there_is_one_revision_with_a_plain_table(tmp_path: Path) -> None:
    """Whatever the scan had: object streams, a table in a stream, an appended revision."""
    modern = pdf(object_stream_mode=pikepdf.ObjectStreamMode.generate)
    _, target, _ = prepared(tmp_path, modern)
    data = target.read_bytes()

    assert (data.count(b"startxref"), data.count(b"%%EOF"), data.count(b"\nxref\n")) == (1, 1, 1)
    assert b"/ObjStm" not in data
    assert b"/Prev" not in data


def test_i11_every_stream_of_the_scan_is_in_the_file_as_it_was(tmp_path: Path) -> None:
    """Nothing is unpacked, packed anew or improved; here the bytes say so, not our own check."""
    scan = pdf(3, compress_streams=True)
    _, target, _ = prepared(tmp_path, scan)
    data = target.read_bytes()

    with pikepdf.open(io.BytesIO(scan)) as original:
        streams = [
            item.read_raw_bytes() for item in original.objects if item._type_name == "stream"
        ]

    assert len(streams) == 6
    assert all(stream in data for stream in streams)


def test_a_page_that_imitates_the_placeholder_is_not_mistaken_for_it(tmp_path: Path) -> None:
    """A page can contain any text that we could search for, but not the random mark."""

    def imitate(made: pikepdf.Pdf) -> None:
        text = b"4 0 obj\n<< /ByteRange [ 0 9999999999 9999999999 9999999999 ] /Contents <%b>"
        made.pages[0].obj.Contents = made.make_stream(text % (b"0" * 2048))

    source, target, reply = prepared(tmp_path, pdf(change=imitate))

    assert read_back(source, target, "pdf")["byte_range"][1] == reply["gap_start"]


def test_the_note_is_in_the_metadata(tmp_path: Path) -> None:
    """Embedded, so that nobody can lose it: what RESISCAN calls inseparable."""
    _, target, reply = prepared(tmp_path, pdf(2))
    rdf = packet_of(target)[0]

    found = {element.tag[len(OURS) :]: element.text for element in rdf.iter(f"{OURS}*")}

    note = transfernote.completed(
        samples.NOTE, reply["images"], reply["findings"], reply["checked_at"], pdfa="2b"
    )
    assert {name: text or "" for name, text in found.items()} == transfernote.as_xmp(note)
    assert found["images"] == "2"


def test_the_note_describes_its_namespace_as_pdfa_wants_it(tmp_path: Path) -> None:
    """ISO 19005-2, 6.6.2.3: a property of an unknown namespace without a schema is an error."""
    _, target, _ = prepared(tmp_path, pdf())
    (bag,) = packet_of(target).iter(f"{EXTENSION}schemas")
    (schema,) = bag.iter("{http://www.aiim.org/pdfa/ns/schema#}namespaceURI")

    names = [name.text for name in bag.iter("{http://www.aiim.org/pdfa/ns/property#}name")]

    assert schema.text == f"{transfernote.NAMESPACE}#"
    assert tuple(names) == transfernote.names()


@pytest.mark.parametrize("packed", [False, True])
def test_what_the_metadata_said_before_stays(tmp_path: Path, *, packed: bool) -> None:
    """A scanner's own properties belong to the document."""
    packet = PACKET % (
        b"<dc:title>Bescheid</dc:title>"
        b'<p:PDFVersion xmlns:p="http://ns.adobe.com/pdf/1.3/">1.3</p:PDFVersion>'
    )
    scan = with_metadata(packet)
    if packed:
        scan = with_metadata(zlib.compress(packet), Filter=Name.FlateDecode)

    _, target, reply = prepared(tmp_path, scan)
    root = packet_of(target)

    assert root.findtext(f".//{DC}title") == "Bescheid"
    assert root.find(f".//{RDF}Description").get(f"{DC}format") == "application/pdf"
    assert root.findtext(".//{http://ns.adobe.com/pdf/1.3/}PDFVersion") == "1.3"
    assert root.findtext(f".//{OURS}document") == samples.NOTE.document
    # A title is in languages: this one, and what else nobody knows, may not stand in a PDF/A.
    assert reply["findings"] == ("pdfa-not-claimed",)


def test_properties_that_only_we_may_write_are_not_believed(tmp_path: Path) -> None:
    """A scan could bring a transfer note of its own."""
    own = b'<s:creator xmlns:s="urn:scanseal:transfernote:1#">Someone</s:creator>'
    attribute = PACKET.replace(
        b' dc:format="', b' xmlns:s="urn:scanseal:transfernote:1#" s:quality="good" dc:format="'
    )

    _, target, _ = prepared(tmp_path, with_metadata(attribute % own))
    root = packet_of(target)

    assert [element.text for element in root.iter(f"{OURS}creator")] == ["K 17"]
    assert root.find(f".//{RDF}Description").get(f"{OURS}quality") is None


def test_a_second_list_of_schemas_is_not_added(tmp_path: Path) -> None:
    """PDF/A allows one in the whole packet."""
    listed = (
        b'<e:schemas xmlns:e="http://www.aiim.org/pdfa/ns/extension/"><rdf:Bag>'
        b'<rdf:li rdf:parseType="Resource"><s:schema xmlns:s="http://www.aiim.org/pdfa/ns/schema#">'
        b"Theirs</s:schema></rdf:li></rdf:Bag></e:schemas>"
    )

    _, target, _ = prepared(tmp_path, with_metadata(PACKET % listed))
    (schemas,) = packet_of(target).iter(f"{EXTENSION}schemas")

    assert len(schemas[0]) == 2


@pytest.mark.parametrize(
    "scan",
    [
        with_metadata(b"<not xml"),
        with_metadata(b"<html/>"),
        with_metadata(PACKET.replace(b"<x:", b"<!DOCTYPE x [%b]><x:" % ENTITY, 1) % b"&a;"),
        with_metadata(PACKET % b"<dc:title>x</dc:title>" + b" " * (1 << 20)),
        with_metadata(zlib.compress(b" " * (50 << 20)), Filter=Name.FlateDecode),
        with_metadata(b"not packed", Filter=Name.FlateDecode),
        with_metadata(b"78", Filter=Name.ASCIIHexDecode),
        pdf(change=lambda made: made.Root.__setattr__("Metadata", Dictionary(A=1))),
    ],
)
def test_metadata_that_cannot_be_read_is_replaced_and_a_finding(
    tmp_path: Path, scan: bytes
) -> None:
    """No scan is refused for it; the original keeps what it said."""
    source, target, reply = prepared(tmp_path, scan)

    assert reply["findings"] == ("metadata-replaced",)
    assert packet_of(target).findtext(f".//{OURS}creator") == "K 17"
    assert read_back(source, target, "pdf")["compared"] == "streams"


def test_a_table_of_contents_that_leads_nowhere_is_no_damage(tmp_path: Path) -> None:
    """Capture software writes them; a reference to nothing means null (ISO 32000-1, 7.3.10)."""
    outlines = {
        **PAGE,
        1: b"<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>",
        4: b"<< /Type /Outlines /First 9 0 R /Last 4 0 R /Count 0 >>",
    }

    source, target, _ = prepared(tmp_path, handmade(outlines))

    assert read_back(source, target, "pdf")["images"] == 1


def refusal(tmp_path: Path, scan: bytes, **changes: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan, **changes)
    assert not list(tmp_path.glob("*.prepared")), "a refused scan leaves nothing in work/out"
    return caught.value


DRAWN = {
    **samples.PAGE,
    3: b"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 9 9 ] /Contents 4 0 R /Resources << >> >>",
    4: b"<< /Length 12 >>\nstream\n0 0 9 9 re f\nendstream",
}


def test_what_is_named_and_there_but_not_in_the_table_is_damage(tmp_path: Path) -> None:
    """Qpdf shows an empty page; poppler searches for what is named, and shows a black one."""
    scan = handmade(DRAWN)
    assert scan.count(b" 00000 n ") == 4
    last = scan.rindex(b" 00000 n ")
    free = scan[:last] + b" 00000 f " + scan[last + 9 :]
    beyond = scan.replace(b"xref\n0 5", b"xref\n0 4").replace(b"/Size 5", b"/Size 4")
    cut = beyond.rindex(b" 00000 n ") - 10
    beyond = beyond[:cut] + beyond[cut + 20 :]

    prepared(tmp_path, scan)
    for damaged in (free, beyond):
        with pytest.raises(Refused, match="pdf-damaged: the PDF names an object"):
            prepared(tmp_path, damaged)


def test_a_damaged_end_does_not_bring_an_older_page_back(tmp_path: Path) -> None:
    """Qpdf takes the end of the revision before, whose page is empty; poppler shows the newest."""
    empty = updated(handmade(DRAWN), {4: b"<< /Length 0 >>\nstream\n\nendstream"})
    scan = updated(empty, {4: DRAWN[4]})
    place = scan.rindex(b"startxref\n") + len(b"startxref\n160")

    for damaged in (scan[:place] + b"\xfa\xec" + bytes(200), scan[: place - 4] + b"%%EOF\n"):
        refused = refusal(tmp_path, damaged)
        assert refused.code == "pdf-damaged"
        assert "the end of the PDF" in str(refused)
    prepared(tmp_path, scan)


def test_what_is_named_and_nowhere_is_nothing(tmp_path: Path) -> None:
    """Readers agree about it, and it is common."""
    scan = handmade({**DRAWN, 1: b"<< /Type /Catalog /Pages 2 0 R /Metadata 9 0 R >>"})

    source, target, _ = prepared(tmp_path, scan)

    assert read_back(source, target, "pdf")["images"] == 1


@pytest.mark.parametrize("number", [1 << 63, 10**30])
def test_i10_a_number_that_fits_nowhere_is_damage_not_a_death(tmp_path: Path, number: int) -> None:
    """Qpdf has no error of its own for it."""
    scan = handmade(DRAWN)
    start = scan.rindex(b"startxref\n") + 10
    wild = scan[:start] + b"%d\n%%%%EOF\n" % number
    linked = scan.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % number)

    for damaged in (wild, linked):
        with pytest.raises(Refused, match="pdf-damaged"):
            prepared(tmp_path, damaged)


def encrypted(user: str) -> bytes:
    return pdf(encryption=pikepdf.Encryption(user=user, owner="geheim"))


def signed(where: str) -> bytes:
    def change(made: pikepdf.Pdf) -> None:
        page = made.pages[0].obj
        value = made.make_indirect(Dictionary(Type=Name.Sig))
        parent = made.make_indirect(Dictionary(FT=Name.Sig, T=pikepdf.String("p"), V=value))
        field = made.make_indirect(
            Dictionary(Subtype=Name.Widget, Rect=[0, 0, 0, 0], Parent=parent)
        )
        parent.Kids = Array([field])
        if where == "form":
            made.Root.AcroForm = Dictionary(Fields=Array([parent]))
        elif where == "page":
            page.Annots = Array([field])
        else:
            made.Root.Perms = Dictionary({f"/{where}": value})

    return pdf(change=change)


def unnamed(made: pikepdf.Pdf) -> None:
    """Add signature fields that nobody has used, one of them with its widget apart."""
    field = made.make_indirect(Dictionary(FT=Name.Sig, T=pikepdf.String("later")))
    widget = Dictionary(Subtype=Name.Widget, Rect=[0, 0, 0, 0], Parent=field)
    field.Kids = Array([made.make_indirect(widget)])
    made.Root.AcroForm = Dictionary(Fields=Array([field]))


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        (b"", "file-empty"),
        (b"GIF89a" + b"\0" * 99, "format-unknown"),
        (encrypted("geheim"), "pdf-encrypted"),
        (encrypted(""), "pdf-encrypted-empty"),
        (signed("form"), "already-signed"),
        (signed("page"), "already-signed"),
        (signed("DocMDP"), "already-signed"),
        (signed("UR3"), "already-signed"),
        (pdf(21), "too-many-pages"),
        (
            handmade({1: PAGE[1], 2: b"<< /Type /Pages /Count 0 /Kids [ ] >>"}),
            "no-pages",
        ),
    ],
)
def test_what_cannot_be_sealed_is_refused_by_its_code(
    tmp_path: Path, scan: bytes, code: str
) -> None:
    """The person at the scanner gets a sentence and a remedy for each of them."""
    assert refusal(tmp_path, scan).code == code


def test_a_prepared_file_counts_as_signed(tmp_path: Path) -> None:
    """Our own output that came back into the hot folder: one document, one seal."""
    _, target, _ = prepared(tmp_path, pdf())
    elsewhere = tmp_path / "again"
    elsewhere.mkdir()

    assert refusal(elsewhere, target.read_bytes()).code == "already-signed"


def test_a_signature_field_that_nobody_used_is_no_signature(tmp_path: Path) -> None:
    """Forms bring empty ones, for somebody to sign later."""
    source, target, _ = prepared(tmp_path, pdf(change=unnamed))

    assert read_back(source, target, "pdf")["permissions"] == 1


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def shifted(data: bytes) -> bytes:
    """Move everything behind the header by a byte, so that the table is wrong."""
    return data[:9] + b"\n" + data[9:]


def longer_stream(data: bytes) -> bytes:
    return re.sub(rb"/Length (\d)(\d)\b", rb"/Length \g<1>9", data, count=1)


@pytest.mark.parametrize(
    "scan",
    [
        cut(pdf()),
        shifted(pdf()),
        longer_stream(pdf()),
        handmade({**PAGE, 2: b"<< /Type /Pages /Count 2 /Kids [ 3 0 R ] >>"}),
        handmade({**PAGE, 2: b"<< /Type /Pages /Count 1 /Kids [ 2 0 R ] >>"}),
        handmade({**PAGE, 3: PAGE[3].replace(b"/MediaBox [ 0 0 9 9 ]", b"")}),
        handmade({**PAGE, 3: PAGE[3].replace(b"/Parent", b"/Annots 7 /Parent")}),
        handmade({**PAGE, 1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm 7 >>"}),
        handmade({**PAGE, 1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields 7 >> >>"}),
        handmade({**PAGE, 1: b"<< /Type /Catalog /Pages 2 0 R /X 4 0 R >>", 4: b"[ " * 99}),
        handmade({1: b"<< /Type /Catalog >>"}),
        b"%PDF-1.7\n%%EOF\n",
    ],
)
def test_a_pdf_that_has_to_be_repaired_is_refused(tmp_path: Path, scan: bytes) -> None:
    """A repair is a guess, and other readers may guess differently (I12)."""
    error = refusal(tmp_path, scan)

    assert error.code == "pdf-damaged"
    assert str(tmp_path) not in str(error), "the message reaches the journal: no path, no name"


def test_the_target_is_never_overwritten(tmp_path: Path) -> None:
    """A worker that outlived its daemon may still be writing under another name, never this one."""
    source, target, _ = prepared(tmp_path, pdf())
    before = target.read_bytes()

    with pytest.raises(TransientError, match="EEXIST"):
        prepare.prepare(samples.request(source, target))

    assert target.read_bytes() == before
