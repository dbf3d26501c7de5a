"""The token as the main process sees it: the proxy of a process that speaks to it.

    main process                          HSM process: python -I -m daemon.hsm
    Hsm.open()   ── module, token ───▶    C_Initialize, C_OpenSession   (no login)
    Hsm.login()  ── the PIN's path ──▶    C_Login, once
    Hsm.sign()   ── attributes ──────▶    C_SignInit, C_Sign

PyKCS11 never releases the GIL, vendor libraries hang and crash, and a login
belongs to a process: so the token lives in one that can be killed. A fresh one
answers `not-logged-in`, and nothing here logs in again: the budget of tries is
kept by daemon/token.py. What happens inside is in daemon/cryptoki.py.

This file runs in both processes: it imports neither PyKCS11 nor, at the top,
anything that brings asyncio (9 MB in a process that has no use for it).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from daemon.cryptoki import SCHEMES, KeyFacts, TokenFacts, reaction, tasks
from daemon.errors import TransientError, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from daemon.document import Digest
    from daemon.workers import Worker

__all__ = ["SCHEMES", "Hsm", "HsmSettings", "KeyFacts", "TokenFacts", "hsm_worker", "reaction"]

LOGIN_SECONDS: Final = 60.0
"""A C_Login is given at least this long: to kill one leaves an attempt without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmSettings:
    """Which key of which token."""

    module: str
    token: str
    """The token's label; slots move, so no slot number."""
    key: str
    pin: Path
    """The file that holds the PIN; only the HSM process reads it."""
    serial: str = ""
    """The token's serial number, where two tokens carry the label; "" for any."""
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class _Signature:
    signature: str


@dataclass(frozen=True, slots=True)
class _Certificates:
    certificates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Nothing:
    pass


T = TypeVar("T")


class Hsm:
    """The proxy: one HSM process with one token, one session and one key.

    Raises TransientError and PermanentError and nothing else. They speak of the
    token, never of a document: the death of this process is `hsm-died` here, so
    that nobody counts it against the document that was to be signed.
    """

    def __init__(self, worker: Worker, settings: HsmSettings) -> None:
        """Take over *worker*, which runs `daemon.hsm` with the environment its module needs."""
        self._worker = worker
        self._settings = settings

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._worker.pid

    async def open(self) -> TokenFacts:
        """Start a fresh process, load the module and find the token; log nobody in."""
        # Slot lists and handles are stale after trouble; a new process is the only
        # C_Finalize + C_Initialize that every vendor's library survives.
        await self._worker.stop()
        wanted = self._settings
        argument = {
            "module": wanted.module,
            "token": wanted.token,
            "serial": wanted.serial,
            "key": wanted.key,
            "pin": str(wanted.pin),
        }
        return await self._call(TokenFacts, "open", argument)

    async def login(self) -> None:
        """Log in, once. `hsm-died` and `login-unclear` mean: the token may have counted it."""
        seconds = max(self._settings.timeout_seconds, LOGIN_SECONDS)
        await self._call(_Nothing, "login", {"pin": str(self._settings.pin)}, seconds)

    async def find_key(self) -> KeyFacts:
        """Find the key in a process that is logged in; presents no PIN, so it may be repeated."""
        return await self._call(KeyFacts, "key", {"key": self._settings.key})

    async def probe(self) -> None:
        """Return if token and login are still there. It also keeps a session from idling out."""
        await self._call(_Nothing, "probe", {})

    async def sign(self, scheme: str, digest: Digest, data: bytes, label: str = "") -> bytes:
        """Return the token's signature over *data*, whose SHA-256 is *digest*; ECDSA as r||s.

        Which digest is signed is a part of the *scheme*. Each request names its key, the
        configured one or that of *label*: what waited while it changed is signed by its own.
        """
        if digest != digest.of(data):
            raise ValueError("the digest is not that of the data")
        label = label or self._settings.key
        argument = {"scheme": scheme, "data": data.hex(), "key": label}
        return bytes.fromhex((await self._call(_Signature, "sign", argument)).signature)

    def use(self, label: str, serial: str) -> None:
        """Mean another key of the token from now on, also after trouble."""
        self._settings = replace(self._settings, key=label, serial=serial)

    async def certificates(self, label: str) -> tuple[str, ...]:
        """Return the certificates that `TokenFacts` would have for that key now."""
        found = await self._call(_Certificates, "certificates", {"key": label})
        return found.certificates

    async def find_other(self, label: str) -> KeyFacts:
        """Find another key of the token; `sign` goes on with its own."""
        return await self._call(KeyFacts, "other_key", {"key": label})

    async def sign_with(self, label: str, scheme: str, digest: Digest, data: bytes) -> bytes:
        """Sign as `sign` does, with the key of that label."""
        argument = {"key": label, "scheme": scheme, "digest": digest.hex, "data": data.hex()}
        return bytes.fromhex((await self._call(_Signature, "sign_with", argument)).signature)

    async def import_certificate(self, label: str, parts: Mapping[str, str]) -> None:
        """Lay a certificate beside the key of that label; refuses where there is one."""
        await self._call(_Nothing, "import_certificate", {"key": label, **parts})

    async def destroy_key(self, label: str) -> KeyFacts:
        """Destroy the key of that label in the token, for good; return what it was."""
        return await self._call(KeyFacts, "destroy_key", {"key": label})

    async def close(self) -> None:
        """End the process, and with it the login."""
        await self._worker.stop()

    async def _call(
        self, cls: type[T], task: str, argument: Mapping[str, Any], seconds: float | None = None
    ) -> T:
        from daemon.workers import typed  # noqa: PLC0415 (brings asyncio, see above)

        seconds = seconds or self._settings.timeout_seconds
        try:
            return typed(cls, await self._worker.call(task, argument, seconds=seconds))
        except WorkerDied as exc:
            raise TransientError("hsm-died", f"{task}: {exc.args[0]}") from exc


def hsm_worker(place: Path, environment: Mapping[str, str]) -> Worker:
    """Return the worker for an Hsm; *environment* is what the vendor's module looks for."""
    from daemon.workers import Limits, Worker  # noqa: PLC0415 (brings asyncio, see above)

    # It parses nothing from outside, so the limits are for accidents only: vendors'
    # libraries start threads, and to replace the process would cost a login.
    limits = Limits(memory_mb=2048, file_mb=64, recycle_mb=2048)
    return Worker("daemon.hsm", place=place, limits=limits, environment=environment)


if __name__ == "__main__":
    from daemon.child import serve

    serve(tasks())
