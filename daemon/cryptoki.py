"""The inside of the HSM process: PyKCS11, one token, one session, one key.

    open   C_Initialize, find the token, C_OpenSession; logs nobody in
    login  C_Login, once; there is no loop and no second try in this file
    key    find the private key, tell its public half
    probe  is the token still there, and are we still logged in?
    sign   C_SignInit, C_Sign

The main process imports this module too, for what the tasks return, but never
PyKCS11: that is loaded where it is used. Trouble of the token leaves as
TransientError or PermanentError with the token's answer by name (CKR_...); the
PIN is read here, from its file, and is in no message, argument or variable that
lives longer than the call.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon import spki
from daemon.errors import PermanentError, TransientError
from daemon.pinfile import read_pin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MOST_CERTIFICATES: Final = 20
SIGNATURE_ROOM: Final = 1024
"""Bytes for a signature, given at once: RSA with 8192 bits. Saves the call that asks the size."""
DIGEST_INFOS: Final[Mapping[str, str]] = {
    "sha256": "3031300d060960864801650304020105000420",
    "sha384": "3041300d060960864801650304020205000430",
    "sha512": "3051300d060960864801650304020305000440",
}
"""What stands before each digest in a DigestInfo (RFC 8017, 9.2, note 1)."""
SCHEMES: Final[Mapping[str, tuple[str, str]]] = {
    name: pair
    for digest in DIGEST_INFOS
    for name, pair in {
        f"rsa-pss-{digest}": ("CKM_RSA_PKCS_PSS", f"CKM_{digest.upper()}_RSA_PKCS_PSS"),
        f"rsa-pkcs1v15-{digest}": ("CKM_RSA_PKCS", f"CKM_{digest.upper()}_RSA_PKCS"),
        f"ecdsa-{digest}": ("CKM_ECDSA", f"CKM_ECDSA_{digest.upper()}"),
    }.items()
}
"""The mechanism that signs a digest, and the one that also makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What a token says of itself before anybody logs in."""

    serial: str
    label: str
    manufacturer: str
    model: str
    firmware: str
    hardware: str
    pin_count_low: bool
    """A wrong PIN was tried since the last good one."""
    pin_final_try: bool
    """The next wrong PIN locks it."""
    pin_locked: bool
    protected_path: bool
    mechanisms: tuple[str, ...]
    """Of those in SCHEMES, the ones it has."""
    certificates: tuple[str, ...]
    """DER as hex: those with the key's label; where none has it, all that it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """The private key, as far as it may be known."""

    kind: str
    """rsa or ec."""
    bits: int
    curve: str
    """The curve's object identifier; "" for RSA."""
    public: str
    """DER of the SubjectPublicKeyInfo as hex; "" where the token does not show it."""
    always_authenticate: bool
    """The PIN is presented with each signature."""


PIN_SAID: Final[Mapping[str, tuple[str, str]]] = {
    "CKR_PIN_INCORRECT": ("pin-rejected", "the token says that the PIN is wrong"),
    "CKR_PIN_INVALID": ("pin-rejected", "the token says that the PIN is invalid"),
    "CKR_PIN_LEN_RANGE": ("pin-rejected", "the token says that the PIN has the wrong length"),
    "CKR_PIN_EXPIRED": ("pin-expired", "the token wants a new PIN to be set"),
    "CKR_PIN_LOCKED": ("pin-locked", "the token has locked the PIN"),
    "CKR_USER_PIN_NOT_INITIALIZED": ("pin-not-set", "the token has no user PIN yet"),
}
TOKEN_GONE: Final = frozenset(
    {"CKR_TOKEN_NOT_PRESENT", "CKR_TOKEN_NOT_RECOGNIZED", "CKR_DEVICE_REMOVED"}
)
OUR_REQUEST: Final = frozenset(
    {
        "CKR_ARGUMENTS_BAD",
        "CKR_DATA_INVALID",
        "CKR_DATA_LEN_RANGE",
        "CKR_FUNCTION_NOT_SUPPORTED",
        "CKR_KEY_FUNCTION_NOT_PERMITTED",
        "CKR_KEY_SIZE_RANGE",
        "CKR_KEY_TYPE_INCONSISTENT",
        "CKR_MECHANISM_INVALID",
        "CKR_MECHANISM_PARAM_INVALID",
        "CKR_ATTRIBUTE_TYPE_INVALID",
        "CKR_ATTRIBUTE_VALUE_INVALID",
        "CKR_TEMPLATE_INCONSISTENT",
    }
)
"""What a token says about the request, not about itself: a new session changes nothing."""
BEFORE_THE_PIN: Final = frozenset(
    {
        "CKR_ARGUMENTS_BAD",
        "CKR_CRYPTOKI_NOT_INITIALIZED",
        "CKR_FUNCTION_NOT_SUPPORTED",
        "CKR_OPERATION_NOT_INITIALIZED",
        "CKR_SESSION_HANDLE_INVALID",
        "CKR_SESSION_READ_ONLY_EXISTS",
        "CKR_USER_ANOTHER_ALREADY_LOGGED_IN",
        "CKR_USER_NOT_LOGGED_IN",
        "CKR_USER_TYPE_INVALID",
    }
)
"""Answers to C_Login that come before anything looks at the PIN.

CKR_SESSION_CLOSED is none of them: closed during the call (PKCS#11 v2.40, base, 5.1.2).
"""


