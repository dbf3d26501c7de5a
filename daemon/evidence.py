"""What one OCSP response or CRL says about one certificate, and whether it proves it.

    main process   revocation  ──▶  worker (notary): judge
                   Revocation  ◀──  compared here with what can be compared

The answers come from the network, so only the worker reads them (I10). Who may have
signed one is said by the caller, never by the answer: the certificate's own issuer, or
for OCSP whom that has named.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Protocol

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from daemon import certificate
from daemon.document import utc_text, utc_time
from daemon.errors import DaemonError, TransientError, WorkerDied
from daemon.workers import typed

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS: Final = 30.0
UNUSABLE: Final = "revocation-unusable"
MOST_APART: Final = timedelta(minutes=5)
"""So far a server's clock may be from ours."""
OCSP_HOLDS: Final = timedelta(days=1)
"""How long an OCSP answer is used that names no next one (RFC 6960, 4.2.2.1: any time)."""
REASONS: Final = {
    "unspecified": "unspecified",
    "key_compromise": "keyCompromise",
    "ca_compromise": "cACompromise",
    "affiliation_changed": "affiliationChanged",
    "superseded": "superseded",
    "cessation_of_operation": "cessationOfOperation",
    "certificate_hold": "certificateHold",
    "privilege_withdrawn": "privilegeWithdrawn",
    "aa_compromise": "aACompromise",
}
"""RFC 5280, 5.3.1, by asn1crypto's names; without the one that only partial lists have."""

Kind = Literal["ocsp", "crl"]


class Caller(Protocol):
    """A Worker or Workers running `daemon.notary`."""

    async def call(self, task: str, argument: Mapping[str, Any], *, seconds: float) -> Any:
        """Run a task; see `Worker.call`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What one answer says about one certificate."""

    revoked_at: datetime | None
    """None where it is good."""
    reason: str
    """As RFC 5280, 5.3.1 names it; "" if not revoked."""
    this_update: datetime
    next_update: datetime
    """The answer is used until then, and no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The worker's word."""

    revoked_at: str
    reason: str
    this_update: str
    next_update: str


async def revocation(
    worker: Caller, kind: Kind, answer: bytes, leaf: bytes, issuer: bytes, now: datetime
) -> Revocation:
    """Return what *answer* says about *leaf*, or raise TransientError `revocation-unusable`.

    *issuer* is trusted: it is of our own configuration.
    """
    argument = {
        "kind": kind,
        "answer": answer.hex(),
        "certificate": leaf.hex(),
        "issuer": issuer.hex(),
        "now": utc_text(now),
    }
    said = typed(Said, await worker.call("revocation", argument, seconds=SECONDS))
    try:
        revoked_at = _time(said.revoked_at) if said.revoked_at else None
        begin, end = _time(said.this_update), _time(said.next_update)
    except ValueError as exc:
        raise WorkerDied("times that are none") from exc
    serial = core.Integer(certificate.load(leaf).serial_number).dump()
    if (kind == "ocsp" or revoked_at) and serial not in answer:
        raise WorkerDied("an answer that does not name the certificate")
    if not begin <= now + MOST_APART or not now <= end:
        raise WorkerDied("an answer for another time")
    if bool(revoked_at) != bool(said.reason) or said.reason not in {"", *REASONS.values()}:
        raise WorkerDied("a reason that is none")
    return Revocation(
        revoked_at=revoked_at,
        reason=said.reason,
        this_update=begin,
        next_update=end,
    )


