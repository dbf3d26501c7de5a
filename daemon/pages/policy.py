"""What a profile says about what a PDF holds: it is refused, goes beside a cover page, or is sealed.

    refuse     the default: Refused with its code
    envelope   Refused as well; the caller sees what the profile wants, and puts it beside a page
    accept     sealed as it is, and the code becomes a finding

A PDF that holds several kinds is treated as the strictest of them says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

REFUSE: Final = "refuse"
ENVELOPE: Final = "envelope"
ACCEPT: Final = "accept"

SENTENCES: Final = {
    "already-signed": "the PDF has a signature, is certified, or has usage rights",
    "jbig2-symbols": "the PDF has an image that is coded with symbols",
    "pdf-javascript": "the PDF holds JavaScript",
    "pdf-launch-action": "the PDF has an action that leads out of it, or plays something",
    "pdf-embedded-file": "the PDF holds another file",
    "pdf-external-stream": "the PDF refers to content that is not in it",
    "pdf-xfa": "the PDF has an XFA form",
    "pdf-encrypted-empty": "the PDF is encrypted, with an empty password",
}
"""In the order in which one of several is named."""
REMARKS: Final = ("pdf-changing-view",)
"""What nobody decides about: it is sealed, with a finding."""
NEVER_ACCEPTED: Final = frozenset({"already-signed", "jbig2-symbols"})
"""A seal would break the one, and must not stand on the other (BSI TR-03138, A.SC.12)."""


def settled(found: Collection[str], policies: Mapping[str, str]) -> tuple[str, ...]:
    """Return the codes in *found* that are findings, as accepted ones are; or raise Refused."""
    said = {code: _policy(code, policies) for code in SENTENCES if code in found}
    for strictest in (REFUSE, ENVELOPE):
        for code, policy in said.items():
            if policy == strictest:
                raise Refused(code, SENTENCES[code])
    return (*said, *(code for code in REMARKS if code in found))


def _policy(code: str, policies: Mapping[str, str]) -> str:
    policy = policies.get(code, REFUSE)
    if policy == ENVELOPE or (policy == ACCEPT and code not in NEVER_ACCEPTED):
        return policy
    return REFUSE
