"""The audit of the exported ledger as a text for people, in German and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.audit import shown
from daemon.words import LANGUAGES

if TYPE_CHECKING:
    from daemon.audit import Audit


def render(found: Audit, language: str) -> str:
    """Return the audit as lines for a person, in German ("de") or English."""
    column = LANGUAGES.index(language)

    def say(key: str, **values: object) -> str:
        return WORDS[key][column].format(**values)

    heading = "damaged" if found.damaged else "open" if found.findings else "good"
    lines = [say(heading)]
    lines += [f"  {say(finding.code, **finding.values)}" for finding in found.findings]
    if found.days:
        begin, end = found.days[0].seen, found.days[-1].seen
        since, until = shown(begin.first_at), shown(end.last_at)
        days = len(found.days)
        lines.append(
            say("lines", n=days, first=begin.first, last=end.last, since=since, until=until)
        )
        lines.append(say("newest", hash=shown(end.hash), box=shown(begin.box_id)))
        signers = [day.seen.signer for day in found.days if day.seen.seal == "good"]
        for signer in dict.fromkeys(signers):
            lines.append(say("sealed", n=signers.count(signer), signer=shown(signer)))
    if found.anchors:
        lines.append(say("anchors", n=found.anchors))
    return "\n".join(lines) + "\n"


WORDS: Final[dict[str, tuple[str, str]]] = {
    "good": (
        "GUT: Die Beweiskette ist vollständig und gesiegelt.",
        "GOOD: the ledger is whole, and sealed.",
    ),
    "open": (
        "NICHT ALLES BEWIESEN: Nichts zeigt einen Schaden, aber es fehlt etwas:",
        "NOT ALL IS PROVEN: nothing shows damage, but something is missing:",
    ),
    "damaged": (
        "BESCHÄDIGT: Die Beweiskette ist nicht mehr, was sie war:",
        "DAMAGED: the ledger is not what it was:",
    ),
    "lines": (
        "{n} Segmente, Zeilen {first} bis {last}, von {since} bis {until}",
        "{n} segments, lines {first} to {last}, from {since} to {until}",
    ),
    "newest": (
        "Letzter Hash {hash}, Gerät {box}",
        "Last hash {hash}, box {box}",
    ),
    "sealed": (
        "{n} Segmente gesiegelt von {signer} (Sperrung nicht geprüft)",
        "{n} segments sealed by {signer} (revocation not checked)",
    ),
    "anchors": (
        "{n} Hashwerte aus MQTT, Vermerken und Manifesten stehen in der Kette",
        "{n} hashes from MQTT, notes and manifests stand in the chain",
    ),
    "nothing-found": (
        "Es sind keine Segmente da.",
        "There are no segments.",
    ),
    "unreadable": (
        "{file}: nicht lesbar, oder zu groß für die Prüfung.",
        "{file}: cannot be read, or is too large to be checked.",
    ),
    "line-broken": (
        (
            "{file}: Nach Zeile {seq} reißt die Kette: Eine Zeile wurde geändert, gelöscht, eingefügt"
            " oder vertauscht."
        ),
        (
            "{file}: the chain breaks after line {seq}: a line was changed, deleted, inserted or "
            "moved."
        ),
    ),
    "seal-missing": (
        "{file}: ohne Siegel (.p7s). Der jüngste Tag hat noch keines; bei jedem anderen fehlt es.",
        "{file}: without a seal (.p7s). The newest day has none yet; of any other it is missing.",
    ),
    "seal-invalid": (
        "{file}: Das Siegel gehört nicht zu diesen Bytes oder ist ungültig ({why}).",
        "{file}: the seal does not belong to these bytes, or is invalid ({why}).",
    ),
    "seal-untrusted": (
        "{file}: gesiegelt mit einem Zertifikat, das zu keinem angegebenen führt: {signer}.",
        "{file}: sealed with a certificate that leads to none that was given: {signer}.",
    ),
    "seal-outdated": (
        "{file}: am {at} gesiegelt, als ein Zertifikat nicht galt: {signer}.",
        "{file}: sealed at {at}, when a certificate was not valid: {signer}.",
    ),
    "begins-late": (
        "Die Kette beginnt hier erst mit Zeile {seq}; frühere Segmente liegen nicht vor.",
        "The chain begins here at line {seq} only; earlier segments were not given.",
    ),
    "gap": (
        "Zeilen {seq} bis {to} fehlen zwischen {before} und {file}.",
        "Lines {seq} to {to} are missing between {before} and {file}.",
    ),
    "not-following": (
        (
            "{file}: Zeile {seq} schließt nicht an {before} an: Dort wurde etwas geändert oder "
            "ersetzt."
        ),
        "{file}: line {seq} does not follow {before}: something was changed or replaced there.",
    ),
    "twice": (
        "{file}: Zeile {seq} steht schon in {before}, mit anderem Inhalt der Datei.",
        "{file}: line {seq} stands in {before} already, and the files differ.",
    ),
    "several-boxes": (
        "Segmente mehrerer Geräte ({boxes}): die eines Geräts angeben (ledger-<Gerät>-*).",
        "Segments of several boxes ({boxes}): name those of one (ledger-<box>-*).",
    ),
    "head-beyond": (
        (
            "Die Kette endet mit Zeile {last} ({at}), aber über MQTT wurde Zeile {seq} gemeldet: Das "
            "Ende fehlt, oder es ist noch nicht im Archiv."
        ),
        (
            "The chain ends at line {last} ({at}), but line {seq} was published over MQTT: the end is"
            " missing, or not in the archive yet."
        ),
    ),
    "head-differs": (
        "Zeile {seq} hat nicht den Hash, der über MQTT gemeldet wurde.",
        "Line {seq} does not have the hash that was published over MQTT.",
    ),
    "head-before": (
        "Zeile {seq} liegt vor dem Anfang und wurde nicht geprüft.",
        "Line {seq} lies before the beginning, and was not checked.",
    ),
    "note-absent": (
        (
            "Die Kette endet mit Zeile {last} ({until}), aber der Vermerk {file} (Dokument "
            "{document}, gesiegelt {at}) trägt einen Hash, der nicht in ihr steht."
        ),
        (
            "The chain ends at line {last} ({until}), but the note {file} (document {document}, "
            "sealed {at}) carries a hash that is not in it."
        ),
    ),
    "note-before": (
        "{file} (gesiegelt {at}) ist älter als Zeile {seq} und wurde nicht geprüft.",
        "{file} (sealed {at}) is older than line {seq}, and was not checked.",
    ),
    "note-unknown": (
        "{file}: nicht lesbar, oder trägt keinen Hash der Beweiskette.",
        "{file}: cannot be read, or carries no hash of the ledger.",
    ),
    "note-unproven": (
        (
            "{file}: Das eigene Siegel hält nicht (`scanseal verify` sagt, warum); der Vermerk "
            "beweist nichts."
        ),
        (
            "{file}: its own seal does not hold (`scanseal verify` says why), so the note proves "
            "nothing."
        ),
    ),
    "note-other-box": (
        "{file}: von einem anderen Gerät; sein Hash kann in dieser Kette nicht stehen.",
        "{file}: of another box; its hash cannot stand in this chain.",
    ),
}
