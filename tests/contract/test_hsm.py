"""The HSM process on a real SoftHSM: what the proxy promises, and what nobody gets to see.

SoftHSM never locks a PIN and forgives much: the strict card is in tests/unit/test_token.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from contrib.demo.token import TokenFiles, make_token
from daemon.document import Digest
from daemon.errors import PermanentError, TransientError
from daemon.hsm import Hsm, HsmSettings, hsm_worker
from daemon.records.logins import LoginRecord
from daemon.token import Token
from daemon.workers import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping

    from daemon.hsm import KeyFacts
    from daemon.pin import Outcome

DATA = b"signed attributes"
DIGEST = Digest.of(DATA)
PIN = "47110815"
"""Long and odd enough to be searched for."""


class Book:
    """A LoginBook that can be read by another process after this one was killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []

    async def login_record(self, serial: str) -> LoginRecord:
        if not self.path.exists():
            return LoginRecord(serial)
        return LoginRecord(serial, **json.loads(self.path.read_text()))

    async def login_attempted(self, serial: str, now: datetime) -> None:
        record = await self.login_record(serial)
        self._keep(f"attempted {now.year}", record.unresolved + 1, record.rejected, permitted=False)

    async def login_answered(self, serial: str, outcome: Outcome, code: str, now: datetime) -> None:
        record = await self.login_record(serial)
        line = f"{outcome} {code} {now.year}"
        if outcome == "failed":
            self._keep(line, record.unresolved - 1, record.rejected, permitted=record.permitted)
        else:
            self._keep(line, 0, outcome == "rejected", permitted=record.permitted)

    async def permit_login(self, serial: str, person: str, now: datetime) -> None:
        record = await self.login_record(serial)
        self._keep(f"{person} {now.year}", record.unresolved, record.rejected, permitted=True)

    async def export_ledger(self) -> None:
        self.lines.append("exported")

    def _keep(self, line: str, unresolved: int, rejected: bool, *, permitted: bool) -> None:
        row = {"unresolved": unresolved, "rejected": rejected, "permitted": permitted}
        self.path.write_text(json.dumps(row))
        self.lines.append(line)


def settings(files: TokenFiles, **changes: Any) -> HsmSettings:
    """Return the settings for the token in *files*."""
    found = HsmSettings(
        module=str(files.module),
        token=files.token,
        key=files.key,
        pin=files.pin,
        timeout_seconds=20.0,
    )
    return replace(found, **changes)


def environment(files: TokenFiles) -> Mapping[str, str]:
    """Return what SoftHSM needs."""
    return {**ENVIRONMENT, "SOFTHSM2_CONF": str(files.softhsm2_conf)}


@contextlib.asynccontextmanager
async def hsm(files: TokenFiles, **changes: Any) -> AsyncIterator[Hsm]:
    """Give an Hsm and end its process afterwards."""
    found = Hsm(hsm_worker(files.folder, environment(files)), settings(files, **changes))
    try:
        yield found
    finally:
        await found.close()


@contextlib.asynccontextmanager
async def opened(files: TokenFiles, **changes: Any) -> AsyncIterator[Hsm]:
    """Give an Hsm that is logged in."""
    async with hsm(files, **changes) as found:
        await found.open()
        await found.login()
        yield found


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine to its end."""
    asyncio.run(asyncio.wait_for(work, 100))


SCRIPT = """
import json, sys, PyKCS11 as p
asked = json.load(sys.stdin)
lib = p.PyKCS11Lib()
lib.load(asked["module"])
(slot,) = [s for s in lib.getSlotList(True) if lib.getTokenInfo(s).label.rstrip() == asked["token"]]
session = lib.openSession(slot, p.CKF_RW_SESSION)
session.login(asked["pin"])
name = [(p.CKA_TOKEN, True), (p.CKA_LABEL, asked["label"]), (p.CKA_ID, bytes([asked["id"]]))]
private = [(p.CKA_PRIVATE, True), (p.CKA_SENSITIVE, True), (p.CKA_SIGN, asked["sign"])]
private += [*name, (p.CKA_ALWAYS_AUTHENTICATE, asked["always"])]
if asked["curve"]:
    public = [*name, (p.CKA_EC_PARAMS, bytes.fromhex(asked["curve"]))]
    mechanism = p.Mechanism(p.CKM_EC_KEY_PAIR_GEN)
