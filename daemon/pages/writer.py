"""Writes the PDF around wrapped images, from front to back, holding none of them.

The structure is ours alone and always the same, so no library is asked; qpdf
reads every file back before it counts (`shown`, `sealed`).

    page 1: image (mask, profile), content, page    ...    note, form, catalog, table

It is PDF/A-2b, unless an image breaks a rule: those that images can break are in
`broken` (ISO 19005-2); see `pdfa` for PDFs that come as such.
"""

from __future__ import annotations

import secrets
from typing import IO, TYPE_CHECKING, Final

from daemon.pages import attached, colours, intent
from daemon.pages.dss import NO_STORE, Store
from daemon.pages.picture import Picture, device_space, number
from daemon.pages.signature import EXISTS_AND_APPEND_ONLY, EmptySignature, widget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.pages.picture import Chunks

CATALOG, TREE, SIGNATURE, FIELD = 1, 2, 3, 4
"""Numbers of the objects that others refer to before they are written."""

COMPONENTS: Final = {b"/DeviceGray": 1, b"/DeviceRGB": 3, b"/DeviceCMYK": 4}
SMALLEST: Final = 3
"""Units of a page's side (ISO 19005-2, 6.1.13)."""
LARGEST: Final = (1 << 31) - (1 << 20)
"""Bytes before the end: the numbers of the ByteRange must not be larger than 31 bits hold."""


