"""A report as people read it: one value for every form, as text and as an HTML page.

    Report ──▶ paper(…): verdict, remarks, sections of labelled lines ──▶ render, page

Texts out of the file (names, notes) were written by somebody else: whatever is
not printable is escaped, so that they write nothing on a terminal, and Jinja2
escapes them for HTML. The page is one file without scripts; nothing is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jinja2

from daemon import notewords
from daemon.document import utc_time
from daemon.reportwords import ENGLISH, GERMAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.report import Certificate, Report, Seal

WIDTH: Final = 22
TEMPLATES: Final = Path(__file__).parent / "templates"
TIME: Final = {"de": "%d.%m.%Y, %H:%M:%S UTC", "en": "%Y-%m-%d, %H:%M:%S UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One labelled line."""

    label: str
    value: str
    bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report under its own title."""

    title: str
    rows: tuple[Row, ...]
    level: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is said about one file, in the order in which it is read."""

    file: str
    verdict: str
    tone: str
    """good, bad or unread."""
    remarks: tuple[str, ...]
    """What else has to be known to take the verdict for what it is worth."""
    sections: tuple[Section, ...]


def paper(report: Report, language: str, file: str = "") -> Paper:
    """Return everything that is to be said, in German ("de") or English."""
    return _Writer(report, language).paper(file)


def render(report: Report, language: str) -> str:
    """Return the report as lines for a person, in German ("de") or English."""
    made = paper(report, language)
    lines = [made.verdict, *(f"  {remark}" for remark in made.remarks)]
    for section in made.sections:
        lines.append(("  " if section.level > 2 else "") + section.title)
        indent = " " * (2 * section.level - 2)
        for row in section.rows:
            label = f"{row.label}:"
            lines.append(f"{indent}{label:{WIDTH}} {row.value}")
    return "\n".join(lines) + "\n"


def note(headings: Sequence[notewords.Heading]) -> str:
    """Return a transfer note as lines for a person."""
    lines = []
    for heading in headings:
        lines.append(heading.title)
        lines += [f"  {shown(label) + ':':{WIDTH}} {shown(value)}" for label, value in heading.rows]
    return "\n".join(lines) + "\n"


def page(papers: Sequence[Paper], language: str, made_at: str) -> str:
    """Return one self-contained HTML page about these files; *made_at* is RFC 3339."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = GERMAN if language == "de" else ENGLISH
    return environment.get_template("report.html").render(
        papers=papers, text=text, language=language, made_at=moment(made_at, language)
    )


def moment(text: str, language: str) -> str:
    """Return a time for people, in UTC; one that is none as it is."""
    try:
        at = utc_time(text)
        if at.tzinfo is None:
            return shown(text)
        return at.strftime(TIME[language])
    except ValueError:
        return shown(text)


def shown(text: str) -> str:
    """Escape what is not printable: line ends, terminal codes, changes of writing direction."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _algorithm(text: str) -> str:
    """Return `rsassa_pss, sha256` as people write it: RSASSA-PSS, SHA256."""
    name, _, digest = text.partition(", ")
    known = {"rsassa_pss": "RSASSA-PSS", "rsassa_pkcs1v15": "PKCS#1 v1.5", "rsa": "PKCS#1 v1.5"}
    said = known.get(name) or ("ECDSA" if name.endswith("ecdsa") else "")
    said = said or ("PKCS#1 v1.5" if name.endswith("_rsa") else name)
    return shown(", ".join(part for part in (said, digest.upper()) if part))


