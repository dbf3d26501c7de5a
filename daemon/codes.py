"""Every code we give to people: what it says and what to do about it, German and English.

A code is lower-case kebab, stable, and the same in the ledger, on the page, in
MQTT, in the text beside a rejected copy and in docs/codes.md (which is written
from this table; a test compares them). The person who reads a remedy may be the
one at the scanner, or alone in the basement at 3 a.m.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["refusal", "hold", "alarm", "error", "finding", "wait", "status"]
Language = Literal["de", "en"]


@dataclass(frozen=True, slots=True)
class Text:
    """One language of a code."""

    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Code:
    """One code."""

    code: str
    kind: Kind
    en: Text
    de: Text

    def text(self, language: str) -> Text:
        """Return the text for a person of *language*; English where we have no other."""
        return self.de if language == "de" else self.en


def _code(kind: Kind, code: str, en: tuple[str, str], de: tuple[str, str]) -> Code:
    return Code(code, kind, Text(*en), Text(*de))


TABLE: Final[tuple[Code, ...]] = (
    _code(
        "refusal",
        "crashed-here",
        (
            "Twice, the program that looked at this document ended while it had it.",
            "Scan the paper again. If it happens again, keep the file for the developers.",
        ),
        (
            "Zweimal endete das Programm, während es dieses Dokument bearbeitete.",
            "Das Papier noch einmal scannen. Passiert es wieder, die Datei für die Entwickler aufheben.",
        ),
    ),
    _code(
        "error",
        "config-invalid",
        (
            "The configuration cannot be used.",
            "Correct what `scanseal check` lists, then start the service again.",
        ),
        (
            "Die Konfiguration ist so nicht brauchbar.",
            "Berichtigen, was `scanseal check` auflistet, dann den Dienst neu starten.",
        ),
    ),
    _code(
        "status",
        "records-unreadable",
        (
            "The records on this box cannot be read: nothing is taken over, sealed or sent, and nothing is changed.",
            "Delete nothing and do not start over. Do what the alarm says; without one, look at `journalctl -u scanseal`.",
        ),
        (
            "Die Aufzeichnungen auf diesem Gerät sind nicht lesbar: Nichts wird übernommen, gesiegelt oder gesendet, und nichts wird verändert.",
            "Nichts löschen und nicht neu anfangen. Tun, was die Störung sagt; steht da keine, in `journalctl -u scanseal` nachsehen.",
        ),
    ),
    _code(
        "status",
        "alarms-raised",
        (
            "Something does not work.",
            "Do what stands at each alarm.",
        ),
        (
            "Etwas funktioniert nicht.",
            "Tun, was bei jeder Störung steht.",
        ),
    ),
    _code(
        "status",
        "token-starting",
        (
            "The HSM is being opened; nothing is sealed until it is ready.",
            "Wait a minute. If it stays like this, look at the alarms.",
        ),
        (
            "Das HSM wird gerade geöffnet; gesiegelt wird, sobald es bereit ist.",
            "Eine Minute warten. Bleibt es so, bei den Störungen nachsehen.",
        ),
    ),
    _code(
        "status",
        "token-not-ready",
        (
            "The HSM cannot seal. Scans are still taken over and wait here.",
            "Do what the alarm about the HSM says.",
        ),
        (
            "Das HSM kann nicht siegeln. Scans werden weiter übernommen und warten hier.",
            "Tun, was die Störung zum HSM sagt.",
        ),
    ),
    _code(
        "status",
        "certificate-problem",
        (
            "Something speaks against sealing with this certificate.",
            "Do what stands beside the certificate.",
        ),
        (
            "Etwas spricht dagegen, mit diesem Zertifikat zu siegeln.",
            "Tun, was beim Zertifikat steht.",
        ),
    ),
    _code(
        "status",
        "clock-not-trusted",
        (
            "The time on this box is not to be trusted, so nothing is sealed.",
            "Check with `timedatectl` whether the time is right and the time server is reached; sealing goes on by itself.",
        ),
        (
            "Der Uhr dieses Geräts ist nicht zu trauen, darum wird nicht gesiegelt.",
            "Mit `timedatectl` prüfen, ob die Zeit stimmt und der Zeitserver erreicht wird; danach geht es von selbst weiter.",
        ),
    ),
    _code(
        "status",
        "documents-refused",
        (
            "Documents were refused. They are only on this box and wait for a person.",
            "Open each one: it says why. Scan the paper again, or let it be tried again with `scanseal release ID`; then give the refused one up with `scanseal discard ID --reason TEXT`.",
        ),
        (
            "Dokumente wurden zurückgewiesen. Sie liegen nur auf diesem Gerät und warten auf einen Menschen.",
            "Jedes öffnen: Dort steht, warum. Das Papier neu scannen oder mit `scanseal release ID` noch einmal versuchen; danach das zurückgewiesene mit `scanseal discard ID --reason TEXT` aufgeben.",
        ),
    ),
    _code(
        "status",
        "documents-held",
        (
            "Sealed documents are held: nothing of them is sent.",
            "Open each one: it says why. Then `scanseal release ID`.",
        ),
        (
            "Gesiegelte Dokumente sind angehalten: Nichts davon wird gesendet.",
            "Jedes öffnen: Dort steht, warum. Danach `scanseal release ID`.",
        ),
    ),
    _code(
        "status",
        "deliveries-refused",
        (
            "A target refused to take documents.",
            "Open each one: it says why. Put it right at the target, then `scanseal release ID`.",
        ),
        (
            "Ein Ziel nimmt Dokumente nicht an.",
            "Jedes öffnen: Dort steht, warum. Am Ziel in Ordnung bringen, danach `scanseal release ID`.",
        ),
    ),
    _code(
        "status",
        "deliveries-gone",
        (
            "A target no longer holds documents that it had confirmed.",
            "Find out there what became of them. They are still on this box: leave it where it is.",
        ),
        (
            "Ein Ziel hat Dokumente nicht mehr, die es bestätigt hatte.",
            "Dort klären, was mit ihnen geschah. Hier sind sie noch: das Gerät stehen lassen.",
        ),
    ),
    _code(
        "status",
        "hotfolder-not-seen",
        (
            "A hot folder has not been looked into since the start.",
            "Wait a moment. If it stays like this, look at the alarms.",
        ),
        (
            "In einen Eingangsordner wurde seit dem Start noch nicht hineingesehen.",
            "Einen Moment warten. Bleibt es so, bei den Störungen nachsehen.",
        ),
    ),
    _code(
        "status",
        "files-waiting",
        (
            "Files in a hot folder are not taken over yet; a scanner may still be writing them.",
            "Wait until they are.",
        ),
        (
            "Dateien in einem Eingangsordner sind noch nicht übernommen; vielleicht schreibt ein Scanner noch daran.",
            "Warten, bis sie übernommen sind.",
        ),
    ),
    _code(
        "status",
        "not-sealed",
        (
            "Documents wait for their seal.",
            "Wait. If the number does not fall, look at the HSM.",
        ),
        (
            "Dokumente warten auf ihr Siegel.",
            "Warten. Sinkt die Zahl nicht, beim HSM nachsehen.",
        ),
    ),
    _code(
        "status",
        "not-filed",
        (
            "Documents are sealed and not yet proven in both DMS and archive.",
            "Wait. If the number does not fall, look at the targets.",
        ),
        (
            "Dokumente sind gesiegelt, aber noch nicht in DMS und Archiv nachgewiesen.",
            "Warten. Sinkt die Zahl nicht, bei den Zielen nachsehen.",
        ),
    ),
)

CODES: Final = {code.code: code for code in TABLE}

INTRODUCTION: Final = """\
# Codes

Written from `daemon/codes.py`; a test compares them. Each code is stable and the same in
the ledger, on the page, in MQTT and in the text beside a rejected copy.
"""
HEADINGS: Final[dict[Kind, str]] = {
    "refusal": "Refusals: a document could not be sealed as it is · Zurückweisungen",
    "hold": "Holds: a sealed document waits for a person · Angehalten",
    "wait": "Waits: a document waits for something · Wartet",
    "finding": "Findings: a remark that goes with a document · Bemerkungen",
    "alarm": "Alarms: something does not work · Störungen",
    "error": "Errors: a command or a step did not succeed · Fehler",
    "status": "Status: why all is not well, or why the box has to stay · Lage",
}


def markdown() -> str:
    """Return docs/codes.md: every code with its texts, by kind, then by code."""
    parts = [INTRODUCTION]
    for kind, heading in HEADINGS.items():
        found = sorted((code for code in TABLE if code.kind == kind), key=lambda code: code.code)
        if found:
            parts.append(f"\n## {heading}\n")
        for code in found:
            parts.append(f"\n### {code.code}\n\n")
            parts += [
                f"- **{name}** {text.sentence} *{text.remedy}*\n"
                for name, text in (("en", code.en), ("de", code.de))
            ]
    return "".join(parts)
