"""The colours that a sealed file means: one output intent, sRGB (ISO 19005-2, 6.2.3).

The profile is made by LittleCMS, 588 bytes, free to use by its own words, and ships
with the package; docs/decisions/0015-pdfa.md says why. It is written as it is, so
that the read-back needs no decoder to know it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pikepdf import Array, Dictionary, Name, Stream, String

if TYPE_CHECKING:
    from pikepdf import Pdf

PROFILE: Final = Path(__file__).with_name("srgb.icc").read_bytes()
IDENTIFIER: Final = b"sRGB IEC61966-2.1"
STREAM: Final = b" /N 3"
"""What the profile's stream says of it."""
_KEYS: Final = frozenset({
    "/Type", "/S", "/OutputConditionIdentifier", "/Info", "/DestOutputProfile",
})  # fmt: skip


def source(profile: int) -> bytes:
    """Return the source of the output intent whose profile is this object."""
    return (
        b"<< /Type /OutputIntent /S /GTS_PDFA1 /OutputConditionIdentifier (%b) /Info (%b)"
        b" /DestOutputProfile %d 0 R >>" % (IDENTIFIER, IDENTIFIER, profile)
    )


def add(pdf: Pdf) -> None:
    """Give *pdf*, which has none, the output intent."""
    made = Dictionary(
        Type=Name.OutputIntent,
        S=Name.GTS_PDFA1,
        OutputConditionIdentifier=String(IDENTIFIER.decode()),
        Info=String(IDENTIFIER.decode()),
        DestOutputProfile=pdf.make_stream(PROFILE, N=3),
    )
    pdf.Root.OutputIntents = Array([made])


def is_ours(intents: object) -> bool:
    """Return whether these are the output intents that `add` and `source` make, and nothing else."""
    if not isinstance(intents, Array) or len(intents) != 1:
        return False
    only = intents[0]
    if not isinstance(only, Dictionary) or set(only.keys()) != _KEYS:
        return False
    named = [only.get(key) for key in (Name.OutputConditionIdentifier, Name.Info)]
    profile = only.get(Name.DestOutputProfile)
    return (
        only.get(Name.Type) == Name.OutputIntent
        and only.get(Name.S) == Name.GTS_PDFA1
        and all(isinstance(name, String) and bytes(name) == IDENTIFIER for name in named)
        and isinstance(profile, Stream)
        and set(profile.keys()) == {"/N", "/Length"}
        and profile.get_int(Name.N) == 3
        and profile.read_raw_bytes() == PROFILE
    )
