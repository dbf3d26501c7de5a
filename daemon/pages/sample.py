"""An image as PDF describes it: what its dictionary says, and its bytes as they are.

The same words for an image of a PDF that came and for one that is being wrapped.
What is not said, or said in an unusual way, is None, 0 or False: nobody decodes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pikepdf import Array, Dictionary, Name, Stream, String

MOST_JPEG: Final = 0.1
"""Bytes per pixel: a JPEG that needs more of them is not of empty paper, or of very rough."""
MOST_PACKED: Final = 32 << 20
"""Bytes of any other image."""
SMALLEST: Final = 16
"""Pixels of a side: something smaller is no scan, and may be a line of a drawing."""
LOOKED_AT: Final = ("/DCTDecode", "/CCITTFaxDecode", "/FlateDecode")
BITS: Final = ("/CCITTFaxDecode", "/JBIG2Decode")
"""Their pixels are black or white, whatever else the file says."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the dictionary of an image says."""

    entries: Dictionary | Stream

    @property
    def size(self) -> tuple[int, int]:
        """Width and height; 0 where the file does not say."""
        return self._number(Name.Width), self._number(Name.Height)

    @property
    def filter(self) -> str:
        """The one filter; "" where there is none, or more than one."""
        found = self._only(Name.Filter)
        return _name(found) if isinstance(found, Name) else ""

    @property
    def parameters(self) -> Dictionary | None:
        """The filter's parameters."""
        found = self._only(Name.DecodeParms)
        return found if isinstance(found, Dictionary) else None

    @property
    def stencil(self) -> bool:
        """Whether it only says where a colour goes (an image mask)."""
        return yes(self.entries.get(Name.ImageMask))

    @property
    def bits(self) -> int:
        """Of one colour of a pixel."""
        if self.filter in BITS or self.stencil:
            return 1
        return self._number(Name.BitsPerComponent)

    @property
    def masked(self) -> bool:
        """Whether something else decides which of its pixels show."""
        return any(self.entries.get(key) is not None for key in (Name.SMask, Name.Mask))

    @property
    def masks(self) -> tuple[Stream, ...]:
        """The masks that are images themselves."""
        found = (self.entries.get(key) for key in (Name.SMask, Name.Mask))
        return tuple(mask for mask in found if isinstance(mask, Stream))

    @property
    def colours(self) -> tuple[int, bytes]:
        """How many colours a pixel has, and the palette (RGB) that it is a number of.

        0 where nobody here knows.
        """
        space = self.entries.get(Name.ColorSpace)
        if isinstance(space, Array) and len(space) == 4 and space[0] == Name.Indexed:
            lookup = space[3]
            held = bytes(lookup) if isinstance(lookup, String) else b""
            return (1, held[:768]) if held and _components(space[1]) == 3 else (0, b"")
        if space is None and self.stencil:
            return 1, b""
        return _components(space), b""

    @property
    def bits_only(self) -> bool:
        """Whether every pixel is black or white."""
        colours, palette = self.colours
        greys = all(len(set(palette[at : at + 3])) <= 1 for at in (0, 3))
        return self.bits == 1 and colours == 1 and greys

    def worth_decoding(self, max_pixels: int) -> int:
        """Return up to how many bytes of it are worth being decoded, to see if anything is there."""
        width, height = self.size
        if (
            self.filter not in LOOKED_AT
            or self.masked
            or min(width, height) < SMALLEST
            or width * height > max_pixels
        ):
            return 0
        return int(MOST_JPEG * width * height) if self.filter == "/DCTDecode" else MOST_PACKED

    def _number(self, key: Name) -> int:
        return self.entries.get_int(key) or 0

    def _only(self, key: Name) -> Any:
        found = self.entries.get(key)
        if isinstance(found, Array) and len(found) <= 1:
            return found[0] if len(found) else None
        return found


def yes(value: object) -> bool:
    """Return whether a file says `true`."""
    return value is True


def _name(name: Name) -> str:
    """Return a name as it is written; str() fails at one that is not UTF-8."""
    return name.unparse().decode("ascii", "replace")


def _components(space: Any) -> int:
    if isinstance(space, Name):
        return {"/DeviceGray": 1, "/DeviceRGB": 3, "/DeviceCMYK": 4}.get(_name(space), 0)
    if isinstance(space, Array) and len(space) == 2 and isinstance(space[0], Name):
        if space[0] == Name.ICCBased:
            profile = space[1]
            said = profile.get_int(Name.N) if isinstance(profile, Stream) else None
            return said if said in {1, 3, 4} else 0
        return {"/CalGray": 1, "/CalRGB": 3}.get(_name(space[0]), 0)
    return 0