class Writer:
    """One PDF, written to an empty file from its start."""

    def __init__(self, file: IO[bytes]) -> None:
        """Begin the file."""
        self._file = file
        self._offsets: dict[int, int] = {}
        self._last = FIELD
        self._pages: list[int] = []
        self._profile: tuple[bytes, int] = (b"", 0)
        self._position = 0
        self._broken: set[str] = set()
        self._put(b"%PDF-1.7\n%\xbf\xf7\xa2\xfe\n")

    @property
    def broken(self) -> frozenset[str]:
        """The rules of PDF/A-2b that the pages so far break."""
        return frozenset(self._broken | ({"limits"} if self._position > LARGEST else set()))

    def page(self, picture: Picture) -> None:
        """Write one page that shows *picture*, and nothing else."""
        image = self._image(picture)
        width, height, unit = picture.points
        w, h = number(width), number(height)
        if min(float(w), float(h)) < SMALLEST:
            self._broken.add("page-size")
        matrix = (
            b"-%b 0 0 %b %b 0" % (w, h, w) if picture.turn.mirrored else b"%b 0 0 %b 0 0" % (w, h)
        )
        content = self._stream(b"", iter([b"q\n%b cm\n/Im Do\nQ\n" % matrix]))
        notes = b" /Annots [ %d 0 R ]" % FIELD if not self._pages else b""
        turned = b" /Rotate %d" % picture.turn.degrees if picture.turn.degrees else b""
        larger = b" /UserUnit " + number(unit) if unit > 1 else b""
        self._pages.append(
            self._object(
                b"<< /Type /Page /Parent %d 0 R /MediaBox [ 0 0 %b %b ]%b%b%b /Contents %d 0 R"
                b" /Resources << /XObject << /Im %d 0 R >> >> >>"
                % (TREE, w, h, notes, turned, larger, content, image)
            )
        )

    def finish(
        self,
        empty: EmptySignature,
        title: str,
        packet: bytes,
        *,
        claims: bool = False,
        attachment: bytes = b"",
        store: Store = NO_STORE,
    ) -> None:
        """Write the rest: page tree, signature, form, note, evidence, catalog, table.

        With the output intent if the *packet* claims PDF/A, and with the note as *attachment*.
        """
        kids = b" ".join(b"%d 0 R" % page for page in self._pages)
        self._object(b"<< /Type /Pages /Count %d /Kids [ %b ] >>" % (len(self._pages), kids), TREE)
        note = self._stream(b" /Type /Metadata /Subtype /XML", iter([packet]))
        added = b""
        if claims:
            profile = self._stream(intent.STREAM, iter([intent.PROFILE]))
            added += b" /OutputIntents [ %b ]" % intent.source(profile)
        if attachment:
            held = self._stream(attached.stream(attachment, empty.moment), iter([attachment]))
            added += attached.catalog(self._object(attached.specification(held)))
        self._object(empty.source, SIGNATURE)
        self._object(widget(title, self._pages[0], SIGNATURE), FIELD)
        certified = b" /Perms << /DocMDP %d 0 R >>" % SIGNATURE if empty.permissions else b""
        added += self._store(store)
        self._object(
            b"<< /Type /Catalog /Pages %d 0 R /Metadata %d 0 R"
            b" /AcroForm << /Fields [ %d 0 R ] /SigFlags %d >>%b%b >>"
            % (TREE, note, FIELD, EXISTS_AND_APPEND_ONLY, certified, added),
            CATALOG,
        )
        self._table()

    def _store(self, store: Store) -> bytes:
        """Write the evidence; return the catalog's entry for it."""
        entries = b""
        for key, streams in store.lists:
            numbers = (self._stream(b"", iter([one])) for one in streams)
            entries += b" /%b [ %b ]" % (key.encode(), b" ".join(b"%d 0 R" % n for n in numbers))
        return b" /DSS %d 0 R" % self._object(b"<< /Type /DSS%b >>" % entries) if store else b""

    def _image(self, picture: Picture) -> int:
        mask = b""
        if picture.mask is not None:
            mask = b" /SMask %d 0 R" % self._image(picture.mask)
        base = picture.base or picture.colours
        chunks = picture.chunks
        if picture.icc:
            if not colours.profile_fits(picture.icc, COMPONENTS[base]):
                self._broken.add("icc-profile")
            base = b"[ /ICCBased %d 0 R ]" % self._profile_of(picture.icc, base)
        elif base == b"/DeviceCMYK":
            self._broken.add("device-cmyk")
        elif not base:
            chunks = self._jpeg_2000(chunks)
        colour = picture.colours % base if picture.base else base
        space = b" /ColorSpace " + colour if colour else b""
        return self._stream(
            b" /Type /XObject /Subtype /Image /Width %d /Height %d%b %b%b"
            % (picture.width, picture.height, space, picture.entries, mask),
            chunks(),
        )

    def _jpeg_2000(self, chunks: Chunks) -> Chunks:
        """Return the same *chunks*; what the first of them says of the image is looked at."""

        def passing() -> Iterator[bytes]:
            head = b""
            for chunk in chunks():
                if not head:
                    head = chunk
                    if not colours.jpeg_2000_fits(head):
                        self._broken.add("jpeg-2000")
                yield chunk

        return passing

    def _profile_of(self, icc: bytes, base: bytes) -> int:
        """Return the profile's object: pages of one scanner share it."""
        held, profile = self._profile
        if held != icc:
            components = COMPONENTS[base]
            profile = self._stream(
                b" /N %d /Alternate %b" % (components, device_space(components)), iter([icc])
            )
            self._profile = icc, profile
        return profile

    def _stream(self, entries: bytes, chunks: Iterator[bytes]) -> int:
        """Write a stream whose length is known only afterwards."""
        mine, length = self._new(), self._new()
        self._offsets[mine] = self._position
        self._put(b"%d 0 obj\n<<%b /Length %d 0 R >>\nstream\n" % (mine, entries, length))
        begin = self._position
        for chunk in chunks:
            self._put(chunk)
        written = self._position - begin
        self._put(b"\nendstream\nendobj\n")
        self._object(b"%d" % written, length)
        return mine

    def _object(self, source: bytes, mine: int = 0) -> int:
        mine = mine or self._new()
        self._offsets[mine] = self._position
        self._put(b"%d 0 obj\n%b\nendobj\n" % (mine, source))
        return mine

    def _table(self) -> None:
        place = self._position
        self._put(b"xref\n0 %d\n0000000000 65535 f \n" % (self._last + 1))
        self._put(b"".join(b"%010d 00000 n \n" % offset for offset in self._in_order()))
        name = secrets.token_hex(16).encode()
        self._put(
            b"trailer << /Root %d 0 R /Size %d /ID [ <%b> <%b> ] >>\nstartxref\n%d\n%%%%EOF\n"
            % (CATALOG, self._last + 1, name, name, place)
        )
        self._file.flush()

    def _in_order(self) -> Iterable[int]:
        return (self._offsets[mine] for mine in range(1, self._last + 1))

    def _new(self) -> int:
        self._last += 1
        return self._last

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._position += len(data)
