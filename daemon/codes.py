"""Every code we give to people: what it says and what to do about it, German and English.

A code is lower-case kebab, stable, and the same in the ledger, on the page, in
MQTT, in the text beside a rejected copy and in docs/codes.md (which is written
from this table; a test compares them). The person who reads a remedy may be the
one at the scanner, or alone in the basement at 3 a.m.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["refusal", "hold", "alarm", "error", "finding", "wait"]
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
)

CODES: Final = {code.code: code for code in TABLE}