def _time(text: str) -> datetime:
    """Read a time out of a worker's word."""
    moment = utc_time(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


def _text(moment: datetime) -> str:
    return utc_text(moment.astimezone(UTC).replace(microsecond=0))


# --- in the worker ------------------------------------------------------------------------------


@cache
def runner() -> asyncio.Runner:
    """Return the one loop of this process: it has sockets, which cannot be made behind the walls."""
    return asyncio.Runner()


def judge(argument: dict[str, Any]) -> dict[str, Any]:
    """Look at one OCSP response or CRL; runs in the worker."""
    try:
        return asdict(_judged_revocation(argument))
    except DaemonError:
        raise
    except Exception as exc:  # noqa: BLE001 (hostile bytes raise anything)
        _unusable(f"it does not prove anything ({type(exc).__name__})")


def _judged_revocation(argument: dict[str, Any]) -> Said:
    answer, now = bytes.fromhex(argument["answer"]), utc_time(argument["now"])
    leaf, issuer = bytes.fromhex(argument["certificate"]), bytes.fromhex(argument["issuer"])
    judge = _ocsp if argument["kind"] == "ocsp" else _crl
    return judge(answer, leaf, issuer, now)


def _ocsp(answer: bytes, leaf: bytes, issuer: bytes, now: datetime) -> Said:
    from asn1crypto import ocsp  # noqa: PLC0415 (only in the worker)
    from asn1crypto import x509 as asn1_x509  # noqa: PLC0415
    from pyhanko_certvalidator import ValidationContext  # noqa: PLC0415
    from pyhanko_certvalidator.authority import CertTrustAnchor  # noqa: PLC0415
    from pyhanko_certvalidator.errors import RevokedError  # noqa: PLC0415
    from pyhanko_certvalidator.path import ValidationPath  # noqa: PLC0415
    from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response  # noqa: PLC0415

    response = ocsp.OCSPResponse.load(answer, strict=True)
    if response["response_status"].native != "successful":
        _unusable("the responder cannot say")
    single = response.response_data["responses"]
    if len(single) != 1:
        _unusable("an answer about several certificates")
    begin, end = single[0]["this_update"].native, single[0]["next_update"].native
    end = end or begin + OCSP_HOLDS
    _current(begin, end, now)
    anchor = asn1_x509.Certificate.load(issuer)
    context = ValidationContext(
        trust_roots=[anchor],
        ocsps=[response],
        allow_fetching=False,
        revocation_mode="soft-fail",
        moment=now,
        time_tolerance=MOST_APART,
    )
    held = asn1_x509.Certificate.load(leaf)
    path = ValidationPath(CertTrustAnchor(anchor), interm=(), leaf=held)
    revoked_at = reason = ""
    try:
        runner().run(verify_ocsp_response(held, path, context))
    except RevokedError as exc:
        revoked_at = _text(exc.revocation_dt)
        reason = REASONS[exc.reason.native]
    return Said(
        revoked_at=revoked_at,
        reason=reason,
        this_update=_text(begin),
        next_update=_text(end),
    )


def _crl(answer: bytes, leaf: bytes, issuer: bytes, now: datetime) -> Said:
    """Judge a complete list of the certificate's own issuer (RFC 5280, 6.3.3)."""
    # Not pyHanko: lists of millions of bytes are slow there, and an anchor that is no root
    # could not sign one.
    listed = x509.load_der_x509_crl(answer)
    held, signer = certificate.load(leaf), certificate.load(issuer)
    begin, end = listed.last_update_utc, listed.next_update_utc
    if end is None:
        _unusable("a list without an end (RFC 5280, 5.1.2.5)")
    _current(begin, end, now)
    key = signer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        _unusable("its signer's key is none that is used here")
    if listed.issuer != held.issuer or listed.issuer != signer.subject:
        _unusable("a list of another issuer")
    if not listed.is_signature_valid(key):
        _unusable("its signature does not verify")
    usage = signer.extensions.get_extension_for_class(x509.KeyUsage).value
    if not usage.crl_sign:
        _unusable("its signer may not sign lists")
    about(listed, held)
    entry = listed.get_revoked_certificate_by_serial_number(held.serial_number)
    reason = "" if entry is None else "unspecified"
    with suppress(x509.ExtensionNotFound):
        if entry is not None:
            found = entry.extensions.get_extension_for_class(x509.CRLReason).value
            reason = found.reason.value
    return Said(
        revoked_at="" if entry is None else utc_text(entry.revocation_date_utc),
        reason=reason,
        this_update=utc_text(begin),
        next_update=utc_text(end),
    )


def about(listed: x509.CertificateRevocationList, held: x509.Certificate) -> None:
    """Raise TransientError if a list does not say everything about this certificate."""
    for extension in listed.extensions:
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            _in_scope(extension.value, held)
        elif extension.critical:
            _unusable("a list with a critical extension that is not known here")


def _in_scope(point: x509.IssuingDistributionPoint, held: x509.Certificate) -> None:
    """Refuse a list that does not speak of all reasons for this certificate."""
    points = held.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    named = {name for point in points for name in point.full_name or ()}
    others = point.only_contains_user_certs if _is_ca(held) else point.only_contains_ca_certs
    partial = point.only_some_reasons or point.relative_name or point.indirect_crl
    if partial or others or point.only_contains_attribute_certs:
        _unusable("a list for others")
    if point.full_name and named.isdisjoint(point.full_name):
        _unusable("a list of another place")


def _is_ca(held: x509.Certificate) -> bool:
    with suppress(x509.ExtensionNotFound):
        return held.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return False


def _current(begin: datetime, end: datetime, now: datetime) -> None:
    if not begin <= now + MOST_APART or not now <= end:
        _unusable("it is out of date, or of a time to come")


def _unusable(reason: str) -> NoReturn:
    raise TransientError(UNUSABLE, reason)
