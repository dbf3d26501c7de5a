"""Which rules of PDF/A-2b (ISO 19005-2) a PDF breaks, as far as scans can break them.

These are own checks, not those of a validator: `RULES` names each with its clause,
docs/decisions/0015-pdfa.md what is not covered. They are stricter than the standard.
What is unusual for a scan is not judged but taken for broken, because a claim that
is false is worse than none (I12).

Everything that can be reached is looked at once for each part that it plays: the
catalog, a page, a font. What plays none of them is held to what holds for all objects.
What qpdf writes anew for every file needs no look: header, table, lengths, spaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pikepdf import Array, Dictionary, Name, Object, Stream, String
from pikepdf import ObjectType as Kind

from daemon.pages import colours, lettering, objects, operators
from daemon.pages.drawn import content_of
from daemon.pages.entries import entries_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pikepdf import Pdf

RULES: Final = {
    "header": "6.1.2", "limits": "6.1.13", "filter": "6.1.7.2", "external-stream": "6.1.7.1",
    "page-size": "6.1.13", "content-stream": "6.2.2", "resources": "6.2.2",
    "output-intent": "6.2.3", "icc-profile": "6.2.4.2", "device-rgb": "6.2.4.3",
    "device-cmyk": "6.2.4.3", "colour-space": "6.2.4", "graphics-state": "6.2.5",
    "rendering-intent": "6.2.6", "image": "6.2.8", "jpeg-2000": "6.2.8.3",
    "form-xobject": "6.2.9", "postscript": "6.2.9.3", "transparency": "6.2.10",
    "font": "6.2.11", "text-visible": "6.2.11.4.1", "annotation-type": "6.3.1",
    "annotation-flags": "6.3.2", "annotation-appearance": "6.3.3", "form": "6.4.1",
    "xfa": "6.4.2", "action": "6.5.1", "additional-actions": "6.5.2", "metadata": "6.6.2",
    "embedded-files": "6.8", "optional-content": "6.9", "presentation": "6.10",
    "requirements": "6.11",
    # no clause: it was not looked at to its end
    "too-large": "",
}  # fmt: skip
"""Every rule that is looked at, and its clause."""

ACTIONS: Final = frozenset({"/GoTo", "/URI", "/Named", "/Thread"})
NAMED: Final = frozenset({"/NextPage", "/PrevPage", "/FirstPage", "/LastPage"})
ANNOTATIONS: Final = frozenset({
    "/Text", "/Link", "/FreeText", "/Line", "/Square", "/Circle", "/Polygon", "/PolyLine",
    "/Highlight", "/Underline", "/Squiggly", "/StrikeOut", "/Stamp", "/Caret", "/Ink", "/Popup",
    "/Widget",
})  # fmt: skip
BLENDS: Final = frozenset({
    "/Normal", "/Compatible", "/Multiply", "/Screen", "/Overlay", "/Darken", "/Lighten",
    "/ColorDodge", "/ColorBurn", "/HardLight", "/SoftLight", "/Difference", "/Exclusion", "/Hue",
    "/Saturation", "/Color", "/Luminosity",
})  # fmt: skip
INTENTS: Final = frozenset(intent.decode() for intent in operators.INTENTS)
PRINT, FORBIDDEN_FLAGS = 4, 1 | 2 | 32 | 256
"""Print has to be set; Invisible, Hidden, NoView and ToggleNoView must not be."""
VERSIONS: Final = frozenset(f"/1.{minor}" for minor in range(8))
MOST_OBJECTS: Final = 100_000
MOST_DRAWING: Final = 32 << 20
"""Bytes of drawing, of all pages: a thousand pages of recognised text, in two seconds."""
JPX_HEAD: Final = 1 << 16
"""Bytes in which a JPEG 2000 file has to have said what it is."""
_ARRAY, _STREAM = Kind.array, Kind.stream
_CONTAINERS: Final = (Kind.array, Kind.dictionary, Kind.stream)
"""No set: whether it is one of these is asked very often, and a set asks for its hash first."""


def broken_by(pdf: Pdf) -> set[str]:
    """Return the name of each rule that *pdf* breaks; an output intent, if it lacks one, is added."""
    walk = _Walk(pdf)
    walk.to_the_end()
    walk.broken |= walk.of_the_whole()
    matching = colours.MATCHING.get(_intent(pdf, walk.broken), "")
    devices = walk.broken & {"device-rgb", "device-cmyk"}
    walk.broken -= devices & {matching}
    if not ("1.0" <= pdf.pdf_version <= "1.7"):
        walk.broken.add("header")
    return walk.broken


def _intent(pdf: Pdf, broken: set[str]) -> bytes:
    """Return the colour space of the output intent: its own, or that of the one to be added."""
    if Name.OutputIntents not in pdf.Root:
        return b"RGB "
    intents = pdf.Root.OutputIntents
    if isinstance(intents, Array) and len(intents) == 1 and isinstance(intents[0], Dictionary):
        only = intents[0]
        profile = only.get("/DestOutputProfile")
        named = isinstance(only.get("/OutputConditionIdentifier"), String)
        if isinstance(profile, Stream) and only.get(Name.S) == Name.GTS_PDFA1 and named:
            head, components = colours.head_of(profile), profile.get_int(Name.N) or 0
            space = head[16:20]
            if space in colours.MATCHING and colours.profile_fits(
                head, components, colours.OUTPUT_CLASSES
            ):
                return space
    broken.add("output-intent")
    return b""


class _Walk:
    """All that can be reached, and the rules that it was seen to break."""

    def __init__(self, pdf: Pdf) -> None:
        self.broken: set[str] = set()
        self._seen: set[tuple[tuple[int, int], str]] = set()
        self._met: set[tuple[int, int]] = set()
        self._overprints = self._in_another_mode = False
        self._drawn = 0
        self._parts: Mapping[str, Any] = {
            "page": self._page, "annotation": self._annotation, "form": self._form,
            "field": self._field, "action": self._action, "resources": self._resources,
            "xobject": self._xobject, "state": self._state, "font": self._font,
            "group": self._group,
        }  # fmt: skip
        self._waiting: list[tuple[Any, str]] = [(pdf.trailer.get("/Info"), "")]
        self._catalog(pdf.Root, entries_of(pdf.Root))
        # Last in, first out: a page is to be met as one before the tree leads to it.
        self._waiting.extend((page.obj, "page") for page in pdf.pages)

    def to_the_end(self) -> None:
        """Look at all that waits, and all that it leads to."""
        waiting, count = self._waiting, 0
        while waiting:
            count += 1
            if count > MOST_OBJECTS:
                self.broken.add("too-large")
                return
            item, part = waiting.pop()
            kind = item._type_code if isinstance(item, Object) else None  # noqa: SLF001
            if kind not in _CONTAINERS:
                continue
            if item.is_indirect:
                number = item.objgen
                if (number, part) in self._seen or (not part and number in self._met):
                    continue
                self._seen.add((number, part))
                if number not in self._met:
                    self._met.add(number)
                    self.broken |= objects.limits_broken_by(item)
            if kind is _ARRAY:
                waiting.extend((child, part) for child in item)
                continue
            self._dictionary(item, part, stream=kind is _STREAM)

    def of_the_whole(self) -> set[str]:
        """Return the rules that are broken only by what stands in different places (6.2.4.2)."""
        both = self._overprints and self._in_another_mode
        return {"graphics-state"} if both else set()

    def _dictionary(self, item: Any, part: str, *, stream: bool) -> None:
        entries = entries_of(item.stream_dict if stream else item)
        self.broken |= objects.broken_by(entries, stream=stream)
        for key in ("/A", "/PA"):
            action = entries.get(key)
            if isinstance(action, Dictionary) and "/S" in action:
                self._waiting.append((action, "action"))
        typed: Mapping[str, str] = {}
        if part:
            typed = self._parts[part](item, entries)
        self._waiting.extend(
            (value, typed.get(key, ""))
            for key, value in entries.items()
            if isinstance(value, Object)
        )

    # -- the document ---------------------------------------------------------------

    def _catalog(self, catalog: Object, entries: dict[str, Any]) -> None:
        # What it says of itself is written anew.
        entries.pop("/Metadata", None)
        self.broken |= objects.limits_broken_by(catalog)
        self.broken |= objects.broken_by(entries, stream=False)
        self.broken |= objects.catalog_broken_by(entries)
        if objects.name(entries.get("/Version"), "/1.7") not in VERSIONS:
            self.broken.add("header")
        typed = {"/AcroForm": "form"}
        if isinstance(entries.get("/OpenAction"), Dictionary):
            typed["/OpenAction"] = "action"
        if catalog.is_indirect:
            self._met.add(catalog.objgen)
        self._waiting.extend((value, typed.get(key, "")) for key, value in entries.items())

    def _page(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        if "/PresSteps" in entries:
            self.broken.add("presentation")
        self._draws(entries.get("/Contents"), entries.get("/Resources"))
        return {"/Annots": "annotation", "/Resources": "resources", "/Group": "group"}

    def _draws(self, held: Any, resources: Any) -> None:
        content = content_of(held)
        if content is None:
            self.broken.add("content-stream")
            return
        self._drawn += len(content)
        if self._drawn > MOST_DRAWING:
            self.broken.add("too-large")
            return
        own = resources if isinstance(resources, Dictionary) else None
        self.broken |= operators.broken_by(content, own)

    # -- what is done with it -------------------------------------------------------

    def _action(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        kind = objects.name(entries.get("/S"))
        if kind not in ACTIONS or (
            kind == "/Named" and objects.name(entries.get("/N")) not in NAMED
        ):
            self.broken.add("action")
        return {"/Next": "action"}

    def _annotation(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        kind = objects.name(entries.get("/Subtype"))
        if kind not in ANNOTATIONS:
            self.broken.add("annotation-type")
        flags = entries.get("/F")
        said = flags if isinstance(flags, int) else 0
        if kind != "/Popup" and (not said & PRINT or said & FORBIDDEN_FLAGS):
            self.broken.add("annotation-flags")
        if kind == "/Widget" and "/A" in entries:
            self.broken.add("form")
        for key in ("/C", "/IC"):
            colour = entries.get(key)
            if isinstance(colour, Array):
                self.broken |= {3: {"device-rgb"}, 4: {"device-cmyk"}}.get(len(colour), set())
        shown = entries.get("/AP")
        if shown is None:
            if kind not in {"/Popup", "/Link"} and not objects.is_nothing(entries.get("/Rect")):
                self.broken.add("annotation-appearance")
            return {}
        button = kind == "/Widget" and objects.name(entries.get("/FT")) == "/Btn"
        if not isinstance(shown, Dictionary) or set(shown.keys()) != {"/N"}:
            self.broken.add("annotation-appearance")
            return {}
        # The states of a button are in a dictionary; of everything else there is one.
        wanted = Dictionary if button else Stream
        if not isinstance(shown.N, wanted):
            self.broken.add("annotation-appearance")
        states = shown.N.values() if isinstance(shown.N, Dictionary) else [shown.N]
        self._waiting.extend((state, "xobject") for state in states)
        return {}

    def _form(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        if entries.get("/NeedAppearances", False) is not False:
            self.broken.add("form")
        if "/XFA" in entries:
            self.broken.add("xfa")
        return {"/Fields": "field", "/DR": "resources"}

    def _field(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        if "/A" in entries:
            self.broken.add("form")
        return {"/Kids": "field"}

    # -- what a page shows ----------------------------------------------------------

    def _resources(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        for kind, part in (("/XObject", "xobject"), ("/Font", "font"), ("/ExtGState", "state")):
            named = entries.get(kind)
            if isinstance(named, Dictionary):
                self._waiting.extend((value, part) for value in entries_of(named).values())
        spaces = entries.get("/ColorSpace")
        if isinstance(spaces, Dictionary):
            for space in entries_of(spaces).values():
                self.broken |= colours.broken_by(space)
        for kind in ("/Pattern", "/Shading"):
            named = entries.get(kind)
            if named is not None and not (isinstance(named, Dictionary) and len(named) == 0):
                self.broken.add("colour-space")
        return {}

    def _xobject(self, item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        kind = objects.name(entries.get("/Subtype"))
        if kind == "/Image" and isinstance(item, Stream):
            self._image(item, entries)
            return {"/SMask": "xobject", "/Mask": "xobject"}
        if kind == "/Form" and isinstance(item, Stream):
            if {"/OPI", "/Ref", "/Subtype2", "/PS"} & entries.keys():
                self.broken.add("form-xobject")
            self._draws(item, entries.get("/Resources"))
            return {"/Resources": "resources", "/Group": "group"}
        self.broken.add("postscript" if kind == "/PS" else "form-xobject")
        return {}

    def _image(self, item: Stream, entries: dict[str, Any]) -> None:
        if {"/Alternates", "/OPI"} & entries.keys() or entries.get("/SMaskInData", 0) != 0:
            self.broken.add("image")
        if entries.get("/Interpolate", False) is not False:
            self.broken.add("image")
        if objects.name(entries.get("/Intent"), "/Perceptual") not in INTENTS:
            self.broken.add("rendering-intent")
        space, stencil = entries.get("/ColorSpace"), entries.get("/ImageMask") is True
        if "/JPXDecode" in objects.filters(entries):
            fits = objects.filters(entries) == ["/JPXDecode"] and colours.jpeg_2000_fits(
                bytes(memoryview(item.get_raw_stream_buffer())[:JPX_HEAD])
            )
            if not fits:
                self.broken.add("jpeg-2000")
        elif not stencil and (space is None or not _bits_fit(entries)):
            self.broken.add("image")
        if space is not None:
            self.broken |= colours.broken_by(space)

    def _group(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        if objects.name(entries.get("/S")) != "/Transparency":
            self.broken.add("transparency")
        if "/CS" in entries:
            self.broken |= colours.broken_by(entries["/CS"])
        return {}

    def _state(self, _item: Any, entries: dict[str, Any]) -> Mapping[str, str]:
        if {"/TR", "/HTP", "/Font"} & entries.keys():
            self.broken.add("graphics-state")
        self._overprints |= any(entries.get(key, False) is not False for key in ("/OP", "/op"))
        self._in_another_mode |= entries.get("/OPM", 0) != 0
        if any(objects.name(entries.get(key), "/Default") != "/Default" for key in ("/TR2", "/HT")):
            self.broken.add("graphics-state")
        if objects.name(entries.get("/RI"), "/Perceptual") not in INTENTS:
            self.broken.add("rendering-intent")
        if objects.name(entries.get("/BM"), "/Normal") not in BLENDS:
            self.broken.add("transparency")
        mask = entries.get("/SMask")
        if isinstance(mask, Dictionary):
            self._waiting.append((mask.get("/G"), "xobject"))
            if objects.name(mask.get("/TR"), "/Identity") != "/Identity":
                self.broken.add("transparency")
        elif objects.name(mask, "/None") != "/None":
            self.broken.add("transparency")
        return {}

    def _font(self, item: Any, _entries: dict[str, Any]) -> Mapping[str, str]:
        if not lettering.fits(item):
            self.broken.add("font")
        return {}


def _bits_fit(entries: Mapping[str, Any]) -> bool:
    # A fax has one bit to a pixel, whether that is said or not.
    if {"/CCITTFaxDecode", "/JBIG2Decode"} & {*objects.filters(entries)}:
        return True
    bits = entries.get("/BitsPerComponent")
    return isinstance(bits, int) and bits in {1, 2, 4, 8, 16}
