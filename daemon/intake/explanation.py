"""The text beside a copy in `rejected`, for the person at the scanner.

Both languages, the box's own first: why the scan was not accepted, what to do, what
happens next, and the reference to ask with. With the mark and the line ends that
the oldest editors of Windows need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.codes import CODES
from daemon.words import LANGUAGES

if TYPE_CHECKING:
    import zoneinfo
    from datetime import datetime

    from daemon.document import Document

LINES: Final = {
    "de": (
        "Dieser Scan wurde nicht angenommen. Er liegt weder im DMS noch im Archiv.",
        "",
        "Datei: {name}",
        "Abgeholt: {at}",
        "Grund: {sentence} ({code})",
        "Was zu tun ist: {remedy}",
        "",
        "So geht es weiter:",
        '- Den neuen oder berichtigten Scan in denselben Scan-Ordner legen wie diesen ("{folder}").',
        '- Heißt die neue Datei wie diese Kopie, also "{copy}", so ersetzt sie diesen Scan von selbst.',
        "- Sonst der Administration die Kennung unten nennen: Sie schließt diesen Scan ab.",
        "- Kopie und Text werden am {until} von selbst entfernt. Sie dürfen auch vorher gelöscht werden.",
        "",
        "Kennung für Rückfragen: {id}",
    ),
    "en": (
        "This scan was not accepted. It is neither in the DMS nor in the archive.",
        "",
        "File: {name}",
        "Collected: {at}",
        "Reason: {sentence} ({code})",
        "What to do: {remedy}",
        "",
        "What happens next:",
        '- Drop the new or corrected scan into the same scan folder as this one ("{folder}").',
        '- If the new file has the name of this copy, "{copy}", it replaces this scan by itself.',
        "- If not, tell the administrator the reference below: this scan is closed by hand then.",
        "- Copy and text are removed on {until} by themselves. You may delete them before.",
        "",
        "Reference for questions: {id}",
    ),
}
TIMES: Final = {"de": "%d.%m.%Y %H:%M", "en": "%Y-%m-%d %H:%M"}
DAYS: Final = {"de": "%d.%m.%Y", "en": "%Y-%m-%d"}
RULE: Final = "-" * 60


def explanation(
    document: Document,
    *,
    name: str,
    copy: str,
    until: datetime,
    language: str,
    zone: zoneinfo.ZoneInfo,
) -> bytes:
    """Return the text that goes with the file *copy* of a refused document; names as shown."""
    blocks = []
    for own in sorted(LANGUAGES, key=lambda key: key != language):
        code = CODES.get(document.code)
        words = code.text(own) if code else None
        values = {
            "name": name,
            "copy": copy,
            "folder": document.hotfolder,
            "at": document.claimed_at.astimezone(zone).strftime(TIMES[own]),
            "until": until.astimezone(zone).strftime(DAYS[own]),
            "code": document.code,
            "sentence": words.sentence if words else "",
            "remedy": words.remedy if words else "",
            "id": document.id,
        }
        blocks.append([line.format(**values) for line in LINES[own]])
    return paper([*blocks[0], "", RULE, "", *blocks[1]])


def paper(lines: list[str]) -> bytes:
    """Return *lines* as a text file that every editor shows as it is meant."""
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8-sig")
