"""`scanseal status` on a terminal: the snapshot's JSON as a few lines, German or English.

The same answers in the same order as on the page: is all well, may it be
unplugged, what is wrong and what to do, then the counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORDS = {
    "well": ("Alles in Ordnung.", "All is well."),
    "not-well": ("Jemand muss sich kümmern.", "Somebody has to look after this."),
    "safe": (
        "Alles Gescannte ist in DMS und Archiv nachgewiesen.",
        "Whatever was scanned is proven in DMS and archive.",
    ),
    "not-safe": (
        "{n} Dokumente sind noch nicht in DMS und Archiv nachgewiesen: Das Gerät muss hier bleiben.",
        "{n} documents are not yet proven in DMS and archive: the box has to stay.",
    ),
    "unreadable": (
        "Die Aufzeichnungen sind nicht lesbar; nichts wird verändert. Das Gerät muss hier bleiben.",
        "The records cannot be read; nothing is changed. The box has to stay.",
    ),
    "not-safe-1": (
        "1 Dokument ist noch nicht in DMS und Archiv nachgewiesen: Das Gerät muss hier bleiben.",
        "1 document is not yet proven in DMS and archive: the box has to stay.",
    ),
    "documents": ("Dokumente", "Documents"),
    "target": ("Ziel", "Target"),
    "last": ("letzter Nachweis", "last proof"),
    "never": ("noch keiner", "none yet"),
    "token": ("HSM", "HSM"),
    "certificate": ("Zertifikat", "Certificate"),
    "days": ("noch {n} Tage", "{n} days left"),
    "ledger": ("Beweiskette", "Ledger"),
}


def render(snapshot: Mapping[str, Any], language: str) -> str:
    """Return the lines for a person of *language* (de or en)."""
    return "".join(f"{line}\n" for line in _lines(snapshot, language))


def _lines(snapshot: Mapping[str, Any], language: str) -> Iterator[str]:
    def word(key: str, **values: object) -> str:
        return WORDS[key][language != "de"].format(**values)

    yield f"{snapshot['box']}: {word('well' if snapshot['all_well'] else 'not-well')}"
    if not snapshot["records_readable"]:
        yield word("unreadable")
    elif snapshot["safe_to_unplug"]:
        yield word("safe")
    else:
        yield word(
            "not-safe-1" if snapshot["unproven"] == 1 else "not-safe", n=snapshot["unproven"]
        )
    for alarm in snapshot["alarms"]:
        yield ""
        yield f"! {alarm['code']} {alarm['instance']} ({alarm['since']}) {alarm['detail']}".rstrip()
        if alarm["code"] in CODES:
            text = CODES[alarm["code"]].text(language)
            yield f"  {text.sentence}"
            yield f"  -> {text.remedy}"
    for code in snapshot["attention"]:
        if code != "alarms-raised" and code in CODES:
            text = CODES[code].text(language)
            yield ""
            yield f"! {code}"
            yield f"  {text.sentence}"
            yield f"  -> {text.remedy}"
    yield ""
    counts = [f"{state} {n}" for state, n in snapshot["documents"].items() if n]
    yield f"{word('documents')}: {', '.join(counts) or 0}"
    for target in snapshot["targets"]:
        states = ", ".join(f"{state} {n}" for state, n in target["deliveries"].items() if n)
        last = target["last_success"] or word("never")
        yield f"{word('target')} {target['name']}: {states or 0}; {word('last')}: {last}"
    token = snapshot["token"]
    yield f"{word('token')} {token['label']}: {token['state']} {token['code']}".rstrip()
    if certificate := snapshot["certificate"]:
        days = word("days", n=certificate["days_left"])
        yield f"{word('certificate')}: {certificate['subject']} ({days})"
    yield f"{word('ledger')}: {snapshot['ledger']['seq']} {snapshot['ledger']['hash'][:16]}"
