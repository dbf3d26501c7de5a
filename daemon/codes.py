"""Every code we give to people: what it says and what to do about it, German and English.

A code is lower-case kebab, stable, and the same in the ledger, on the page, in
MQTT, in the text beside a rejected copy and in docs/codes.md (which is written
from codes.toml, as this table is; a test compares them). The person who reads a remedy may be the
one at the scanner, or alone in the basement at 3 a.m.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
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
    also: Kind | None = None
    """What a refusal is where a profile accepts what it is about."""

    def text(self, language: str) -> Text:
        """Return the text for a person of *language*; English where we have no other."""
        return self.de if language == "de" else self.en


def _load() -> tuple[Code, ...]:
    with (Path(__file__).parent / "codes.toml").open("rb") as file:
        raw = tomllib.load(file)
    return tuple(
        Code(code, entry["kind"], Text(*entry["en"]), Text(*entry["de"]), entry.get("also"))
        for code, entry in raw.items()
    )


TABLE: Final = _load()
CODES: Final = {code.code: code for code in TABLE}

INTRODUCTION: Final = """\
# Codes

Written from `daemon/codes.toml`; a test compares them. Each code is stable and the same in
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
        if others := sorted(f"`{code.code}`" for code in TABLE if code.also == kind):
            parts.append(f"\nWhere a profile accepts it, also: {', '.join(others)}.\n")
    return "".join(parts)
