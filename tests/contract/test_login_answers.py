"""Whatever a token answers to C_Login: what is written down, and whether the PIN is tried again (I6).

PKCS#11 v2.40 (base), 5.6, C_Login lists what may be returned. Three wrong PINs lock a
card: an answer that may come after the card has looked at it leaves the attempt open.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from daemon.errors import TransientError
from daemon.hsm import Hsm, hsm_worker
from daemon.token import Token
from tests.contract.test_hsm import Book, environment, settings
from tests.misbehaving import Misbehaving, compiled

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.hsm import TokenFacts

LONGER_THAN_ANY_PAUSE = 31 * 2**5
ASKED = 4
"""So often each is tried to get ready, one pause after the other."""

REJECTED = ("rejected", 1)
UNCLEAR = ("", 2)
"""It may have been counted: the attempt stays open, one more is allowed, then a person is."""
BEFORE = ("failed", ASKED)
"""Nothing has looked at the PIN: it may be tried as often as the pauses let it."""

ANSWERS: dict[str, tuple[int, tuple[str, int], str]] = {
    "CKR_ARGUMENTS_BAD": (0x07, BEFORE, "unavailable hsm-refused"),
    "CKR_CRYPTOKI_NOT_INITIALIZED": (0x190, BEFORE, "unavailable hsm-error"),
    "CKR_DEVICE_ERROR": (0x30, UNCLEAR, "unavailable login-unclear"),
    "CKR_DEVICE_MEMORY": (0x31, UNCLEAR, "unavailable login-unclear"),
    "CKR_DEVICE_REMOVED": (0x32, UNCLEAR, "unavailable login-unclear"),
    "CKR_FUNCTION_CANCELED": (0x50, UNCLEAR, "unavailable login-unclear"),
    "CKR_FUNCTION_FAILED": (0x06, UNCLEAR, "unavailable login-unclear"),
    "CKR_GENERAL_ERROR": (0x05, UNCLEAR, "unavailable login-unclear"),
    "CKR_HOST_MEMORY": (0x02, UNCLEAR, "unavailable login-unclear"),
    "CKR_OPERATION_NOT_INITIALIZED": (0x91, BEFORE, "unavailable hsm-error"),
    "CKR_PIN_INCORRECT": (0xA0, REJECTED, "needs-person pin-rejected"),
    "CKR_PIN_LOCKED": (0xA4, REJECTED, "needs-person pin-locked"),
    # "During the execution of the function": then the card may have seen it.
    "CKR_SESSION_CLOSED": (0xB0, UNCLEAR, "unavailable login-unclear"),
    "CKR_SESSION_HANDLE_INVALID": (0xB3, BEFORE, "unavailable hsm-error"),
    "CKR_SESSION_READ_ONLY_EXISTS": (0xB7, BEFORE, "unavailable hsm-error"),
    "CKR_USER_ANOTHER_ALREADY_LOGGED_IN": (0x104, BEFORE, "unavailable hsm-error"),
    "CKR_USER_PIN_NOT_INITIALIZED": (0x102, BEFORE, "needs-person pin-not-set"),
    "CKR_USER_TOO_MANY_TYPES": (0x105, UNCLEAR, "unavailable login-unclear"),
    "CKR_USER_TYPE_INVALID": (0x103, BEFORE, "unavailable hsm-error"),
    # Not in the list of C_Login, and seen from tokens.
    "CKR_FUNCTION_NOT_SUPPORTED": (0x54, BEFORE, "unavailable hsm-refused"),
    "CKR_FUNCTION_REJECTED": (0x200, UNCLEAR, "unavailable login-unclear"),
    "CKR_PIN_EXPIRED": (0xA3, REJECTED, "needs-person pin-expired"),
    "CKR_PIN_INVALID": (0xA1, REJECTED, "needs-person pin-rejected"),
    "CKR_PIN_LEN_RANGE": (0xA2, REJECTED, "needs-person pin-rejected"),
    "CKR_TOKEN_NOT_PRESENT": (0xE0, UNCLEAR, "unavailable login-unclear"),
    "CKR_TOKEN_NOT_RECOGNIZED": (0xE1, UNCLEAR, "unavailable login-unclear"),
    "a vendor's own": (0x80000123, UNCLEAR, "unavailable login-unclear"),
    "nobody's": (0x0666, UNCLEAR, "unavailable login-unclear"),
    # Last, because the session is good then. The first of them comes from SoftHSM.
    "CKR_OK": (0, ("accepted", 1), "ready"),
    "CKR_USER_ALREADY_LOGGED_IN": (0x100, ("accepted", 1), "ready"),
}
"""The code, what the book says of the attempt, how often it is presented, and the first state."""


class Kept(Hsm):
    """One process for all answers: they are given before anything reaches the token."""

    facts: TokenFacts | None = None

    async def open(self) -> TokenFacts:
        self.facts = self.facts or await super().open()
        return self.facts

    async def close(self) -> None:
        """The process is ended by the test."""


@pytest.fixture
def crooked(tmp_path: Path, seal_token: TokenFiles) -> tuple[Misbehaving, Kept]:
    """A token that answers as it is told, and the process that speaks to it."""
    token = Misbehaving.make(compiled(tmp_path), seal_token, tmp_path)
    variables = {**environment(seal_token), **token.environment(seal_token)}
    return token, Kept(hsm_worker(tmp_path, variables), settings(token.files))


def test_i6_what_each_answer_to_a_login_means(
    tmp_path: Path, crooked: tuple[Misbehaving, Kept]
) -> None:
    """One token, one book and some tries for each."""
    module, device = crooked

    async def met(name: str, ckr: int) -> tuple[int, tuple[str, int], str]:
        book = Book(tmp_path / f"{ckr:x}")
        time = 0.0
        token = Token(device, book, clock=lambda: time)
        module.does(*([f"C_Login ckr {ckr:#x}"] if ckr else []))
        before = module.calls()["C_Login"]
        states = []
        for _ in range(ASKED):
            with suppress(TransientError):
                await token.ensure()
            states.append(f"{token.state.name} {token.state.code}".rstrip())
            time += LONGER_THAN_ANY_PAUSE
        presented = module.calls()["C_Login"] - before
        answered = [line.split()[0] for line in book.lines if not line.startswith("exported")]
        outcomes = {it for it in answered if it != "attempted"}
        assert answered.count("attempted") == presented, name
        assert len(outcomes) <= 1, name
        if states[0].endswith("login-unclear"):
            assert states[-1] == "needs-person pin-attempts-unresolved", name
            assert (await book.login_record("")).unresolved == presented
        return ckr, ("".join(outcomes), presented), states[0]

    async def main() -> dict[str, tuple[int, tuple[str, int], str]]:
        try:
            return {name: await met(name, ckr) for name, (ckr, _, _) in ANSWERS.items()}
        finally:
            await Hsm.close(device)

    found = asyncio.run(main())

    assert {name: row for name, row in found.items() if row != ANSWERS[name]} == {}
