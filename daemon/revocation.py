"""Whether the certificates in our seals still hold: fetched ahead, and kept for days without a net.

    due(record, tried_at, now)?  ──▶  OCSP, else CRL, from the certificate's own addresses
                                 ──▶  evidence (worker)  ──▶  <state_dir>/revocation/<sha256>.json

Asked for is each certificate of the chains of seal and time stamps that is not a root.
An answer is used until its next update and asked for anew long before. Who answers
nothing leaves the state unknown, with since when; a revocation is never forgotten.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from daemon import certificate, durable, evidence, outward
from daemon.chain import Revocation as Known
from daemon.document import Digest, utc_text, utc_time
from daemon.errors import TransientError
from daemon.pages.dss import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

UNREACHABLE: Final = "revocation-unreachable"
AT_LEAST_EVERY: Final = timedelta(days=1)
NOT_AGAIN_BEFORE: Final = timedelta(minutes=2)
"""So long nobody is asked again who has not answered."""
MOST_BYTES: Final = {"ocsp": 64 << 10, "crl": 4 << 20}
"""A worker's request holds it twice over; lists of public CAs for seals are far smaller."""

State = Literal["good", "revoked", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is kept about one certificate: the newest answer, if there ever was one."""

    asked_since: datetime
    kind: str = ""
    """ocsp or crl; "" before the first answer."""
    answer: bytes = field(default=b"", repr=False)
    said: evidence.Revocation | None = None
    fetched_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is known of one certificate now."""

    certificate: Digest
    state: State
    since: datetime | None = None
    """When it was revoked, or since when nothing is known; None where it is good."""
    reason: str = ""
    """Of a revocation, as RFC 5280 names it; or why nobody could be asked."""
    this_update: datetime | None = None
    next_update: datetime | None = None


def due(record: Record | None, tried_at: datetime | None, now: datetime) -> bool:
    """Return whether a certificate has to be asked for now."""
    if record is not None and record.said is not None and record.said.revoked_at:
        return False
    # A time to come is one of a clock that was wrong.
    if tried_at is not None and timedelta(0) <= now - tried_at < NOT_AGAIN_BEFORE:
        return False
    if record is None or record.said is None or record.fetched_at is None:
        return True
    lasts = record.said.next_update - record.fetched_at
    age = now - record.fetched_at
    return age < timedelta(0) or age >= min(lasts / 2, AT_LEAST_EVERY)


def judged(digest: Digest, record: Record, now: datetime, problem: str = "") -> Status:
    """Return what *record* is worth at *now*."""
    said = record.said
    if said is None:
        return Status(certificate=digest, state="unknown", since=record.asked_since, reason=problem)
    state: State = "revoked" if said.revoked_at else "good"
    since, reason = said.revoked_at, said.reason
    if state == "good" and now > said.next_update:
        state, since, reason = "unknown", said.next_update, problem
    return Status(
        certificate=digest,
        state=state,
        since=since,
        reason=reason,
        this_update=said.this_update,
        next_update=said.next_update,
    )


def pairs(chains: Iterable[Sequence[bytes]]) -> dict[bytes, bytes | None]:
    """Return each certificate that is not a root, with its issuer if that is there too."""
    known = {one: certificate.load(one) for chain in chains for one in chain}
    return {
        der: next((one for one, by in known.items() if one != der and _issued(held, by)), None)
        for der, held in known.items()
        if held.issuer != held.subject
    }


def addresses(held: x509.Certificate) -> Iterator[tuple[evidence.Kind, str]]:
    """Yield where a certificate says that it can be asked for: OCSP first, then lists."""
    # A certificate may be odd in a part of it that was not looked at yet: then it names nothing.
    with suppress(x509.ExtensionNotFound, ValueError):
        access = held.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        for one in access:
            if one.access_method == AuthorityInformationAccessOID.OCSP:
                yield from (("ocsp", url) for url in _web([one.access_location]))
    with suppress(x509.ExtensionNotFound, ValueError):
        points = held.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        for point in points:
            yield from (("crl", url) for url in _web(point.full_name or ()))


class Revocations:
    """What is known of all certificates, in memory and on disk."""

    def __init__(
        self,
        folder: Path,
        worker: evidence.Caller,
        clock: Callable[[], datetime],
        patience: outward.Patience | None = None,
    ) -> None:
        """Use what lies in *folder*, which has to exist; *worker* runs `daemon.notary`."""
        self._folder = folder
        self._worker = worker
        self._clock = clock
        self._patience = patience or outward.Patience()
        self._tried_at: dict[Digest, datetime] = {}
        self._problems: dict[Digest, str] = {}
        self._records: dict[Digest, Record] = {}
        for file in folder.glob("*.json"):
            # A file that is damaged is like one that is not there: it is asked for again.
            with suppress(OSError, ValueError, TypeError, KeyError):
                self._records[Digest(file.stem)] = _read(file.read_bytes())

    async def refresh(self, chains: Iterable[Sequence[bytes]]) -> None:
        """Ask for each certificate of *chains* that is due; what goes wrong is in its status."""
        for leaf, issuer in pairs(chains).items():
            digest, now = Digest.of(leaf), self._clock()
            if due(self._records.get(digest), self._tried_at.get(digest), now):
                self._tried_at[digest] = now
                await self._ask(digest, leaf, issuer)

    def statuses(self, chains: Iterable[Sequence[bytes]]) -> tuple[Status, ...]:
        """Return what is known now of each certificate of *chains* that is not a root."""
        now = self._clock()
        found = []
        for leaf in pairs(chains):
            digest = Digest.of(leaf)
            record = self._records.get(digest) or Record(asked_since=now)
            found.append(judged(digest, record, now, self._problems.get(digest, "")))
        return tuple(found)

    def status(self, certificate: bytes) -> Known:
        """Return what is known of *certificate* (DER) now, without asking anybody."""
        digest, now = Digest.of(certificate), self._clock()
        record = self._records.get(digest)
        if record is None:
            return Known(word="unknown")
        found = judged(digest, record, now)
        at = found.this_update if found.state == "good" else found.since
        # Why nobody could be asked is no reason of a revocation.
        reason = found.reason if found.state == "revoked" else ""
        return Known(word=found.state, at=at, reason=reason)

    def store(self, chains: Sequence[Sequence[bytes]]) -> Store | None:
        """Return all that proves the *chains* now, for B-LT; None if anything is missing."""
        if any(status.state != "good" for status in self.statuses(chains)):
            return None
        records = [self._records[Digest.of(leaf)] for leaf in pairs(chains)]
        answers = {
            kind: tuple(dict.fromkeys(one.answer for one in records if one.kind == kind))
            for kind in ("ocsp", "crl")
        }
        certs = dict.fromkeys(one for chain in chains for one in chain)
        ends = [one.said.next_update for one in records if one.said is not None]
        return Store(
            certs=tuple(certs),
            ocsps=answers["ocsp"],
            crls=answers["crl"],
            until=min(ends, default=None),
        )

    async def _ask(self, digest: Digest, leaf: bytes, issuer: bytes | None) -> None:
        problems = []
        places = list(addresses(certificate.load(leaf))) if issuer else []
        for kind, url in places:
            try:
                answer = await outward.answer(
                    _question(kind, url, leaf, issuer or b""), self._patience, UNREACHABLE
                )
                said = await evidence.revocation(
                    self._worker, kind, answer, leaf, issuer or b"", self._clock()
                )
            except TransientError as exc:
                problems.append(f"{outward.host(url)}: {exc.args[0]}")
                continue
            self._keep(digest, kind, answer, said)
            return
        lacking = "it names nobody to ask" if issuer else "its issuer is not in the chain"
        self._problems[digest] = "; ".join(problems) or lacking
        if digest not in self._records:
            self._write(digest, Record(asked_since=self._clock()))

    def _keep(self, digest: Digest, kind: str, answer: bytes, said: evidence.Revocation) -> None:
        self._problems.pop(digest, None)
        now = self._clock()
        before = self._records.get(digest)
        since = before.asked_since if before else now
        record = Record(asked_since=since, kind=kind, answer=answer, said=said, fetched_at=now)
        self._write(digest, record)

    def _write(self, digest: Digest, record: Record) -> None:
        self._records[digest] = record
        try:
            durable.write(self._folder / f"{digest.hex}.json", _written(record))
        except OSError as exc:
            # It is known until the next start; what the disk lacks is told elsewhere.
            self._problems[digest] = f"the answer cannot be kept: {exc.strerror}"


def _question(kind: evidence.Kind, url: str, leaf: bytes, issuer: bytes) -> outward.Question:
    if kind == "crl":
        return outward.Question(url=url, answers=frozenset(), most_bytes=MOST_BYTES[kind])
    # SHA-1 names the issuer here, it proves nothing: what every responder knows (RFC 5019, 2.1.1).
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        certificate.load(leaf),
        certificate.load(issuer),
        hashes.SHA1(),  # noqa: S303
    )
    return outward.Question(
        url=url,
        body=builder.build().public_bytes(serialization.Encoding.DER),
        content_type="application/ocsp-request",
        answers=frozenset({"application/ocsp-response"}),
        most_bytes=MOST_BYTES[kind],
    )


