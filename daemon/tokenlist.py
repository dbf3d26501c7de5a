"""The tokens of a module as `scanseal hsm list` shows them: marked, as text and as JSON.

Pure: what a token said comes from daemon/inventory.py. Marked are the token and
the key that the configuration means, and the certificates that hold that key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from daemon.document import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from daemon.formats import Formats
    from daemon.inventory import ShownCertificate, ShownKey, ShownToken


@dataclass(frozen=True, slots=True)
class Meant:
    """What the configuration names: a token's label and a key's."""

    token: str
    key: str


@dataclass(frozen=True, slots=True)
class _Read:
    subject: str
    not_after: datetime | None
    """None for bytes that are no certificate."""
    public: str


def as_json(tokens: Iterable[ShownToken], meant: Meant | None) -> list[dict[str, Any]]:
    """Return the tokens for programs."""
    return [_token(token, meant) for token in tokens]


def render(tokens: Iterable[dict[str, Any]], meant: Meant | None, formats: Formats) -> str:
    """Return what `as_json` gave, for people."""
    lines: list[str] = []
    for token in tokens:
        lines += _lines(token, formats)
    if not lines:
        lines.append(formats.word("tokens_none"))
    if meant is not None and not any(token["configured"] for token in tokens):
        lines.append(formats.word("tokens_other", token=meant.token))
    return "".join(f"{line}\n" for line in lines)


def _token(token: ShownToken, meant: Meant | None) -> dict[str, Any]:
    configured = meant is not None and token.label == meant.token
    wanted = meant.key if configured and meant is not None else None
    publics = {key.public for key in token.keys if key.label == wanted and key.public}
    return {
        "slot": token.slot,
        "label": token.label,
        "serial": token.serial,
        "manufacturer": token.manufacturer,
        "model": token.model,
        "firmware": token.firmware,
        "pin": token.pin,
        "pin_pad": token.pin_pad,
        "mechanisms": list(token.mechanisms),
        "configured": configured,
        "keys": [_key(key, wanted) for key in token.keys],
        "certificates": [_certificate(one, token.keys, publics) for one in token.certificates],
        "trouble": token.trouble,
    }


def _key(key: ShownKey, wanted: str | None) -> dict[str, Any]:
    return {
        "label": key.label,
        "id": key.id,
        "kind": key.kind,
        "bits": key.bits,
        "curve": key.curve,
        "configured": key.label == wanted,
    }


def _certificate(
    shown: ShownCertificate, keys: Iterable[ShownKey], publics: set[str]
) -> dict[str, Any]:
    read = _read(bytes.fromhex(shown.value))
    return {
        "label": shown.label,
        "id": shown.id,
        "subject": read.subject,
        "not_after": utc_text(read.not_after) if read.not_after else None,
        "of_keys": [key.label for key in keys if read.public and key.public == read.public],
        "fits": read.public in publics,
    }


def _read(der: bytes) -> _Read:
    try:
        found = x509.load_der_x509_certificate(der)
        public = found.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return _Read(found.subject.rfc4514_string(), found.not_valid_after_utc, public.hex())
    except Exception:  # noqa: BLE001 (whatever lies on a card: the list names it and goes on)
        return _Read("", None, "")


def _lines(token: dict[str, Any], formats: Formats) -> Iterator[str]:
    mark = formats.word("tokens_meant") if token["configured"] else ""
    label, serial, slot = (token[name] for name in ("label", "serial", "slot"))
    yield formats.word("tokens_token", label=label, serial=serial, slot=slot) + mark
    made = " ".join(word for word in (token["manufacturer"], token["model"]) if word)
    yield f"  {made}, firmware {token['firmware']}"
    yield f"  PIN: {formats.word('tokens_pin_' + token['pin'])}"
    if token["pin_pad"]:
        yield f"  {formats.word('tokens_pin_pad')}"
    names = ", ".join(token["mechanisms"]) or formats.word("tokens_no_mechanism")
    yield f"  {formats.word('tokens_mechanisms', names=names)}"
    for key in token["keys"]:
        mark = formats.word("tokens_meant") if key["configured"] else ""
        words = (key["kind"].upper(), str(key["bits"] or ""), key["curve"])
        kind = " ".join(word for word in words if word)
        yield "  " + formats.word("tokens_key", label=key["label"], id=key["id"], kind=kind) + mark
    for one in token["certificates"]:
        mark = formats.word("tokens_fits") if one["fits"] else ""
        until = one["not_after"][:10] if one["not_after"] else formats.word("tokens_unreadable")
        said = formats.word(
            "tokens_certificate",
            label=one["label"],
            id=one["id"],
            subject=one["subject"],
            until=until,
        )
        yield f"  {said}{mark}"
    if not token["keys"] and not token["certificates"]:
        yield f"  {formats.word('tokens_nothing_shown')}"
    if token["trouble"]:
        yield f"  {formats.word('tokens_trouble', said=token['trouble'])}"
