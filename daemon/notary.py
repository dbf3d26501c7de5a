"""What runs in a worker: reads what time-stamp authorities and others answered, and says its worth.

    main process   timestamp.TimeStamps  ──▶  worker: the answer's bytes, what was asked
                   checks what it can itself ◀──  the token, when, by whom

The answers come from the network, so nothing else parses them (I10). The worker has no
network, and no document. pyHanko judges signature and chain; what is compared here
byte for byte is what RFC 3161 asks a requester for (2.4.2).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from daemon import evidence
from daemon.child import serve
from daemon.document import utc_text, utc_time
from daemon.errors import PermanentError
from daemon.workers import Limits

LIMITS: Final = Limits(memory_mb=512, file_mb=1)
WRONG: Final = "timestamp-wrong"
MOST_OFF: Final = timedelta(minutes=5)
"""An authority's clock and ours may differ so much; more, and one of them is wrong."""
LONGEST_NAME: Final = 200


def token(argument: dict[str, Any]) -> dict[str, Any]:
    """Judge one answer to a query; raise `timestamp-wrong` with the reason, else what is in it."""
    from asn1crypto import tsp  # noqa: PLC0415 (only in the worker)

    now = utc_time(argument["now"])
    asked = bytes.fromhex(argument["imprint"])
    try:
        answer = tsp.TimeStampResp.load(bytes.fromhex(argument["answer"]), strict=True)
        _granted(answer["status"]["status"].native)
        held = answer["time_stamp_token"]
        signed = held["content"]
        info = signed["encap_content_info"]["content"].parsed
        _answers(info, asked, int(argument["nonce"]), now)
        signer = _judged(signed, asked, argument["trust"], now)
        others = [one.chosen.dump() for one in signed["certificates"]]
        return {
            "token": held.dump().hex(),
            "at": utc_text(info["gen_time"].native.astimezone(UTC)),
            "by": str(signer.subject.human_friendly)[:LONGEST_NAME],
            # The signer's own first.
            "certificates": [one.hex() for one in dict.fromkeys((signer.dump(), *others))],
        }
    except PermanentError:
        raise
    except Exception as exc:  # noqa: BLE001 (hostile bytes raise anything)
        raise _wrong(f"it cannot be read: {type(exc).__name__}") from None


def _granted(status: str) -> None:
    if status not in {"granted", "granted_with_mods"}:
        raise _wrong(f"the authority says {status}")


def _answers(info: Any, asked: bytes, nonce: int, now: datetime) -> None:
    """Compare a TSTInfo with the query."""
    imprint = info["message_imprint"]
    algorithm = imprint["hash_algorithm"]["algorithm"].native
    if (algorithm, imprint["hashed_message"].native) != ("sha256", asked):
        raise _wrong("it is about something else (messageImprint)")
    if info["nonce"].native != nonce:
        raise _wrong("it answers another query (nonce)")
    off = info["gen_time"].native - now
    if abs(off) > MOST_OFF:
        raise _wrong(f"its time is {round(off.total_seconds())} s from ours")


def _judged(signed: Any, asked: bytes, trust: list[str], now: datetime) -> Any:
    """Return its signer's certificate, if signature, purpose and chain are in order."""
    from asn1crypto import x509  # noqa: PLC0415 (only in the worker)
    from pyhanko.sign.validation.generic_cms import validate_tst_signed_data  # noqa: PLC0415
    from pyhanko.sign.validation.status import TimestampSignatureStatus  # noqa: PLC0415
    from pyhanko_certvalidator import ValidationContext  # noqa: PLC0415

    known = [x509.Certificate.load(bytes.fromhex(one)) for one in trust]
    context = ValidationContext(
        # Not only self-signed ones: the administrator may trust the authority's issuer itself.
        trust_roots=known,
        allow_fetching=False,
        revocation_mode="soft-fail",
        moment=now,
    )
    judged = evidence.runner().run(validate_tst_signed_data(signed, context, lambda _: asked))
    status = TimestampSignatureStatus(**judged)
    if not (status.intact and status.valid):
        raise _wrong("its signature does not verify")
    certificate = status.signing_cert
    if not status.trusted or certificate is None:
        raise _wrong(
            "its certificate does not lead to [seal] timestamp_chain, or is for other uses"
        )
    usage = certificate.extended_key_usage_value
    critical = "extended_key_usage" in certificate.critical_extensions
    # RFC 3161, 2.3: this purpose, no other, and critical.
    if usage is None or usage.native != ["time_stamping"] or not critical:
        raise _wrong("its certificate is for other uses, too")
    return certificate


def _wrong(reason: str) -> PermanentError:
    return PermanentError(WRONG, reason)


if __name__ == "__main__":
    import pyhanko.sign.validation.generic_cms  # noqa: F401 (before the first answer waits for it)
    import pyhanko_certvalidator.revinfo.validate_ocsp  # noqa: F401

    evidence.runner().get_loop()
    serve({"token": token, "revocation": evidence.judge})
