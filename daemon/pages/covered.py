"""A sealed cover page against what the main process knows of the scan that it stands for.

The page is drawn again from the note and compared pixel by pixel; the note in the
file has to name the same original. The original itself is not opened: its bytes were
hashed when the page was made, and that digest is what the page and the note say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pikepdf import Name, Stream

from daemon.pages import claimed, cover, pixels
from daemon.pages.graphs import Differ
from daemon.pages.packet import XMP_NAMESPACE, Packet
from daemon.pages.page import shown_by

if TYPE_CHECKING:
    from pikepdf import Dictionary, Pdf

    from daemon.transfernote import TransferNote

NAMED: Final = (
    "document", "original_sha256", "original_size", "findings", "match_de", "match_en", "pdfa",
)  # fmt: skip
"""What the note in the file has to say as the note that it was made from does."""


def same(sealed: Pdf, field: Dictionary, note: TransferNote, code: str) -> None:
    """Raise Differ unless *sealed* is the cover page for *note* and *code*, and nothing else."""
    claimed.only_pages(sealed)
    if len(sealed.pages) != 1:
        raise Differ(f"the cover page became {len(sealed.pages)} pages")
    page = sealed.pages[0]
    shown = shown_by(page, field)
    size = [float(edge) for edge in page.obj.MediaBox][2:]
    wanted = [round(dots * 72 / cover.DPI, 4) for dots in cover.SIZE]
    if shown.turned != (0, False) or size != wanted:
        raise Differ("the cover page is turned, or of another size")
    pixels.equal(shown.image, cover.drawn(note, code))
    _same_note(sealed, note)


def _same_note(sealed: Pdf, note: TransferNote) -> None:
    held = sealed.Root.get(Name.Metadata)
    packet = Packet.read(held.read_raw_bytes()) if isinstance(held, Stream) else None
    if packet is None:
        raise Differ("the sealed file has no note")
    for name in NAMED:
        value = getattr(note, name)
        wanted = " ".join(value) if isinstance(value, tuple) else str(value)
        found = [element.text for element in packet.rdf.iter(f"{{{XMP_NAMESPACE}}}{name}")]
        if found != [wanted]:
            raise Differ(f"the note in the sealed file says something else: {name}")