else:
    public = [*name, (p.CKA_MODULUS_BITS, asked["bits"]), (p.CKA_PUBLIC_EXPONENT, (1, 0, 1))]
    mechanism = p.Mechanism(p.CKM_RSA_PKCS_KEY_PAIR_GEN)
session.generateKeyPair(public, private, mechanism)
"""
"""A technician makes a key, in a process of its own: PyKCS11 never comes in here."""


def make_key(
    files: TokenFiles,
    label: str,
    *,
    number: int = 2,
    sign: bool = True,
    always: bool = False,
    bits: int = 2048,
    curve: str = "",
) -> None:
    """Put one more key on the token: RSA with *bits*, or on *curve* (CKA_EC_PARAMS)."""
    asked = {
        "module": str(files.module),
        "token": files.token,
        "pin": PIN,
        "label": label,
        "id": number,
        "sign": sign,
        "always": always,
        "bits": bits,
        "curve": curve,
    }
    subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT],
        input=json.dumps(asked).encode(),
        env=dict(environment(files)),
        check=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    """Make a token with an RSA-3072 key; tests that change a token make their own."""
    return make_token(tmp_path_factory.mktemp("rsa") / "token", pin=PIN)


@pytest.fixture
def own(tmp_path: Path) -> TokenFiles:
    """Make a token with a P-256 key (quickly made) for one test to spoil."""
    return make_token(tmp_path / "token", pin=PIN, key="p256")


def pin_file(folder: Path, pin: str, mode: int = 0o400) -> Path:
    """Write a file with a PIN."""
    path = folder / f"pin-{secrets.token_hex(4)}"
    path.write_text(pin)
    path.chmod(mode)
    return path


# -- a good token ------------------------------------------------------------------------


def test_a_token_tells_what_it_is_before_anybody_logs_in(files: TokenFiles) -> None:
    """Serial, maker, flags, mechanisms and the certificate are public."""

    async def test() -> None:
        async with hsm(files) as token:
            facts = await token.open()
            certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())

            assert facts.label == "scanseal"
            assert len(facts.serial) == 16
            assert facts.manufacturer == "SoftHSM project"
            assert facts.model == "SoftHSM v2"
            assert facts.firmware.startswith("2.")
            assert {"CKM_RSA_PKCS_PSS", "CKM_SHA256_RSA_PKCS_PSS", "CKM_ECDSA"} <= {
                *facts.mechanisms
            }
            assert not any((facts.pin_count_low, facts.pin_final_try, facts.pin_locked))
            der = certificate.public_bytes(serialization.Encoding.DER)
            assert facts.certificates == (der.hex(),)
            with pytest.raises(TransientError, match="not-logged-in"):
                await token.find_key()
        async with hsm(files, key="another") as token:
            # None has the label: whoever asked compares the keys and finds the right one.
            assert (await token.open()).certificates == (der.hex(),)

    run(test())


def public_key(key: KeyFacts) -> Any:
    """Return the key that the token told us, as OpenSSL reads it."""
    return serialization.load_der_public_key(bytes.fromhex(key.public))


@pytest.mark.parametrize("scheme", ["rsa-pss-sha256", "rsa-pkcs1v15-sha256"])
@pytest.mark.parametrize("only", ["", "CKM_SHA256_RSA_PKCS_PSS,CKM_SHA256_RSA_PKCS"])
def test_an_rsa_signature_verifies(
    tmp_path: Path, files: TokenFiles, scheme: str, only: str
) -> None:
    """With OpenSSL and the salt length that the CMS names, whichever mechanism the token has."""
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(
        files.softhsm2_conf.read_text() + (f"slots.mechanisms = {only}\n" if only else "")
    )
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    padded = pss if scheme == "rsa-pss-sha256" else padding.PKCS1v15()

    async def test() -> None:
        worker = hsm_worker(tmp_path, {**ENVIRONMENT, "SOFTHSM2_CONF": str(conf)})
        token = Hsm(worker, settings(files))
        facts = await token.open()
        assert ("CKM_RSA_PKCS_PSS" in facts.mechanisms) == (not only)
        await token.login()
        key = await token.find_key()
        signature = await token.sign(scheme, DIGEST, DATA)
        await token.close()

        assert (key.kind, key.bits, key.curve) == ("rsa", 3072, "")
        assert not key.always_authenticate
        public = public_key(key)
        assert isinstance(public, rsa.RSAPublicKey)
        assert public == certificate.public_key()
        public.verify(signature, DATA, padded, hashes.SHA256())

    run(test())


@pytest.mark.parametrize(
    ("curve", "name", "bits"),
    [
        ("06082a8648ce3d030107", "1.2.840.10045.3.1.7", 256),
        ("06052b81040022", "1.3.132.0.34", 384),
        ("06052b81040023", "1.3.132.0.35", 521),
    ],
)
def test_an_ecdsa_signature_verifies(own: TokenFiles, curve: str, name: str, bits: int) -> None:
    """It comes as r and s side by side, each as long as the curve's order."""
    make_key(own, "other", curve=curve)

    async def test() -> None:
        async with opened(own, key="other") as token:
            key = await token.find_key()
            signature = await token.sign("ecdsa-sha256", DIGEST, DATA)

        assert (key.kind, key.bits, key.curve) == ("ec", bits, name)
        half = (bits + 7) // 8
        assert len(signature) == 2 * half
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        public = public_key(key)
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(utils.encode_dss_signature(r, s), DATA, ec.ECDSA(hashes.SHA256()))

    run(test())