class _Writer:
    """Puts one report into words."""

    def __init__(self, report: Report, language: str) -> None:
        self._report = report
        self._language = language
        self._text = GERMAN if language == "de" else ENGLISH

    def paper(self, file: str) -> Paper:
        report, text = self._report, self._text
        unread = {"file-unreadable", "not-judged"} & set(report.problems)
        tone = "good" if report.good else "unread" if unread else "bad"
        sections = [self._file(), *self._seals(), *self._notes()]
        return Paper(
            file=shown(file),
            verdict=self._verdict(tone),
            tone=tone,
            remarks=(
                *(text[code] for code in report.problems[1:]),
                *dict.fromkeys(self._remarks() if report.seals else ()),
            ),
            sections=tuple(section for section in sections if section.rows),
        )

    def _verdict(self, tone: str) -> str:
        text, report = self._text, self._report
        if tone == "good":
            return f"{text['good']} {self._who()}".rstrip()
        if report.problems:
            return f"{text[tone]} {text[report.problems[0]]}"
        return f"{text[tone]} {self._why()}"

    def _who(self) -> str:
        """Return who sealed the file and when, in a sentence: the newest seal that covers it."""
        seal = next(s for s in reversed(self._report.seals) if s.whole)
        name = seal.organisation or seal.signer
        key = "who-proven" if seal.proven_at else "who-claimed"
        return self._text[key].format(
            who=shown(name), when=self._moment(seal.proven_at or seal.claimed_at)
        )

    def _why(self) -> str:
        """Return the first reason why a file with seals is not proven."""
        text = self._text
        for number, seal in enumerate(self._report.seals, 1):
            if (reason := self._reason(seal)) is not None:
                if len(self._report.seals) == 1:
                    return reason
                return f"{text['stamp' if seal.timestamp else 'seal']} {number}: {reason}"
        return text["why-not-whole"]

    def _reason(self, seal: Seal) -> str | None:
        text = self._text
        reasons = (
            (bool(seal.problem), text["why-unjudged"]),
            (not seal.intact, text["why-altered"]),
            (not seal.valid, text["why-invalid"]),
            (seal.coverage == "unclear", text["why-unclear"]),
            (not seal.changes_allowed, text["why-forbidden"]),
            (not seal.trusted, f"{text['why-untrusted']} {self._trust(seal)}."),
        )
        return next((reason for holds, reason in reasons if holds), None)

    def _trust(self, seal: Seal) -> str:
        code = f"trust-{seal.trust_problem}"
        return self._text.get(code, shown(seal.trust_problem))

    def _remarks(self) -> Iterator[str]:
        """Yield what limits a verdict, or is odd without changing it."""
        text, report = self._text, self._report
        for seal in report.seals:
            if seal.problem or not (seal.intact and seal.valid):
                continue
            if seal.chain and not seal.chain[0].given:
                if seal.chain[0].revocation == "not-checked":
                    yield text["remark-revocation"]
                elif self._old(seal):
                    yield text["remark-revocation-old"]
            if not seal.timestamp and not seal.proven_at:
                yield text["remark-no-time"]
            if seal.advice in {"legacy", "weak", "unknown"}:
                yield text[f"remark-{seal.advice}"]
        if report.strangers or any(seal.strangers for seal in report.seals):
            yield text["remark-strangers"]

    def _old(self, seal: Seal) -> bool:
        """Return whether the evidence was made before the seal."""
        made = seal.proven_at or seal.claimed_at
        return bool(made) and seal.chain[0].revocation_at < made

    def _file(self) -> Section:
        report, text = self._report, self._text
        rows = []
        if report.digest:
            rows = [
                self._row("sha256", shown(report.digest)),
                self._row("size", f"{report.size} {text['bytes']}"),
            ]
        if report.pdfa:
            rows.append(self._row("pdfa", f"PDF/A-{shown(report.pdfa)}, {text['pdfa-claim']}"))
        elif report.digest and "not-a-pdf" not in report.problems:
            rows.append(self._row("pdfa", text["pdfa-none"]))
        if report.strangers:
            rows.append(self._strangers(report.strangers))
        return Section(title=text["file"], rows=tuple(rows))

    def _seals(self) -> Iterator[Section]:
        text, seals = self._text, self._report.seals
        for number, seal in enumerate(seals, 1):
            kind = text["stamp" if seal.timestamp else "seal"]
            title = f"{kind} {number} {text['of']} {len(seals)} ({shown(seal.field)})"
            if seal.problem:
                yield Section(
                    title=title, rows=(self._row("unjudged", shown(seal.problem), bad=True),)
                )
                continue
            yield Section(title=title, rows=tuple(self._about(seal)))
            chain = enumerate(seal.chain, 1)
            yield Section(
                title=text["chain"],
                rows=tuple(row for n, one in chain for row in self._link(n, one, len(seal.chain))),
                level=3,
            )

    def _about(self, seal: Seal) -> Iterator[Row]:
        text = self._text
        yield self._row("signer", shown(seal.signer))
        if seal.organisation:
            yield self._row("organisation", shown(seal.organisation))
        yield from self._times(seal)
        if seal.level:
            proven = seal.proven_at or seal.level == "B-B"
            means = text[f"level-{seal.level}" if proven else "level-unproven"]
            why = text[f"level-lacks-{seal.level_lacks}"].format(who=shown(seal.level_lacks_of))
            yield self._row("level", f"PAdES {seal.level}: {means} {why}".rstrip())
        yield self._row(
            "content", text["intact" if seal.intact else "altered"], bad=not seal.intact
        )
        yield self._row("covers", self._coverage(seal), bad=not seal.whole)
        if seal.certified:
            yield self._row("certified", text[f"docmdp-{seal.permissions}"])
        yield self._row("signature", text["valid" if seal.valid else "invalid"], bad=not seal.valid)
        used = ", ".join(part for part in (shown(seal.key), _algorithm(seal.algorithm)) if part)
        yield self._row("algorithm", f"{used}: {text[f'advice-{seal.advice}']}")
        trust = text["trusted"]
        if not seal.trusted and not seal.trust_problem and not (seal.intact and seal.valid):
            trust = text["trust-not-asked"]
        elif not seal.trusted:
            trust = f"{text['untrusted']} {self._trust(seal)}"
        yield self._row("certificate", trust, bad=not seal.trusted)
        yield self._row("qualified", self._qualified(seal))
        yield self._row("revocation", self._revocation(seal))
        if seal.strangers:
            yield self._strangers(seal.strangers)

    def _times(self, seal: Seal) -> Iterator[Row]:
        text = self._text
        if seal.claimed_at:
            yield self._row("claimed", f"{self._moment(seal.claimed_at)} {text['claimed-by']}")
        if seal.proven_at:
            by = text["proven-by"].format(who=shown(seal.stamped_by or seal.signer))
            yield self._row("proven", f"{self._moment(seal.proven_at)} {by}")
        elif seal.stamped_at:
            by = text["stamped-by"].format(who=shown(seal.stamped_by))
            yield self._row(
                "proven", f"{text['unproven-time']} {self._moment(seal.stamped_at)} {by}"
            )
        else:
            yield self._row("proven", text["proven-none"])

    def _coverage(self, seal: Seal) -> str:
        text = self._text
        coverage = text[f"covers-{seal.coverage}"]
        if seal.coverage == "revision":
            allowed = "allowed" if seal.changes_allowed else "forbidden"
            coverage = f"{coverage} {text[f'changed-{seal.changed}']} {text[allowed]}"
            if not seal.whole:
                coverage = f"{text['covers-less']} {coverage}"
        return coverage

    def _qualified(self, seal: Seal) -> str:
        """Return what the certificate says of itself (ETSI EN 319 412-5)."""
        text, said = self._text, set(seal.statements)
        if "unreadable" in said:
            return text["qualified-unreadable"]
        if "compliance" not in said:
            return text["qualified-no"]
        if "other-law" in said:
            return text["qualified-other-law"]
        kinds = [text[f"qualified-{kind}"] for kind in ("seals", "signatures", "websites")]
        known = ("seals", "signatures", "websites")
        of = [word for kind, word in zip(known, kinds, strict=True) if kind in said]
        device = text["qualified-device" if "device" in said else "qualified-no-device"]
        kind = ", ".join(of) or text["qualified-signatures"]
        return f"{text['qualified-yes'].format(kind=kind)} {device} {text['qualified-list']}"

    def _revocation(self, seal: Seal) -> str:
        text = self._text
        if not seal.chain:
            return text["not-checked"]
        one = seal.chain[0]
        said = self._revoked(one)
        if one.revocation == "good" and self._old(seal):
            said += f" {text['revocation-old']}"
        return said

    def _revoked(self, one: Certificate) -> str:
        text = self._text
        if one.revocation == "good":
            return text["revocation-good"].format(when=self._moment(one.revocation_at))
        if one.revocation == "revoked":
            return text["revocation-revoked"].format(
                when=self._moment(one.revoked_at), at=self._moment(one.revocation_at)
            )
        return text["not-checked"]

    def _link(self, number: int, one: Certificate, length: int) -> Iterator[Row]:
        text = self._text
        label = text["chain-seal"] if number == 1 else text["chain-ca"]
        if one.root:
            label = text["chain-root"]
        days = f"{self._moment(one.not_before)} {text['until']} {self._moment(one.not_after)}"
        said = [
            shown(one.subject),
            f"{text['serial']} {shown(one.serial)}",
            f"{text['valid-from']} {days}",
        ]
        if one.given:
            said.append(text["given"])
        if number > 1 and not one.root and not one.given:
            said.append(f"{text['revocation']}: {self._revoked(one)}")
        if number == length and not one.root:
            said.append(text["chain-ends"].format(issuer=shown(one.issuer)))
        yield Row(label=f"{number}. {label}", value="; ".join(said))

    def _strangers(self, names: tuple[str, ...]) -> Row:
        text = self._text
        said = ", ".join(text["unreadable"] if name == "?" else shown(name) for name in names)
        return self._row("strangers", f"{text['strangers-are']} {said}", bad=True)

    def _notes(self) -> Iterator[Section]:
        """Yield the transfer note; hostile values are shown as they are, escaped."""
        report, text = self._report, self._text
        if not report.notes:
            return
        first = self._row("note-worth", text["notes" if report.good else "unproven"])
        yield Section(title=text["note"], rows=(first,))
        fields = {note.name: note.value for note in report.notes}
        for heading in notewords.headed(fields, self._language, self._moment):
            rows = (Row(label=shown(label), value=shown(value)) for label, value in heading.rows)
            yield Section(title=heading.title, rows=tuple(rows), level=3)

    def _row(self, key: str, value: str, *, bad: bool = False) -> Row:
        return Row(label=self._text[key], value=value, bad=bad)

    def _moment(self, text: str) -> str:
        return moment(text, self._language)