TAKES_NONE: Final = frozenset(
    {
        "CKR_ACTION_PROHIBITED",
        "CKR_ATTRIBUTE_READ_ONLY",
        "CKR_DEVICE_MEMORY",
        "CKR_FUNCTION_NOT_SUPPORTED",
        "CKR_SESSION_READ_ONLY",
        "CKR_TOKEN_WRITE_PROTECTED",
        "CKR_USER_NOT_LOGGED_IN",
    }
)
"""What a token says that takes no certificate from its user, or keeps a key; all else is trouble."""


def reaction(ckr: str) -> str:
    """Return what an answer of the token calls for: `reopen`, `pin` or `other`.

    Whatever is not known is `reopen`, vendors' own numbers too: a box that does
    not try a new session stays off until somebody restarts it (lessons.md 3.2).
    """
    if ckr in PIN_SAID:
        return "pin"
    return "other" if ckr in OUR_REQUEST else "reopen"


def _pykcs11() -> Any:
    return importlib.import_module("PyKCS11")


class Inside:
    """What the HSM process holds: a module, a token, a session, a key. Each method is a task."""

    def __init__(self) -> None:
        """Hold nothing: no process starts logged in."""
        self._lib: Any = None
        self._slot = 0
        self._session: Any = None
        self._logged_in = False
        self._pin_file = ""
        self._label = ""
        self._key: Any = None
        self._kind = -1
        self._facts: KeyFacts | None = None
        self._mechanisms: tuple[str, ...] = ()

    def open(self, argument: Mapping[str, str]) -> dict[str, Any]:
        """Load the module, find the token, look at everything that is public."""
        p11 = _pykcs11()
        module, label, serial = argument["module"], argument["token"], argument["serial"]
        if not os.path.isfile(module):  # noqa: PTH113
            raise TransientError("hsm-module-missing", f"{module}: no such file")
        self._lib = p11.PyKCS11Lib()
        try:
            self._lib.load(module)
        except p11.PyKCS11Error as exc:
            if exc.value != -1:
                raise
            raise TransientError("hsm-module-missing", f"{module}: cannot be loaded") from None
        found = [
            (slot, info)
            for slot, info in self._tokens()
            if _text(info.label) == label and serial in ("", _text(info.serialNumber))
        ]
        wanted = f"label {label!r}" + (f", serial {serial!r}" if serial else "")
        if not found:
            raise TransientError("token-missing", f"no token with {wanted}")
        if len(found) > 1:
            raise PermanentError("token-ambiguous", f"{len(found)} tokens with {wanted}")
        ((self._slot, info),) = found
        if info.flags & p11.CKF_PROTECTED_AUTHENTICATION_PATH:
            raise PermanentError("hsm-pinpad", f"the token with {wanted} has its own PIN pad")
        read_pin(argument["pin"])
        self._session = self._lib.openSession(self._slot)
        known = {name for pair in SCHEMES.values() for name in pair}
        self._mechanisms = tuple(sorted(known & {*self._lib.getMechanismList(self._slot)}))
        facts = TokenFacts(
            serial=_text(info.serialNumber),
            label=_text(info.label),
            manufacturer=_text(info.manufacturerID),
            model=_text(info.model),
            firmware="{}.{}".format(*info.firmwareVersion),
            hardware="{}.{}".format(*info.hardwareVersion),
            pin_count_low=bool(info.flags & p11.CKF_USER_PIN_COUNT_LOW),
            pin_final_try=bool(info.flags & p11.CKF_USER_PIN_FINAL_TRY),
            pin_locked=bool(info.flags & p11.CKF_USER_PIN_LOCKED),
            protected_path=False,
            mechanisms=self._mechanisms,
            certificates=self._certificates(argument["key"]),
        )
        return asdict(facts)

    def login(self, argument: Mapping[str, str]) -> dict[str, Any]:
        """Present the PIN, once."""
        if self._session is None:
            raise TransientError("not-logged-in", "this process has not opened the token")
        self._present(read_pin(argument["pin"]), _pykcs11().CKU_USER)
        self._logged_in, self._pin_file = True, argument["pin"]
        return {}

    def key(self, argument: Mapping[str, str]) -> dict[str, Any]:
        """Find the one private key with that label; `sign` uses it from then on."""
        self._key, self._kind, facts = self._one_key(argument["key"])
        self._label, self._facts = argument["key"], facts
        return asdict(facts)

    def other_key(self, argument: Mapping[str, str]) -> dict[str, Any]:
        """Find a private key by its label, and change nothing for `sign`."""
        return asdict(self._one_key(argument["key"])[2])

    def certificates(self, argument: Mapping[str, str]) -> dict[str, Any]:
        """Look anew at what lies beside a key: it may have been written since `open`."""
        return {"certificates": self._certificates(argument["key"])}

    def probe(self, _: Mapping[str, str]) -> dict[str, Any]:
        """Ask the token, not the library's memory, whether it is still there."""
        if not self._logged_in:
            raise TransientError("not-logged-in", "this process has not logged in")
        p11 = _pykcs11()
        self._lib.getTokenInfo(self._slot)
        state = self._session.getSessionInfo().state
        if state not in (p11.CKS_RO_USER_FUNCTIONS, p11.CKS_RW_USER_FUNCTIONS):
            raise TransientError("not-logged-in", "the token has ended the login")
        return {}

    def sign(self, argument: Mapping[str, str]) -> dict[str, str]:
        """Sign the digest, or the data where the token insists on making the digest itself."""
        if self._facts is None:
            raise TransientError("not-logged-in", "this process has not logged in")
        if argument["key"] != self._label:
            self.key(argument)
        return self._signed(self._key, self._kind, self._facts, argument)

    def sign_with(self, argument: Mapping[str, str]) -> dict[str, str]:
        """Sign with the key of that label, once: `sign` keeps its own."""
        key, kind, facts = self._one_key(argument["key"])
        return self._signed(key, kind, facts, argument)

    def import_certificate(self, argument: Mapping[str, str]) -> dict[str, Any]:
        """Lay a certificate beside its key, with the key's label and id, and read it back."""
        p11 = _pykcs11()
        label = argument["key"]
        key, _, _ = self._one_key(label)
        id_ = self._value(key, p11.CKA_ID)
        beside = [(p11.CKA_LABEL, label), *([(p11.CKA_ID, id_)] if id_ else [])]
        # A second one beside the key would leave open which of them is meant.
        if any(self._find(p11.CKO_CERTIFICATE, name) for name in beside):
            raise PermanentError("certificate-there", f"the key {label!r} has a certificate")
        value = bytes.fromhex(argument["value"])
        wanted = [
            (p11.CKA_CLASS, p11.CKO_CERTIFICATE),
            (p11.CKA_CERTIFICATE_TYPE, p11.CKC_X_509),
            (p11.CKA_TOKEN, True),
            (p11.CKA_PRIVATE, False),
            *beside,
            (p11.CKA_SUBJECT, bytes.fromhex(argument["subject"])),
            (p11.CKA_ISSUER, bytes.fromhex(argument["issuer"])),
            (p11.CKA_SERIAL_NUMBER, bytes.fromhex(argument["serial"])),
            (p11.CKA_VALUE, value),
        ]
        try:
            flags = p11.CKF_SERIAL_SESSION | p11.CKF_RW_SESSION
            writing = self._lib.openSession(self._slot, flags)
            try:
                writing.createObject(wanted)
            finally:
                writing.closeSession()
        except p11.PyKCS11Error as exc:
            if (name := _name(exc.value)) not in TAKES_NONE:
                raise
            raise PermanentError("token-read-only", f"C_CreateObject: {name}") from None
        found = self._find(p11.CKO_CERTIFICATE, (p11.CKA_LABEL, label))
        if [self._value(one, p11.CKA_VALUE) for one in found] != [value]:
            raise PermanentError("token-read-only", "what was written cannot be read back")
        return {}

    def destroy_key(self, argument: Mapping[str, str]) -> dict[str, Any]:
        """Destroy a private key and its public half; nothing brings it back. Look that it is gone."""
        p11 = _pykcs11()
        label = argument["key"]
        key, _, facts = self._one_key(label)
        id_ = self._value(key, p11.CKA_ID)
        beside = (p11.CKA_ID, id_) if id_ else (p11.CKA_LABEL, label)
        halves = [key, *self._find(p11.CKO_PUBLIC_KEY, beside)]
        try:
            flags = p11.CKF_SERIAL_SESSION | p11.CKF_RW_SESSION
            writing = self._lib.openSession(self._slot, flags)
            try:
                for half in halves:
                    writing.destroyObject(half)
            finally:
                writing.closeSession()
        except p11.PyKCS11Error as exc:
            if (name := _name(exc.value)) not in TAKES_NONE:
                raise
            raise PermanentError("key-not-destroyed", f"C_DestroyObject: {name}") from None
        if self._find(p11.CKO_PRIVATE_KEY, (p11.CKA_LABEL, label)):
            raise PermanentError("key-not-destroyed", f"{label!r} is still there")
        self._key, self._facts = None, None
        return asdict(facts)

    def _signed(
        self, key: Any, kind: int, facts: KeyFacts, argument: Mapping[str, str]
    ) -> dict[str, str]:
        p11 = _pykcs11()
        scheme = argument["scheme"]
        plain, combined = SCHEMES[scheme]
        if scheme.startswith("rsa") != (kind == p11.CKK_RSA):
            # Libraries trust their callers: SoftHSM 2.6.1 dies of PSS with a key on a curve.
            raise PermanentError("key-unusable", f"{scheme} with a key of another kind")
        name = next((name for name in (plain, combined) if name in self._mechanisms), None)
        if name is None:
            raise PermanentError("mechanism-missing", f"neither {plain} nor {combined}")
        data = bytes.fromhex(argument["data"])
        algorithm = scheme.rpartition("-")[2]
        digest = hashlib.new(algorithm, data).digest()
        message = digest if name == plain else data
        if name == "CKM_RSA_PKCS":  # pads only: the DigestInfo is ours to make
            message = bytes.fromhex(DIGEST_INFOS[algorithm]) + message
        if name == "CKM_ECDSA":
            # FIPS 186-5, 6.4.1: of a longer digest the leftmost bits count. Tokens are of
            # several minds about who leaves the others off.
            message = message[: (facts.bits + 7) // 8]
        if scheme.startswith("rsa-pss-"):
            made, mask = f"CKM_{algorithm.upper()}", f"CKG_MGF1_{algorithm.upper()}"
            pss = (getattr(p11, made), getattr(p11, mask), len(digest))
            mechanism = p11.RSA_PSS_Mechanism(p11.CKM[name], *pss)
        else:
            mechanism = p11.Mechanism(p11.CKM[name])
        pin = read_pin(self._pin_file) if facts.always_authenticate else b""
        # Not Session.sign: that has no place for the PIN between C_SignInit and C_Sign.
        low, handle = self._session.lib, self._session.session
        room = p11.ckbytelist(bytes(SIGNATURE_ROOM))
        self._check(low.C_SignInit(handle, mechanism.to_native(), key))
        if facts.always_authenticate:
            self._present(pin, p11.CKU_CONTEXT_SPECIFIC)
        self._check(low.C_Sign(handle, p11.ckbytelist(message), room))
        return {"signature": bytes(room).hex()}

    def _one_key(self, label: str) -> tuple[Any, int, KeyFacts]:
        if not self._logged_in:
            raise TransientError("not-logged-in", "this process has not logged in")
        p11 = _pykcs11()
        found = self._find(p11.CKO_PRIVATE_KEY, (p11.CKA_LABEL, label))
        if not found:
            raise PermanentError("key-missing", f"no private key with label {label!r}")
        if len(found) > 1:
            raise PermanentError("key-ambiguous", f"{len(found)} private keys, label {label!r}")
        (key,) = found
        names = (p11.CKA_KEY_TYPE, p11.CKA_SIGN, p11.CKA_ALWAYS_AUTHENTICATE)
        kind, may_sign, always = self._session.getAttributeValue(key, names)
        if may_sign is False:
            raise PermanentError("key-unusable", f"the key {label!r} may not sign (CKA_SIGN)")
        if kind == p11.CKK_RSA:
            return key, kind, self._rsa(key, always=bool(always))
        if kind == p11.CKK_EC:
            return key, kind, self._ec(key, always=bool(always))
        raise PermanentError("key-unusable", f"key type {kind!r} is neither RSA nor EC")

    def _present(self, pin: bytes, user: int) -> None:
        """C_Login, one time. Sort the answer by whether the token may have counted it."""
        p11 = _pykcs11()
        try:
            self._session.login(pin, user)
        except p11.PyKCS11Error as exc:
            name = _name(exc.value)
            if name == "CKR_USER_ALREADY_LOGGED_IN":
                return
            if name in PIN_SAID or name in BEFORE_THE_PIN:
                raise
            raise TransientError("login-unclear", f"C_Login: {name}") from None

    def _tokens(self) -> Iterable[tuple[int, Any]]:
        p11 = _pykcs11()
        for slot in self._lib.getSlotList(tokenPresent=True):
            try:
                yield slot, self._lib.getTokenInfo(slot)
            except p11.PyKCS11Error:  # another reader's trouble is not ours
                continue

    def _find(self, kind: int, *more: tuple[int, Any]) -> list[Any]:
        p11 = _pykcs11()
        found: list[Any] = self._session.findObjects([(p11.CKA_CLASS, kind), *more])
        return found

    def _certificates(self, label: str) -> tuple[str, ...]:
        p11 = _pykcs11()
        x509 = (p11.CKA_CERTIFICATE_TYPE, p11.CKC_X_509)
        found = self._find(p11.CKO_CERTIFICATE, x509, (p11.CKA_LABEL, label))
        found = found or self._find(p11.CKO_CERTIFICATE, x509)
        values = (self._value(it, p11.CKA_VALUE) for it in found[:MOST_CERTIFICATES])
        return tuple(value.hex() for value in values if value)

    def _rsa(self, key: Any, *, always: bool) -> KeyFacts:
        p11 = _pykcs11()
        modulus, exponent = (
            self._value(key, attribute) or self._public(key, attribute)
            for attribute in (p11.CKA_MODULUS, p11.CKA_PUBLIC_EXPONENT)
        )
        return KeyFacts(
            kind="rsa",
            bits=int.from_bytes(modulus, "big").bit_length(),
            curve="",
            public=spki.rsa(modulus, exponent).hex(),
            always_authenticate=always,
        )

    def _ec(self, key: Any, *, always: bool) -> KeyFacts:
        p11 = _pykcs11()
        parameters = self._value(key, p11.CKA_EC_PARAMS) or self._public(key, p11.CKA_EC_PARAMS)
        if parameters.hex() not in spki.CURVES:
            raise PermanentError("key-unusable", f"CKA_EC_PARAMS {parameters.hex()[:64]!r}")
        curve, bits = spki.CURVES[parameters.hex()]
        return KeyFacts(
            kind="ec",
            bits=bits,
            curve=curve,
            public=spki.ec(parameters, self._public(key, p11.CKA_EC_POINT)).hex(),
            always_authenticate=always,
        )

    def _public(self, key: Any, attribute: int) -> bytes:
        """Return the attribute of the public key that belongs to *key*, b"" if none is shown."""
        p11 = _pykcs11()
        for name in (p11.CKA_ID, p11.CKA_LABEL):
            (value,) = self._session.getAttributeValue(key, [name])
            found = self._find(p11.CKO_PUBLIC_KEY, (name, value)) if value else []
            if len(found) == 1:
                return self._value(found[0], attribute)
        return b""

    def _value(self, handle: Any, attribute: int) -> bytes:
        (value,) = self._session.getAttributeValue(handle, [attribute])
        return bytes(value or b"")

    @staticmethod
    def _check(answer: int) -> None:
        p11 = _pykcs11()
        if answer != p11.CKR_OK:
            raise p11.PyKCS11Error(answer)


def _task(
    work: Callable[[Mapping[str, str]], dict[str, Any]],
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return *work* with the token's answers told as our errors."""

    def run(argument: dict[str, Any]) -> dict[str, Any]:
        try:
            return work(argument)
        except _pykcs11().PyKCS11Error as exc:
            name = _name(exc.value)
        if reaction(name) == "pin":
            raise PermanentError(*PIN_SAID[name])
        if name == "CKR_USER_NOT_LOGGED_IN":
            raise TransientError("not-logged-in", "the token has ended the login")
        if name in TOKEN_GONE:
            raise TransientError("token-missing", f"the token went away: {name}")
        code = "hsm-error" if reaction(name) == "reopen" else "hsm-refused"
        raise TransientError(code, f"{work.__name__}: {name}")

    return run


def _name(value: int) -> str:
    return str(_pykcs11().CKR.get(value, f"0x{value & 0xFFFFFFFF:08X}"))


def _text(value: str) -> str:
    return value.rstrip(" \0")


def tasks() -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Return what `child.serve` is to serve: the tasks of one new Inside."""
    inside = Inside()
    works = (inside.open, inside.login, inside.key, inside.probe, inside.sign)
    on_request = (
        *(inside.other_key, inside.certificates),
        *(inside.sign_with, inside.import_certificate, inside.destroy_key),
    )
    return {work.__name__: _task(work) for work in (*works, *on_request)}