def test_a_key_that_wants_the_pin_each_time_signs_more_than_once(own: TokenFiles) -> None:
    """CKA_ALWAYS_AUTHENTICATE: the PIN goes between C_SignInit and C_Sign."""
    make_key(own, "always", always=True)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)

    async def test() -> None:
        async with opened(own, key="always") as token:
            key = await token.find_key()
            assert key.always_authenticate
            for _ in range(2):
                signature = await token.sign("rsa-pss-sha256", DIGEST, DATA)
                public_key(key).verify(signature, DATA, pss, hashes.SHA256())

    run(test())


def test_each_open_is_a_new_process_that_nobody_is_logged_in_to(files: TokenFiles) -> None:
    """A library that has lost its way is not asked to find it again."""

    async def test() -> None:
        async with opened(files) as token:
            before = token.pid
            await token.open()
            assert token.pid not in {before, None}
            with pytest.raises(TransientError, match="not-logged-in"):
                await token.find_key()
            with pytest.raises(TransientError, match="not-logged-in"):
                await token.probe()
            await token.login()
            await token.probe()

    run(test())


def test_a_signature_that_fails_is_no_signature(own: TokenFiles) -> None:
    """A key too small for the salt: C_Sign itself says no, after C_SignInit said yes."""
    make_key(own, "small", bits=512)

    async def test() -> None:
        async with opened(own, key="small") as token:
            await token.find_key()
            with pytest.raises(TransientError, match=r"hsm-\w+: sign: CKR_\w+"):
                await token.sign("rsa-pss-sha256", DIGEST, DATA)

    run(test())


def test_a_digest_of_something_else_is_not_signed(files: TokenFiles) -> None:
    """Where the token hashes by itself it would sign the data, elsewhere the digest: our bug."""

    async def test() -> None:
        async with opened(files) as token:
            with pytest.raises(ValueError, match="not that of the data"):
                await token.sign("rsa-pss-sha256", DIGEST, b"something else")

    run(test())


# -- what is missing, and what there is too much of ------------------------------------------


def code_of(exc: pytest.ExceptionInfo[Any]) -> tuple[str, str]:
    """Return class and code of what was raised."""
    return type(exc.value).__name__, exc.value.code


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"token": "another"}, "TransientError", "token-missing"),
        ({"serial": "4711"}, "TransientError", "token-missing"),
        ({"module": "/nonexistent/module.so"}, "TransientError", "hsm-module-missing"),
        ({"module": "/etc/passwd"}, "TransientError", "hsm-module-missing"),
        ({"pin": Path("/nonexistent/pin")}, "PermanentError", "pin-file-missing"),
        ({"pin": Path("/dev/null")}, "PermanentError", "pin-file-unusable"),
    ],
)
def test_what_is_missing_is_named_before_any_login(
    files: TokenFiles, changes: dict[str, Any], kind: str, code: str
) -> None:
    """The sentence names what was looked for; no attempt is spent on it."""

    async def test() -> None:
        async with hsm(files, **changes) as token:
            with pytest.raises((TransientError, PermanentError)) as raised:
                await token.open()
            assert code_of(raised) == (kind, code)
            assert str(next(iter(changes.values()))) in str(raised.value)

    run(test())


def test_a_module_that_does_not_start_is_no_reason_to_stop(files: TokenFiles) -> None:
    """C_Initialize fails while the vendor's configuration is missing; later it may not."""

    async def test() -> None:
        nowhere = {**ENVIRONMENT, "SOFTHSM2_CONF": "/nonexistent/softhsm2.conf"}
        token = Hsm(hsm_worker(files.folder, nowhere), settings(files))
        with pytest.raises(TransientError) as raised:
            await token.open()
        await token.close()
        assert raised.value.code in {"hsm-error", "token-missing"}

    run(test())