def _web(names: Iterable[x509.GeneralName]) -> Iterator[str]:
    for name in names:
        is_address = isinstance(name, x509.UniformResourceIdentifier)
        if is_address and name.value.lower().startswith(("http://", "https://")):
            yield name.value


def _issued(held: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        held.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _written(record: Record) -> bytes:
    said = record.said and {
        name: utc_text(value) if isinstance(value, datetime) else value
        for name, value in asdict(record.said).items()
    }
    values = {
        "asked_since": utc_text(record.asked_since),
        "kind": record.kind,
        "answer": base64.b64encode(record.answer).decode(),
        "said": said,
        "fetched_at": record.fetched_at and utc_text(record.fetched_at),
    }
    return json.dumps(values).encode()


def _read(data: bytes) -> Record:
    values: dict[str, Any] = json.loads(data)
    said = None
    if found := values["said"]:
        said = evidence.Revocation(
            revoked_at=found["revoked_at"] and utc_time(found["revoked_at"]),
            reason=found["reason"],
            this_update=utc_time(found["this_update"]),
            next_update=utc_time(found["next_update"]),
        )
    return Record(
        asked_since=utc_time(values["asked_since"]),
        kind=values["kind"],
        answer=base64.b64decode(values["answer"]),
        said=said,
        fetched_at=values["fetched_at"] and utc_time(values["fetched_at"]),
    )
