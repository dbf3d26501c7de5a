"""What was found out about a file and its seals, as a value and as a text for people.

`Report.good` is the whole judgement in one word; `render` says why. Texts out
of the file (names, notes) are shown with everything unprintable escaped: they
were written by somebody else and end up on somebody's terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One field of a transfer note: its place in the note, and its value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One signature in a PDF: a seal, a person's signature, or a document time stamp."""

    field: str
    problem: str = ""
    """Why it could not be judged at all, in the validator's words; empty otherwise."""
    timestamp: bool = False
    """A document time stamp: what is sealed is the time."""
    signer: str = ""
    issuer: str = ""
    algorithm: str = ""
    claimed_at: str = ""
    """When it was made, as whoever made it says."""
    proven_at: str = ""
    """When it existed at the latest, as a trusted time stamp says."""
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
    """PAdES: B-B, B-T, B-LT or B-LTA, judged by what is there; empty if it is no PAdES."""

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

    @property
    def good(self) -> bool:
        """Whether every seal is good and the whole file is under one of them."""
        return (
            not self.problems
            and all(seal.good for seal in self.seals)
            and any(seal.whole for seal in self.seals)
        )


def render(report: Report, language: str) -> str:
    """Return the report as lines for a person, in German ("de") or English."""
    text = GERMAN if language == "de" else ENGLISH
    unread = {"file-unreadable", "not-judged"} & set(report.problems)
    lines = [text["good" if report.good else "unread" if unread else "bad"]]
    lines += [f"  {text[code]}" for code in report.problems]
    if report.digest:
        lines.append(_line(text, "sha256", report.digest))
    for number, seal in enumerate(report.seals, 1):
        kind = text["stamp" if seal.timestamp else "seal"]
        lines.append(f"{kind} {number} {text['of']} {len(report.seals)} ({_shown(seal.field)})")
        if seal.problem:
            lines.append(f"  {text['unjudged']} {_shown(seal.problem)}")
        else:
            lines += _about(seal, text)
    if report.seals:
        lines.append(_line(text, "revocation", text[report.revocation]))
    if report.notes:
        lines.append(text["notes" if report.good else "unproven"])
        lines += [f"  {_shown(note.name)}: {_shown(note.value)}" for note in report.notes]
    return "\n".join(lines) + "\n"


def _about(seal: Seal, text: dict[str, str]) -> list[str]:
    trust = text["trusted"]
    if not seal.trusted and not seal.trust_problem and not (seal.intact and seal.valid):
        trust = text["trust-not-asked"]
    elif not seal.trusted:
        code = f"trust-{seal.trust_problem}"
        trust = f"{text['untrusted']} {text.get(code, _shown(seal.trust_problem))}"
    coverage = text[f"covers-{seal.coverage}"]
    if seal.coverage == "revision":
        allowed = "allowed" if seal.changes_allowed else "forbidden"
        coverage = f"{coverage} {text[f'changed-{seal.changed}']} {text[allowed]}"
        if not seal.whole:
            coverage = f"{text['covers-less']} {coverage}"
    lines = [
        _line(text, "signer", _shown(seal.signer)),
        _line(text, "issuer", _shown(seal.issuer)),
        _line(text, "content", text["intact" if seal.intact else "altered"]),
        _line(text, "signature", f"{text['valid' if seal.valid else 'invalid']} {seal.algorithm}"),
        _line(text, "covers", coverage),
        _line(text, "certificate", trust),
    ]
    if seal.proven_at:
        lines.append(_line(text, "time", f"{_shown(seal.proven_at)} {text['proven']}"))
    elif seal.claimed_at:
        lines.append(_line(text, "time", f"{_shown(seal.claimed_at)} {text['claimed']}"))
    if seal.certified:
        lines.append(_line(text, "certified", text[f"docmdp-{seal.permissions}"]))
    if seal.level:
        lines.append(_line(text, "level", f"PAdES {seal.level}"))
    return lines


def _line(text: dict[str, str], name: str, value: str) -> str:
    return f"  {text[name] + ':':{WIDTH}} {value}"


