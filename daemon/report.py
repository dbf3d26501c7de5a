"""What was found out about a file and its seals, as a value.

`Report.good` is the whole judgement in one word; `as_json` is the register that
other programs read. How people read it: reading.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One field of a transfer note: its place in the note, and its value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate of a chain; texts are what it says of itself."""

    subject: str
    issuer: str
    serial: str
    """In hexadecimal digits."""
    not_before: str
    not_after: str
    root: bool = False
    """It has signed itself."""
    given: bool = False
    """It was given as trusted."""
    revocation: str = "not-checked"
    """good, revoked or not-checked, by the evidence in the file; nothing is fetched."""
    revocation_at: str = ""
    """When the newest evidence was made."""
    revoked_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One signature in a PDF: a seal, a person's signature, or a document time stamp."""

    field: str
    problem: str = ""
    """Why it could not be judged at all, in the validator's words; empty otherwise."""
    timestamp: bool = False
    """A document time stamp: what is sealed is the time."""
    signer: str = ""
    organisation: str = ""
    """The organisation in the signer's certificate."""
    issuer: str = ""
    algorithm: str = ""
    key: str = ""
    advice: str = "unknown"
    """What BSI TR-02102-1 says of both: recommended, legacy, weak or unknown."""
    chain: tuple[Certificate, ...] = ()
    """From the signer's certificate towards its root, each verified by the next."""
    statements: tuple[str, ...] = ()
    """The QcStatements (ETSI EN 319 412-5) of the signer's certificate: compliance, device,
    signatures, seals, websites, other-law; or unreadable. No trusted list is looked at."""
    strangers: tuple[str, ...] = ()
    """Certificates in its CMS that are damaged, or lead into no chain that was used."""
    claimed_at: str = ""
    """When it was made, as whoever made it says."""
    proven_at: str = ""
    """When it existed at the latest, as a trusted time stamp says."""
    stamped_at: str = ""
    """What the time stamp in it says, trusted or not."""
    stamped_by: str = ""
    """Whose time stamp that is."""
    intact: bool = False
    """The bytes that it covers are those that were signed."""
    valid: bool = False
    """The signature belongs to the key in its certificate."""
    coverage: str = "unclear"
    """file: every byte but the signature itself; revision: something was appended; or unclear."""
    changed: str = "other"
    """What was appended: none, lta-updates, form-filling or other."""
    changes_allowed: bool = False
    trusted: bool = False
    """Its certificate leads to one of those that were given as trusted."""
    trust_problem: str = ""
    certified: bool = False
    """It is the document's certification: its author's own seal."""
    permissions: int = 0
    """DocMDP: 1 nothing may change, 2 forms and signatures, 3 also notes; 0 says nothing."""
    level: str = ""
    """PAdES: B-B, B-T, B-LT or B-LTA; empty if it is no PAdES. B-LT and more only if it is proven."""
    level_lacks: str = ""
    """Why it is B-T though the file has a place for evidence (/DSS): no-time-stamp, time-stamp,
    not-trusted, missing, out-of-time or revoked."""
    level_lacks_of: str = ""
    """About whose certificate that is."""

    @property
    def good(self) -> bool:
        """Whether this seal proves what it covers."""
        return (
            not self.problem
            and self.intact
            and self.valid
            and self.trusted
            and self.changes_allowed
            and self.coverage != "unclear"
        )

    @property
    def whole(self) -> bool:
        """Whether what people see of the file is under this seal.

        Evidence that was appended (DSS, document time stamps) shows nothing. With
        DocMDP 1 not even that: Acrobat calls such a file changed.
        """
        evidence_only = self.changed in {"none", "lta-updates"} and self.permissions != 1
        return self.coverage == "file" or (self.coverage == "revision" and evidence_only)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was found out about one file."""

    digest: str = ""
    """SHA-256 of the whole file."""
    size: int = 0
    problems: tuple[str, ...] = ()
    """Codes: see PROBLEMS."""
    seals: tuple[Seal, ...] = ()
    """In the order in which they were made."""
    revocation: str = "not-checked"
    """embedded: judged by what the file carries; not-checked: the check works offline."""
    notes: tuple[Note, ...] = ()
    """Our transfer note, if the file has one."""
    pdfa: str = ""
    """Which PDF/A the file's metadata claim, as `2b`; it is not checked here."""
    strangers: tuple[str, ...] = ()
    """Certificates in its DSS that are damaged, or lead into no chain that was used."""

    @property
    def good(self) -> bool:
        """Whether every seal is good and the whole file is under one of them."""
        return (
            not self.problems
            and all(seal.good for seal in self.seals)
            and any(seal.whole for seal in self.seals)
        )


def as_json(report: Report, file: str) -> dict[str, Any]:
    """Return a report as `scanseal verify --format json` prints it."""
    plain = {"file": file, "good": report.good, **asdict(report)}
    for seal, made in zip(plain["seals"], report.seals, strict=True):
        seal |= {"good": made.good, "whole": made.whole}
    return plain


PROBLEMS: Final = (
    "file-unreadable",
    "not-a-pdf",
    "pdf-damaged",
    "pdf-malformed",
    "pdf-encrypted",
    "not-sealed",
    "not-judged",
)
