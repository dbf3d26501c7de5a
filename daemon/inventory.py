"""What every token that a module offers says of itself, without a login.

For a technician who has a module and a cable, and perhaps no configuration yet:
`look` starts a process of its own, asks once and ends it, so a module that hangs
or crashes takes nothing along. Nobody logs in here, so no try of a PIN is spent,
and the running service is not asked: its session is its own process's.

PyKCS11 is imported inside the task, so only in that process.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon import spki
from daemon.cryptoki import SCHEMES
from daemon.errors import TransientError, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_OBJECTS: Final = 100
"""Of each kind and token: a list for people, not a copy of the token."""
MISSING: Final = "hsm-module-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCertificate:
    """A certificate that anybody may read from the token."""

    label: str
    id: str
    """CKA_ID as hex."""
    value: str
    """DER as hex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A public key on the token; its private half shows itself only after a login."""

    label: str
    id: str
    kind: str
    """rsa or ec; else the number of its type."""
    bits: int
    """0 where it is not known."""
    curve: str
    """The curve's object identifier; "" for RSA."""
    public: str
    """DER of the SubjectPublicKeyInfo as hex; "" where it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownToken:
    """One slot with a token in it."""

    slot: int
    label: str
    serial: str
    manufacturer: str
    model: str
    firmware: str
    pin: str
    """untried, tried, final-try, locked or not-set. How many tries are left no token says."""
    pin_pad: bool
    mechanisms: tuple[str, ...]
    """Of those that we sign with, the ones it has."""
    certificates: tuple[ShownCertificate, ...]
    keys: tuple[ShownKey, ...]
    trouble: str
    """What the token answered where it could not be asked to the end; "" if all went well."""


@dataclass(frozen=True, slots=True)
class _Shown:
    tokens: tuple[ShownToken, ...]


async def look(
    module: str, environment: Mapping[str, str], seconds: float
) -> tuple[ShownToken, ...]:
    """Return every token that *module* offers; TransientError if it cannot be asked in time."""
    from daemon.workers import Limits, Worker, typed  # noqa: PLC0415 (brings asyncio)

    limits = Limits(memory_mb=2048, file_mb=64)
    place = Path("/")
    worker = Worker("daemon.inventory", place=place, limits=limits, environment=environment)
    try:
        reply = await worker.call("look", {"module": module}, seconds=seconds)
        return typed(_Shown, reply).tokens
    except WorkerDied as exc:
        raise TransientError("module-unusable", f"{module}: {exc.args[0]}") from exc
    finally:
        await worker.stop()


def shown(argument: dict[str, Any]) -> dict[str, Any]:
    """Ask every token; runs in the worker."""
    p11 = importlib.import_module("PyKCS11")
    module = argument["module"]
    if not os.path.isfile(module):  # noqa: PTH113
        raise TransientError(MISSING, f"{module}: no such file")
    lib = p11.PyKCS11Lib()
    try:
        lib.load(module)
        slots = lib.getSlotList(tokenPresent=True)
    except p11.PyKCS11Error as exc:
        code, said = ("hsm-error", str(exc)) if exc.value != -1 else (MISSING, "cannot be loaded")
        raise TransientError(code, f"{module}: {said}") from None
    return {"tokens": [asdict(token) for token in _tokens(p11, lib, slots)]}


def _tokens(p11: Any, lib: Any, slots: list[int]) -> Iterator[ShownToken]:
    ours = {name for pair in SCHEMES.values() for name in pair}
    for slot in slots:
        certificates: list[ShownCertificate] = []
        keys: list[ShownKey] = []
        mechanisms: tuple[str, ...] = ()
        trouble = ""
        try:
            info = lib.getTokenInfo(slot)
        except p11.PyKCS11Error:  # pulled out in this moment; the next look says more
            continue
        try:
            mechanisms = tuple(sorted(ours & {*map(str, lib.getMechanismList(slot))}))
            session = lib.openSession(slot)
            certificates += _certificates(p11, session)
            keys += _keys(p11, session)
            session.closeSession()
        except p11.PyKCS11Error as exc:
            trouble = str(exc)
        yield ShownToken(
            slot=slot,
            label=_text(info.label),
            serial=_text(info.serialNumber),
            manufacturer=_text(info.manufacturerID),
            model=_text(info.model),
            firmware="{}.{}".format(*info.firmwareVersion),
            pin=_pin(p11, info.flags),
            pin_pad=bool(info.flags & p11.CKF_PROTECTED_AUTHENTICATION_PATH),
            mechanisms=mechanisms,
            certificates=tuple(certificates),
            keys=tuple(keys),
            trouble=trouble,
        )


def _pin(p11: Any, flags: int) -> str:
    if flags & p11.CKF_USER_PIN_LOCKED:
        return "locked"
    if flags & p11.CKF_USER_PIN_FINAL_TRY:
        return "final-try"
    if flags & p11.CKF_USER_PIN_COUNT_LOW:
        return "tried"
    return "untried" if flags & p11.CKF_USER_PIN_INITIALIZED else "not-set"


def _certificates(p11: Any, session: Any) -> Iterator[ShownCertificate]:
    x509 = (p11.CKA_CERTIFICATE_TYPE, p11.CKC_X_509)
    found = session.findObjects([(p11.CKA_CLASS, p11.CKO_CERTIFICATE), x509])
    for one in found[:MOST_OBJECTS]:
        names = (p11.CKA_LABEL, p11.CKA_ID, p11.CKA_VALUE)
        label, id_, value = session.getAttributeValue(one, names)
        yield ShownCertificate(
            label=_text(label or ""), id=bytes(id_ or b"").hex(), value=bytes(value or b"").hex()
        )


def _keys(p11: Any, session: Any) -> Iterator[ShownKey]:
    found = session.findObjects([(p11.CKA_CLASS, p11.CKO_PUBLIC_KEY)])
    for one in found[:MOST_OBJECTS]:
        names = (p11.CKA_LABEL, p11.CKA_ID, p11.CKA_KEY_TYPE)
        label, id_, type_ = session.getAttributeValue(one, names)
        kind, bits, curve, public = str(type_), 0, "", b""
        if type_ == p11.CKK_RSA:
            parts = (p11.CKA_MODULUS, p11.CKA_PUBLIC_EXPONENT)
            modulus, exponent = (bytes(it or b"") for it in session.getAttributeValue(one, parts))
            kind, bits = "rsa", int.from_bytes(modulus, "big").bit_length()
            public = spki.rsa(modulus, exponent)
        elif type_ == p11.CKK_EC:
            parts = (p11.CKA_EC_PARAMS, p11.CKA_EC_POINT)
            params, point = (bytes(it or b"") for it in session.getAttributeValue(one, parts))
            kind = "ec"
            if params.hex() in spki.CURVES:
                curve, bits = spki.CURVES[params.hex()]
                public = spki.ec(params, point)
        yield ShownKey(
            label=_text(label or ""),
            id=bytes(id_ or b"").hex(),
            kind=kind,
            bits=bits,
            curve=curve,
            public=public.hex(),
        )


def _text(value: str) -> str:
    # A vendor's text in another coding comes as half characters: they go no further.
    return value.rstrip(" \0").encode(errors="replace").decode()


if __name__ == "__main__":
    from daemon.child import serve

    serve({"look": shown})