def test_two_tokens_with_one_label_are_told_apart_by_serial(own: TokenFiles) -> None:
    """Slots move, so which of the two would be chance: a person has to say."""
    command = f"softhsm2-util --init-token --free --label {own.token} --so-pin 87654321 --pin 1234"
    subprocess.run(command.split(), env=dict(environment(own)), check=True, capture_output=True)
    shown = subprocess.run(
        ["softhsm2-util", "--show-slots"],
        env=dict(environment(own)),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    serials = [line.split()[-1] for line in shown.splitlines() if "Serial number" in line]

    async def test() -> None:
        async with hsm(own) as token:
            with pytest.raises(PermanentError, match="token-ambiguous"):
                await token.open()
        for serial in serials[:2]:
            async with hsm(own, serial=serial) as token:
                assert (await token.open()).serial == serial

    run(test())


def test_a_key_that_is_missing_twofold_or_forbidden_is_named(own: TokenFiles) -> None:
    """Exactly one private key must match, and it must be allowed to sign."""
    make_key(own, "twice", number=2)
    make_key(own, "twice", number=3)
    make_key(own, "mute", sign=False)
    wrong_curve = "06052b8104000a"  # secp256k1
    make_key(own, "strange", curve=wrong_curve)

    async def test() -> None:
        for label, code in (
            ("nothing", "key-missing"),
            ("twice", "key-ambiguous"),
            ("mute", "key-unusable"),
            ("strange", "key-unusable"),
        ):
            async with opened(own, key=label) as token:
                with pytest.raises(PermanentError) as raised:
                    await token.find_key()
                assert raised.value.code == code
                with pytest.raises(TransientError, match="not-logged-in"):
                    await token.sign("ecdsa-sha256", DIGEST, DATA)

    run(test())


def test_a_key_that_appears_later_is_found_in_the_same_process(own: TokenFiles) -> None:
    """The technician makes the key while the service waits; no second login is needed."""

    async def test() -> None:
        async with opened(own, key="later") as token:
            with pytest.raises(PermanentError, match="key-missing"):
                await token.find_key()
            pid = token.pid
            await asyncio.to_thread(make_key, own, "later")
            assert (await token.find_key()).bits == 2048
            assert token.pid == pid

    run(test())


def test_a_scheme_for_another_kind_of_key_does_not_reach_the_library(own: TokenFiles) -> None:
    """SoftHSM dies of PSS with a key on a curve; the login is still good afterwards."""

    async def test() -> None:
        async with opened(own) as token:
            await token.find_key()
            with pytest.raises(PermanentError, match="key-unusable"):
                await token.sign("rsa-pss-sha256", DIGEST, DATA)
            assert await token.sign("ecdsa-sha256", DIGEST, DATA)

    run(test())


def test_a_token_without_the_mechanism_is_named(own: TokenFiles) -> None:
    """Neither over the digest nor over the data: nothing that time would mend."""
    with own.softhsm2_conf.open("a") as conf:
        conf.write("slots.mechanisms = CKM_SHA256,CKM_AES_CBC\n")

    async def test() -> None:
        async with opened(own) as token:
            await token.find_key()
            with pytest.raises(PermanentError, match="neither CKM_ECDSA nor CKM_ECDSA_SHA256"):
                await token.sign("ecdsa-sha256", DIGEST, DATA)

    run(test())


# -- the PIN -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644])
def test_a_pin_file_that_others_can_read_is_refused(files: TokenFiles, mode: int) -> None:
    """Before it is used, at the door and again at the login."""

    async def test() -> None:
        async with hsm(files, pin=pin_file(files.folder, PIN, mode)) as token:
            with pytest.raises(PermanentError, match=f"pin-file-open.*mode {mode:04o}"):
                await token.open()
        path = pin_file(files.folder, PIN)
        async with hsm(files, pin=path) as token:
            await token.open()
            path.chmod(mode)
            with pytest.raises(PermanentError, match="pin-file-open"):
                await token.login()

    run(test())


@pytest.mark.parametrize("text", ["", "\n", PIN + "\r\n", PIN + "\n\n", f"{PIN}\n{PIN}", "1" * 256])
def test_a_pin_file_that_cannot_be_right_costs_no_try(files: TokenFiles, text: str) -> None:
    """Another system's line end would be sent as part of the PIN."""

    async def test() -> None:
        async with hsm(files, pin=pin_file(files.folder, text)) as token:
            with pytest.raises(PermanentError, match="pin-file-unusable"):
                await token.open()

    run(test())


@pytest.mark.parametrize("text", [PIN, PIN + "\n"])
def test_one_newline_after_the_pin_is_none_of_it(files: TokenFiles, text: str) -> None:
    """Every editor puts one there."""

    async def test() -> None:
        async with opened(files, pin=pin_file(files.folder, text)) as token:
            assert await token.find_key()

    run(test())


def test_i6_a_wrong_pin_reaches_the_token_once_until_a_person_asks(
    own: TokenFiles, tmp_path: Path
) -> None:
    """Documents wait, time passes, the service restarts: one C_Login, as the token's flag shows."""
    wrong = pin_file(tmp_path, "00000000")

    async def test() -> None:
        book = Book(tmp_path / "book.json")
        at = [0.0]
        async with hsm(own, pin=wrong) as device:
            for _ in range(3):
                token = Token(device, book, clock=lambda: at[0])
                for _ in range(2):
                    at[0] += 3600
                    with pytest.raises(TransientError, match="pin-rejected"):
                        await token.sign(DIGEST, DATA)
            assert token.state.name == "needs-person"
            year = datetime.now(UTC).year
            assert book.lines == [f"attempted {year}", "exported", f"rejected pin-rejected {year}"]

            wrong.chmod(0o600)
            wrong.write_text(PIN)
            wrong.chmod(0o400)
            await token.permit("uid 1000")
            assert await token.sign(DIGEST, DATA)
            assert len([line for line in book.lines if line.startswith("attempted")]) == 2

    run(test())


def test_softhsm_shows_that_a_wrong_pin_was_tried(own: TokenFiles, tmp_path: Path) -> None:
    """The flag that the rule reads is really read: it is set by one wrong PIN, cleared by a good one."""

    async def test() -> None:
        async with hsm(own, pin=pin_file(tmp_path, "00000000")) as token:
            await token.open()
            with pytest.raises(PermanentError, match="pin-rejected"):
                await token.login()
            assert (await token.open()).pin_count_low
        async with opened(own) as token:
            assert not (await token.open()).pin_count_low

    run(test())


def traces(pid: int) -> bytes:
    """Return what /proc shows of a process to others."""
    shown = Path(f"/proc/{pid}/cmdline").read_bytes()
    # The process is not dumpable: without root's rights its environment is not shown at all.
    with contextlib.suppress(PermissionError):
        shown += Path(f"/proc/{pid}/environ").read_bytes()
    return shown


def test_i6_no_trace_of_the_pin(
    own: TokenFiles,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in the environment, the arguments, the log, an error or the book; good PIN or bad."""
    caplog.set_level(logging.DEBUG)
    wrong = pin_file(tmp_path, "98765432")
    seen: list[str] = []

    async def test() -> None:
        book = Book(tmp_path / "book.json")
        for pin, message in ((own.pin, ""), (wrong, "pin-rejected")):
            async with hsm(own, pin=pin) as device:
                token = Token(device, book)
                with contextlib.suppress(TransientError):
                    await token.sign(DIGEST, DATA)
                    await token.sign(Digest.of(b""), b"")
                assert token.state.code == message
                seen.append(repr(token.state) + repr(token.facts) + repr(token.key))
                seen.extend(book.lines)
                await device.open()
                with contextlib.suppress(PermanentError):
                    await device.login()
                assert device.pid is not None
                seen.append(repr(traces(device.pid)))
                assert "daemon.hsm" in seen[-1]
                for work in (device.login(), device.find_key(), device.sign("?", DIGEST, DATA)):
                    try:
                        await work
                    except (TransientError, PermanentError) as exc:
                        seen.extend((str(exc), repr(exc), repr(exc.__cause__)))

    run(test())
    seen.append(caplog.text + "".join(capfd.readouterr()))
    for name in (PIN, "98765432"):
        assert not [text for text in seen if name in text]
    assert any("state=ready" in text for text in seen)


# -- trouble -----------------------------------------------------------------------------


def test_a_killed_process_is_replaced_and_logged_in_again(
    files: TokenFiles, tmp_path: Path
) -> None:
    """Nobody has to come: idle or not, the next document is signed by a new process."""

    async def test() -> None:
        book = Book(tmp_path / "book.json")
        at = [0.0]
        async with hsm(files) as device:
            token = Token(device, book, clock=lambda: at[0])
            await token.sign(DIGEST, DATA)
            for _ in range(3):
                assert device.pid is not None
                os.kill(device.pid, signal.SIGKILL)
                at[0] += 30
                assert await token.sign(DIGEST, DATA)
            assert token.state.name == "ready"
            assert (await book.login_record("")).unresolved == 0

    run(test())


@contextlib.contextmanager
def stuck(files: TokenFiles) -> Iterator[None]:
    """Make SoftHSM hang: it waits for ever for a lock on a file of the token."""
    with contextlib.ExitStack() as locks:
        for path in files.folder.glob("tokens/*/generation"):
            fcntl.lockf(locks.enter_context(path.open("r+b")), fcntl.LOCK_EX)
        yield


def waiting_for_locks() -> set[int]:
    """Return the processes that wait for a lock on a file."""
    lines = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return {int(words[5]) for words in lines if words[1] == "->"}


async def hangs(device: Hsm) -> int:
    """Return the process id as soon as the process waits for that lock."""
    deadline = time.monotonic() + 20
    while True:
        pid = device.pid
        if pid is not None and pid in waiting_for_locks():
            return pid
        assert time.monotonic() < deadline, "it never got there"
        await asyncio.sleep(0.01)


def test_a_process_that_hangs_in_the_library_is_ended_in_time(files: TokenFiles) -> None:
    """A pulled reader can make C_SignInit wait for ever; the next call has a new process."""

    async def test() -> None:
        async with opened(files, timeout_seconds=0.5) as token:
            await token.find_key()
            pid = token.pid
            assert pid is not None
            with stuck(files), pytest.raises(TransientError, match=r"hsm-died.*after 0\.5 s"):
                await token.sign("rsa-pss-sha256", DIGEST, DATA)
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            with pytest.raises(TransientError, match="not-logged-in"):
                await token.sign("rsa-pss-sha256", DIGEST, DATA)

    run(test())


class Trapped(Book):
    """A book after whose export the token hangs, as late as a test can arrange it."""

    def __init__(self, path: Path, files: TokenFiles) -> None:
        super().__init__(path)
        self.files = files
        self.trap = contextlib.ExitStack()

    async def export_ledger(self) -> None:
        await super().export_ledger()
        self.trap.enter_context(stuck(self.files))


def test_i6_a_process_that_dies_in_the_login_leaves_the_attempt_open(
    files: TokenFiles, tmp_path: Path
) -> None:
    """C_Login has begun and nobody knows how it ended: one more by itself, then a person."""

    async def test() -> None:
        book = Trapped(tmp_path / "book.json", files)
        at = [0.0]
        async with hsm(files) as device:
            token = Token(device, book, clock=lambda: at[0])
            for tries in (1, 2):
                at[0] += 3600
                login = asyncio.create_task(token.ensure())
                os.kill(await hangs(device), signal.SIGKILL)
                with pytest.raises(TransientError, match="hsm-died"):
                    await login
                book.trap.close()
                assert (await book.login_record("")).unresolved == tries
            at[0] += 3600
            with pytest.raises(TransientError, match="pin-attempts-unresolved"):
                await token.ensure()
            assert book.lines == [f"attempted {datetime.now(UTC).year}", "exported"] * 2

            await token.permit("uid 1000")
            recovered = Token(device, Book(book.path))
            await recovered.ensure()
            assert (await book.login_record("")).unresolved == 0

    run(test())


def test_the_main_process_loads_no_pykcs11() -> None:
    """It would hold the GIL for seconds, and its licence would be everybody's."""
    found = subprocess.run(
        [sys.executable, "-I", "-c", "import daemon.token, daemon.hsm, sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    assert "daemon.hsm" in found
    assert not [name for name in found if "PyKCS11" in name or "LowLevel" in name]


def read_proc(token: Hsm, name: str) -> str:
    """Return what /proc says of the HSM process."""
    return Path(f"/proc/{token.pid}/{name}").read_text()


def test_the_hsm_process_loads_no_asyncio_and_dumps_no_core(files: TokenFiles) -> None:
    """Nine megabytes that it has no use for; and a core would hold the PIN."""

    async def test() -> None:
        async with opened(files) as token:
            maps, limits = (read_proc(token, name) for name in ("maps", "limits"))
        assert "_asyncio" not in maps
        assert "PyKCS11" in maps
        core = next(line for line in limits.splitlines() if line.startswith("Max core"))
        assert core.split()[4:6] == ["0", "0"]

    run(test())
