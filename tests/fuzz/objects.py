"""Damage to single objects of a PDF: anything in the place of anything else."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String

from tests.fuzz import raw

MOST_SLOTS: Final = 3000
KEYS: Final = (
    "/Type", "/Subtype", "/Kids", "/Count", "/Parent", "/Contents", "/Resources", "/MediaBox", "/CropBox",
    "/Rotate", "/UserUnit", "/Annots", "/AcroForm", "/Fields", "/Metadata", "/Perms", "/Extensions", "/Names",
    "/OpenAction", "/AA", "/A", "/Outlines", "/Dests", "/XObject", "/Font", "/SMask", "/Mask", "/Filter",
    "/DecodeParms", "/Width", "/Height", "/BitsPerComponent", "/ColorSpace", "/Decode", "/F", "/FFilter",
    "/FT", "/V", "/T", "/P", "/SigFlags", "/NeedAppearances", "/XFA", "/Version", "/OCProperties", "/ID",
    "/Info", "/Collection", "/StructTreeRoot", "/B", "/Group", "/Requirements", "/Thumb", "/JS", "/S", "/N",
)  # fmt: skip
TYPES: Final = (
    "/Page", "/Pages", "/Catalog", "/XObject", "/Image", "/Form", "/Annot", "/Widget", "/Sig", "/Metadata",
    "/JavaScript", "/Launch", "/GoToR", "/URI", "/EmbeddedFile", "/Filespec", "/DCTDecode", "/FlateDecode",
    "/JBIG2Decode", "/CCITTFaxDecode", "/JPXDecode", "/LZWDecode", "/Crypt", "/DeviceRGB", "/DeviceGray", "/Indexed",
    "/XML", "/DocTimeStamp", "/Btn", "/Tx", "/X#20Y",
)  # fmt: skip
NUMBERS: Final = (0, 1, -1, 2, 7, 90, 255, 256, 14400, 65535, 1 << 31, -(1 << 31), (1 << 63) - 1)
Damage = Callable[[Pdf, Random], None]


def slots(pdf: Pdf) -> list[tuple[Any, Any]]:
    """Return places that hold something: (container, key), from the trailer on."""
    found: list[tuple[Any, Any]] = []
    seen: set[tuple[int, int]] = set()
    waiting: list[Any] = [pdf.trailer]
    while waiting and len(found) < MOST_SLOTS:
        held = waiting.pop(0)
        if not isinstance(held, Object) or (held.is_indirect and held.objgen in seen):
            continue
        if held.is_indirect:
            seen.add(held.objgen)
        if isinstance(held, Dictionary | Stream):
            inside: list[tuple[Any, Any]] = list(held.items())
        elif isinstance(held, Array):
            inside = list(enumerate(held))
        else:
            continue
        for key, value in inside:
            if key not in {"/Length", "/Size"}:
                found.append((held, key))
            waiting.append(value)
    return found


def _slot(pdf: Pdf, rng: Random) -> tuple[Any, Any]:
    return rng.choice(slots(pdf))


def _dictionary(pdf: Pdf, rng: Random) -> Any:
    return rng.choice([held for held, key in slots(pdf) if isinstance(key, str)])


def any_stream(pdf: Pdf, rng: Random) -> Stream:
    return rng.choice([held for held in pdf.objects if isinstance(held, Stream)])


def _indirect(pdf: Pdf, rng: Random) -> Any:
    return rng.choice([held for held in pdf.objects if isinstance(held, Object)])


def value(pdf: Pdf, rng: Random) -> Any:
    """Return anything that a PDF can hold."""
    choices: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: rng.choice(NUMBERS),
        lambda: rng.choice(NUMBERS),
        lambda: rng.random() < 0.5,
        lambda: Name(rng.choice(TYPES)),
        lambda: Name(rng.choice(TYPES)),
        lambda: String(rng.choice(("", "Seal", "Müller", "\x00" * 5, "x" * 70000))),
        lambda: Object.parse(rng.choice((b"<FEFF00>", b"(\\377\\376)", b"<>", b"(\\()"))),
        lambda: Object.parse(
            rng.choice((b"0.00001", b"-1.5", b"123456789.123456789", b"99999999999999999999.5"))
        ),
        Array,
        Dictionary,
        lambda: Array([rng.choice(NUMBERS) for _ in range(rng.choice((1, 2, 4, 6)))]),
        lambda: Dictionary({rng.choice(KEYS): Name(rng.choice(TYPES))}),
        lambda: pdf.make_stream(rng.randbytes(rng.choice((0, 9, 500)))),
        lambda: _indirect(pdf, rng),
        lambda: _indirect(pdf, rng),
        lambda: pdf.Root,
        lambda: pdf.pages[0].obj,
        lambda: pdf.make_indirect(Dictionary()),
    )
    return rng.choice(choices)()


def _is_inside(held: Any) -> bool:
    """Return whether a value is part of what holds it, with more in it.

    Such a one must not get into itself: no file can say that, and qpdf does not survive it.
    """
    return isinstance(held, Array | Dictionary) and not held.is_indirect


def delete(pdf: Pdf, rng: Random) -> None:
    """Leave something out."""
    held, key = _slot(pdf, rng)
    del held[key]


def replace(pdf: Pdf, rng: Random) -> None:
    """Put something else in a place."""
    held, key = _slot(pdf, rng)
    held[key] = value(pdf, rng)


def add(pdf: Pdf, rng: Random) -> None:
    """Give a dictionary one key more, which may mean something."""
    _dictionary(pdf, rng)[rng.choice(KEYS)] = value(pdf, rng)


def add_to_important(pdf: Pdf, rng: Random) -> None:
    """The same for catalog, page tree, a page or the form."""
    important = [pdf.Root, pdf.Root.Pages, *(page.obj for page in pdf.pages[:3])]
    if "/AcroForm" in pdf.Root:
        important.append(pdf.Root.AcroForm)
    rng.choice(important)[rng.choice(KEYS)] = value(pdf, rng)


def number(pdf: Pdf, rng: Random) -> None:
    """Change a number, a little or very much."""
    places = [(held, key) for held, key in slots(pdf) if isinstance(held[key], int)]
    held, key = rng.choice(places)
    near = int(held[key]) + rng.choice((-1, 1, 10))
    held[key] = near if rng.random() < 0.5 else rng.choice(NUMBERS)


def exchange(pdf: Pdf, rng: Random) -> None:
    """Exchange two values, or references."""
    free = [(held, key) for held, key in slots(pdf) if not _is_inside(held[key])]
    (one, key), (other, place) = rng.choice(free), rng.choice(free)
    one[key], other[place] = other[place], one[key]


def rename(pdf: Pdf, rng: Random) -> None:
    """Give a value another key."""
    held, key = rng.choice([(held, key) for held, key in slots(pdf) if isinstance(key, str)])
    value = held[key]
    del held[key]
    held[rng.choice((*KEYS, "/#20", "/" + "k" * 300, "/Ü"))] = value


def circle(pdf: Pdf, rng: Random) -> None:
    """Let something lead back to where it came from."""
    places = [
        (held, key)
        for held, key in slots(pdf)
        if isinstance(held[key], Object) and held[key].is_indirect
    ]
    held, key = rng.choice(places)
    targets = (pdf.Root, pdf.Root.Pages, pdf.pages[0].obj, held)
    held[key] = rng.choice([target for target in targets if target.is_indirect])


def other_tree(pdf: Pdf, rng: Random) -> None:
    """Change the page tree: children that are none, counts that are wrong, parents elsewhere."""
    tree = pdf.Root.Pages
    page = pdf.pages[0].obj
    changes: tuple[Callable[[], Any], ...] = (
        lambda: tree.Kids.append(value(pdf, rng)),
        lambda: tree.__setitem__("/Count", rng.choice(NUMBERS)),
        lambda: page.__setitem__("/Parent", value(pdf, rng)),
        lambda: page.__setitem__("/Kids", Array([page])),
        lambda: page.__setitem__("/Type", Name.Pages),
        lambda: tree.__setitem__("/Kids", value(pdf, rng)),
        lambda: tree.Kids.insert(0, tree if tree.is_indirect else page),
        lambda: pdf.Root.__setitem__("/Pages", page),
        lambda: page.__delitem__("/Type"),
        lambda: tree.__delitem__("/Type"),
    )
    rng.choice(changes)()


def stream_bytes(pdf: Pdf, rng: Random) -> None:
    """Damage the bytes of a stream; its length stays right."""
    held = any_stream(pdf, rng)
    data = bytearray(held.read_raw_bytes())
    for _ in range(rng.choice((1, 1, 3))):
        rng.choice(raw.DAMAGES)(data, rng)
    _write(held, bytes(data))


def _write(held: Stream, data: bytes) -> None:
    how: Any = held.get("/Filter")
    with_what: Any = held.get("/DecodeParms")
    held.write(data, filter=how, decode_parms=with_what)


def stream_filter(pdf: Pdf, rng: Random) -> None:
    """Say that a stream is coded otherwise."""
    held = any_stream(pdf, rng)
    filters = [Name(rng.choice(TYPES[16:23])) for _ in range(rng.choice((0, 1, 1, 2, 40)))]
    held.Filter = Array(filters) if len(filters) != 1 or rng.random() < 0.3 else filters[0]
    if rng.random() < 0.5:
        keys = (
            "/Predictor",
            "/Colors",
            "/Columns",
            "/K",
            "/Rows",
            "/BlackIs1",
            "/EarlyChange",
            "/JBIG2Globals",
        )
        held.DecodeParms = Dictionary({rng.choice(keys): value(pdf, rng) for _ in range(2)})


def trailer(pdf: Pdf, rng: Random) -> None:
    """Have an odd trailer."""
    key = rng.choice(("/Info", "/ID", "/Extra", "/XRefStm", "/Prev", "/Root"))
    pdf.trailer[key] = value(pdf, rng)


CHANGES: Final[tuple[Damage, ...]] = (
    delete, delete, delete, replace, replace, replace, replace, add, add, add_to_important,
    add_to_important, number, number, exchange, rename, circle, circle, other_tree, other_tree,
    stream_bytes, stream_bytes, stream_bytes, stream_filter, trailer,
)  # fmt: skip