def _shown(text: str) -> str:
    """Escape what is not printable: line ends, terminal codes, changes of writing direction."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


WIDTH: Final = 15

PROBLEMS: Final = (
    "file-unreadable",
    "not-a-pdf",
    "pdf-damaged",
    "pdf-malformed",
    "pdf-encrypted",
    "not-sealed",
    "not-judged",
)

ENGLISH: Final = {
    "good": "GOOD: the file is as it was sealed, and the seal can be trusted.",
    "bad": "NOT GOOD: this file is not proven by a seal. What was found:",
    "unread": "NOT CHECKED: nothing is said about this file or its seals.",
    "file-unreadable": "The file cannot be read. Is the name right, and may you read it?",
    "not-a-pdf": "This is no PDF file, so it has no seal inside. An original from the archive is "
    "proven by the manifest beside it.",
    "pdf-damaged": "The file begins like a PDF but cannot be read as one: it is damaged or cut off.",
    "pdf-malformed": "The PDF breaks the rules of its format. Two programs may show two different "
    "documents, so no seal on it is taken for good.",
    "pdf-encrypted": "The PDF is encrypted with a password. It cannot be judged without it.",
    "not-sealed": "The PDF carries no seal and no signature.",
    "not-judged": "Judging the file took too long or too much memory, or ended the program that "
    "tried. Nothing is said about its seals.",
    "sha256": "SHA-256",
    "seal": "Seal",
    "stamp": "Document time stamp",
    "of": "of",
    "unjudged": "It cannot be judged:",
    "signer": "sealed by",
    "issuer": "certified by",
    "content": "content",
    "intact": "unchanged since it was sealed",
    "altered": "CHANGED: not the bytes that were sealed",
    "signature": "signature",
    "valid": "valid,",
    "invalid": "INVALID,",
    "covers": "covers",
    "covers-file": "the whole file",
    "covers-revision": "an earlier state of the file; something was appended:",
    "covers-less": "NOT THE WHOLE FILE, but",
    "covers-unclear": "NOT THE FILE: parts of it are outside the seal",
    "changed-none": "nothing that shows on a page,",
    "changed-lta-updates": "evidence for keeping,",
    "changed-form-filling": "further signatures or filled-in forms,",
    "changed-other": "changes of the document,",
    "allowed": "which the seal allows",
    "forbidden": "WHICH THE SEAL FORBIDS",
    "certificate": "certificate",
    "trusted": "trusted",
    "untrusted": "NOT TRUSTED:",
    "trust-not-asked": "not judged, because the seal does not hold",
    "trust-": "the signature is not valid",
    "trust-no-certificate-chain-found": "it does not lead to any certificate authority that was "
    "given as trusted (`chain` in the configuration)",
    "trust-chain-constraints-failure": "it is not meant for seals or signatures, or its authority "
    "may not issue it",
    "trust-certificate-chain-general-failure": "its chain breaks off: an authority that only has "
    "the right name, or one that is not valid now",
    "trust-expired": "it has expired, and no time stamp proves that the seal is older",
    "trust-not-yet-valid": "it is not valid yet; is the clock right?",
    "trust-revoked-no-poe": "it was revoked, and no time stamp proves that the seal is older",
    "trust-revoked-ca-no-poe": "the certificate of its authority was revoked",
    "trust-crypto-constraints-failure": "its algorithms count as broken",
    "trust-crypto-constraints-failure-no-poe": "its algorithms count as broken",
    "trust-timestamp-invalid": "the time stamp in it is not valid or not trusted",
    "trust-seed-values": "the signature field asked for another kind of signature",
    "time": "time",
    "claimed": "(as the sealing party says; no time stamp proves it)",
    "proven": "at the latest (time stamp)",
    "certified": "certification",
    "docmdp-0": "no rule about changes",
    "docmdp-1": "nothing may change (DocMDP 1)",
    "docmdp-2": "forms and signatures may be added (DocMDP 2)",
    "docmdp-3": "forms, signatures and notes may be added (DocMDP 3)",
    "level": "level",
    "revocation": "revocation",
    "not-checked": "not checked; this check works offline, and the file carries no evidence",
    "embedded": "judged by the evidence in the file; nothing was fetched",
    "notes": "Transfer note in the file",
    "unproven": "Transfer note in the file (not proven)",
}

GERMAN: Final = {
    "good": "GUT: Die Datei ist so, wie sie gesiegelt wurde, und dem Siegel ist zu trauen.",
    "bad": "NICHT GUT: Kein Siegel beweist diese Datei. Gefunden wurde:",
    "unread": "NICHT GEPRÜFT: Über diese Datei und ihre Siegel ist nichts gesagt.",
    "file-unreadable": "Die Datei ist nicht lesbar. Stimmt der Name, und dürfen Sie sie lesen?",
    "not-a-pdf": "Das ist keine PDF-Datei, also trägt sie kein Siegel in sich. Ein Original aus "
    "dem Archiv beweist das Manifest daneben.",
    "pdf-damaged": "Die Datei beginnt wie ein PDF, ist aber nicht als solches lesbar: beschädigt "
    "oder abgeschnitten.",
    "pdf-malformed": "Das PDF verletzt die Regeln seines Formats. Zwei Programme können zwei "
    "verschiedene Dokumente zeigen, darum gilt kein Siegel darauf als gut.",
    "pdf-encrypted": "Das PDF ist mit einem Passwort verschlüsselt und ohne dieses nicht prüfbar.",
    "not-sealed": "Das PDF trägt weder Siegel noch Unterschrift.",
    "not-judged": "Die Prüfung dauerte zu lange, brauchte zu viel Speicher oder hat das prüfende "
    "Programm beendet. Über die Siegel ist nichts gesagt.",
    "sha256": "SHA-256",
    "seal": "Siegel",
    "stamp": "Dokument-Zeitstempel",
    "of": "von",
    "unjudged": "Es ist nicht prüfbar:",
    "signer": "gesiegelt von",
    "issuer": "bestätigt von",
    "content": "Inhalt",
    "intact": "unverändert, seit gesiegelt wurde",
    "altered": "VERÄNDERT: nicht die Bytes, die gesiegelt wurden",
    "signature": "Signatur",
    "valid": "gültig,",
    "invalid": "UNGÜLTIG,",
    "covers": "umfasst",
    "covers-file": "die ganze Datei",
    "covers-revision": "einen früheren Stand der Datei; angehängt wurde:",
    "covers-less": "NICHT DIE GANZE DATEI, nur",
    "covers-unclear": "NICHT DIE DATEI: Teile von ihr liegen außerhalb des Siegels",
    "changed-none": "nichts, was auf einer Seite zu sehen ist,",
    "changed-lta-updates": "Nachweise für die Aufbewahrung,",
    "changed-form-filling": "weitere Unterschriften oder ausgefüllte Felder,",
    "changed-other": "Änderungen am Dokument,",
    "allowed": "und das erlaubt das Siegel",
    "forbidden": "UND DAS VERBIETET DAS SIEGEL",
    "certificate": "Zertifikat",
    "trusted": "vertrauenswürdig",
    "untrusted": "NICHT VERTRAUENSWÜRDIG:",
    "trust-not-asked": "nicht beurteilt, weil das Siegel nicht stimmt",
    "trust-": "die Signatur ist nicht gültig",
    "trust-no-certificate-chain-found": "es führt zu keiner Zertifizierungsstelle, die als "
    "vertrauenswürdig angegeben ist (`chain` in der Konfiguration)",
    "trust-chain-constraints-failure": "es ist nicht für Siegel oder Unterschriften bestimmt, oder "
    "seine Stelle darf es nicht ausstellen",
    "trust-certificate-chain-general-failure": "seine Kette bricht ab: eine Stelle, die nur so "
    "heißt, oder eine, die jetzt nicht gilt",
    "trust-expired": "es ist abgelaufen, und kein Zeitstempel beweist, dass das Siegel älter ist",
    "trust-not-yet-valid": "es gilt noch nicht; geht die Uhr richtig?",
    "trust-revoked-no-poe": "es wurde gesperrt, und kein Zeitstempel beweist, dass das Siegel "
    "älter ist",
    "trust-revoked-ca-no-poe": "das Zertifikat seiner Stelle wurde gesperrt",
    "trust-crypto-constraints-failure": "seine Verfahren gelten als gebrochen",
    "trust-crypto-constraints-failure-no-poe": "seine Verfahren gelten als gebrochen",
    "trust-timestamp-invalid": "der Zeitstempel darin ist ungültig oder nicht vertrauenswürdig",
    "trust-seed-values": "das Signaturfeld verlangt eine andere Art von Signatur",
    "time": "Zeit",
    "claimed": "(nach Angabe der siegelnden Stelle; kein Zeitstempel beweist sie)",
    "proven": "spätestens (Zeitstempel)",
    "certified": "Zertifizierung",
    "docmdp-0": "keine Regel über Änderungen",
    "docmdp-1": "nichts darf sich ändern (DocMDP 1)",
    "docmdp-2": "Felder und Unterschriften dürfen dazukommen (DocMDP 2)",
    "docmdp-3": "Felder, Unterschriften und Notizen dürfen dazukommen (DocMDP 3)",
    "level": "Niveau",
    "revocation": "Sperrung",
    "not-checked": "nicht geprüft; die Prüfung arbeitet ohne Netz, und die Datei enthält dazu "
    "keine Nachweise",
    "embedded": "nach den Nachweisen in der Datei beurteilt; nichts wurde abgerufen",
    "notes": "Transfervermerk in der Datei",
    "unproven": "Transfervermerk in der Datei (nicht bewiesen)",
}
