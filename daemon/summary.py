"""What the commands say on a terminal: answers of the service as a few lines, German or English.

`status` gives the same answers in the same order as the page, in its words: is all
well, may it be unplugged, what is wrong and what to do, then the counts. Times are
those of the box's zone. What comes here is JSON that the service has sent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from daemon.codes import CODES
from daemon.document import utc_time
from daemon.formats import Formats
from daemon.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NAME_WIDTH: Final = 40


def render(snapshot: Mapping[str, Any], language: str, timezone: str = "UTC") -> str:
    """Return the snapshot's lines for a person of *language* (de or en) in *timezone*."""
    formats = Formats(language, timezone, utc_time(snapshot["at"]))
    return "".join(f"{line}\n" for line in _status(snapshot, formats))


def arrived(answer: Mapping[str, Any], language: str, timezone: str = "UTC") -> str:
    """Return the lines of `scanseal arrived`, the newest scan first."""
    formats = Formats(language, timezone, datetime.now(UTC))
    return "".join(f"{line}\n" for line in _arrived(answer, formats))


def sealed_since(answer: Sequence[Mapping[str, Any]], language: str, timezone: str) -> str:
    """Return the lines of `scanseal sealed-since`, the oldest first."""
    f = Formats(language, timezone, datetime.now(UTC))
    if not answer:
        return f"{f.word('sealed_since_none')}\n"
    certificates = {one["certificate"] for one in answer}
    lines = [f.word("sealed_since_n", n=f.number(len(answer)), c=f.number(len(certificates)))]
    for one in answer:
        targets = ", ".join(
            f"{name} {_state('delivery', state, f)}" for name, state in one["targets"].items()
        )
        at = f.moment(utc_time(one["sealed_at"]), seconds=True)
        lines.append(
            f"{at}  {one['id']}  {_state('document', one['state'], f)}  {targets}".rstrip()
        )
    return "".join(f"{line}\n" for line in lines)


def _status(snapshot: Mapping[str, Any], f: Formats) -> Iterator[str]:
    yield f"{snapshot['box']}: {f.word('well' if snapshot['all_well'] else 'not_well')}."
    if not snapshot["records_readable"]:
        yield f"{CODES['records-unreadable'].text(f.language).sentence} {f.word('stay')}."
    elif snapshot["safe_to_unplug"]:
        yield f.word("safe_why")
    else:
        yield f"{f.many('unproven_n', snapshot['unproven'])} {f.word('stay')}."
    for alarm in snapshot["alarms"]:
        yield ""
        since = f.word("since", at=f.moment(utc_time(alarm["since"])))
        facts = (alarm["code"], alarm["instance"], f"({since})", alarm["detail"])
        yield f"! {' '.join(fact for fact in facts if fact)}"
        yield from _remedy(alarm["code"], f)
    for code in snapshot["attention"]:
        if code != "alarms-raised" and code in CODES:
            yield ""
            yield f"! {code}"
            yield from _remedy(code, f)
    yield ""
    yield f"{f.word('documents')}: {_counts('document', snapshot['documents'], f)}"
    if oldest := snapshot["oldest_unstamped"]:
        since = f.word("since", at=f.moment(utc_time(oldest["since"])))
        yield f"{f.many('unstamped_n', snapshot['unstamped'])} ({since})"
    for missing in snapshot["missing"]:
        more = ", …" if missing["count"] > len(missing["numbers"]) else ""
        numbers = f"{', '.join(missing['numbers'])}{more} ({f.number(missing['count'])})"
        yield f"{missing['hotfolder']}: {f.word('scans_missing')}: {numbers}"
    for target in snapshot["targets"]:
        last = target["last_success"]
        proven = f.moment(utc_time(last)) if last else f.word("never")
        counts = _counts("delivery", target["deliveries"], f)
        yield (
            f"{f.word('target')} {target['name']} ({f.word('role_' + target['role'])}): {counts};"
            f" {f.word('last_success')}: {proven}"
        )
    token = snapshot["token"]
    state = f.word(f"token_{token['state']}")
    yield f"{f.word('token')} {token['label']}: {state} {token['code']}".rstrip()
    if certificate := snapshot["certificate"]:
        yield from _certificate(certificate, f)
    head = snapshot["ledger"]
    yield f"{f.word('ledger')}: {f.word('ledger_head', seq=f.number(head['seq']))} {head['hash'][:16]}"


def _certificate(certificate: Mapping[str, Any], f: Formats) -> Iterator[str]:
    left = certificate["days_left"]
    days = f.many("days_left_n", left) if left >= 0 else f.word("expired")
    yield f"{f.word('certificate')}: {certificate['subject']} ({days})"
    yield f"  {f.word(certificate['qualified'])}"
    if certificate["algorithm"]:
        day = certificate["recommended_until"]
        until = f", {f.word('recommended_until', day=day)}" if day else ""
        yield f"  {f.word('seal_algorithm', name=certificate['algorithm'])}{until}"
    for code in certificate["remarks"]:
        yield f"  {code}: {f.code(code).sentence}"


def _remedy(code: str, f: Formats) -> Iterator[str]:
    if code in CODES:
        yield f"  {f.code(code).sentence}"
        yield f"  -> {f.code(code).remedy}"


def _counts(kind: str, counts: Mapping[str, int], f: Formats) -> str:
    """Return how many there are in each state, in the page's words."""
    found = [f"{_state(kind, state, f)} {f.number(n)}" for state, n in counts.items() if n]
    return ", ".join(found) or "0"


def _state(kind: str, state: str, f: Formats) -> str:
    word = f"{kind}_{state}"
    return f.word(word) if word in WORDS else state


def _arrived(answer: Mapping[str, Any], f: Formats) -> Iterator[str]:
    if answer["missing"]:
        yield f"{f.word('scans_missing')}:"
        for missing in answer["missing"]:
            place = "/".join(filter(None, (missing["hotfolder"], missing["subfolder"])))
            yield f"  {place}: {missing['number']}"
        yield ""
    if answer["waiting"]:
        yield f"{f.word('scans_waiting')}:"
        for scan in answer["waiting"]:
            yield _scan(scan, f)
        yield ""
    for scan in answer["scans"]:
        yield _scan(scan, f)
        if scan["resembles"]:
            old, new = scan["resembles"][-8:], scan["id"][-8:]
            yield f"    {f.word('scan_resembles', id8=old)}: scanseal supersede {old} {new}"
    if not answer["scans"] and not answer["waiting"]:
        if answer["complete"]:
            yield f.word("scans_none")
        else:
            yield f.word("scans_none_searched", n=f.number(answer["searched"]))


def _scan(scan: Mapping[str, Any], f: Formats) -> str:
    at = f.moment(utc_time(scan["at"]), seconds=True)
    reference = scan["id"][-8:] or "-" * 8
    return f"{at}  {scan['hotfolder']}  {reference}  {scan['name']:<{NAME_WIDTH}}  {scan['where']}"
