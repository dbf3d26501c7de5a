"""A token on its bad days: no document is lost, none sealed wrongly, none pays for it, no PIN locked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from daemon.errors import TransientError
from daemon.latency import BOUNDS
from daemon.spool import Spool
from tests.misbehaving import CODES, Misbehaving, compiled
from tests.sealing import Sealing, sealing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.document import Document

LONGEST_PAUSE = 31 * 2**5


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module, compiled once."""
    return compiled(tmp_path_factory.mktemp("pkcs11"))


@pytest.fixture
def crooked(
    tmp_path: Path, module: Path, seal_token: TokenFiles, monkeypatch: pytest.MonkeyPatch
) -> Misbehaving:
    """The token of the tests behind the module."""
    folder = tmp_path / "crooked"
    folder.mkdir()
    made = Misbehaving.make(module, seal_token, folder)
    for name, value in made.environment(seal_token).items():
        monkeypatch.setenv(name, value)
    return made


class Bench:
    """A sealer with that token, and a monotonic clock that a test moves on."""

    def __init__(self, here: Sealing, crooked: Misbehaving, scan: Path) -> None:
        self.here = here
        self.crooked = crooked
        self.scan = scan
        self.time = 1000.0
        here.token._clock = lambda: self.time

    def later(self, seconds: float = LONGEST_PAUSE) -> None:
        """Let the pause between two tries be over."""
        self.time += seconds

    async def claim(self) -> Document:
        return await self.here.claim(self.scan)

    async def unharmed(self, document: Document) -> Document:
        """The document as it is in the spool: nothing was counted against it, nothing written."""
        found = await self.here.spool(Spool.document, document.id)
        assert (found.state, found.tries, found.step) == (State.CLAIMED, 0, "")
        assert found.sealed is None
        assert not (self.here.sealer.folder(found) / "sealed.pdf").exists()
        assert not list(self.here.config.work_out.iterdir())
        return found

    async def tried(self, document: Document) -> str:
        """Try to seal it as a turn does; return the code of what stood in the way, or ""."""
        if not await self.here.key.usable():
            return self.here.token.state.code
        try:
            done = await self.here.sealer.seal(document, self.here.key)
        except TransientError as exc:
            return exc.code
        assert done.state is State.FROZEN
        return ""

    async def fails_and_recovers(self, *faults: str) -> str:
        """Let one document meet *faults*, and be sealed once they are over; return the code."""
        document = await self.claim()
        self.crooked.does(*faults)
        code = await self.tried(document)
        assert code, faults
        document = await self.unharmed(document)
        self.crooked.does()
        self.later()
        assert await self.tried(document) == "", faults
        return code


@asynccontextmanager
async def bench(
    root: Path, crooked: Misbehaving, scan: Path, *, ready: bool = True
) -> AsyncIterator[Bench]:
    """One that has sealed already, or is only about to log in."""
    async with sealing(root, crooked.files, timeout_seconds=2.0) as here:
        made = Bench(here, crooked, scan)
        if ready:
            assert await made.tried(await made.claim()) == ""
        yield made


def played(
    tmp_path: Path,
    crooked: Misbehaving,
    drawn: dict[str, Path],
    play: Callable[[Bench], Awaitable[None]],
    *,
    ready: bool = True,
) -> None:
    async def main() -> None:
        async with bench(tmp_path, crooked, drawn["foto.jpg"], ready=ready) as made:
            await play(made)

    asyncio.run(main())


@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign"])
def test_whatever_a_token_answers_to_a_signature_it_recovers(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path], function: str
) -> None:
    """Each code of lessons.md 3.2, and one that nobody knows: a new session, a new login, goes on."""

    async def play(made: Bench) -> None:
        for code in CODES.values():
            await made.fails_and_recovers(f"{function} ckr {code:#x}")

    played(tmp_path, crooked, drawn, play)


@pytest.mark.parametrize(
    "function", ["C_Initialize", "C_GetSlotList", "C_OpenSession", "C_FindObjectsInit"]
)
def test_whatever_a_token_answers_at_the_start_it_recovers(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path], function: str
) -> None:
    """Also after a signature failed: the fault lasts into the new process."""

    async def play(made: Bench) -> None:
        for code in (0x05, 0x30, 0x32, 0xE0, 0xB3, 0x190, 0x80000123):
            document = await made.claim()
            made.crooked.does("C_Sign ckr 0x30", f"{function} ckr {code:#x}")
            assert await made.tried(document)
            made.later()
            assert await made.tried(document)
            document = await made.unharmed(document)
            made.crooked.does()
            made.later()
            assert await made.tried(document) == "", hex(code)

    played(tmp_path, crooked, drawn, play)


def test_it_is_not_hammered(tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]) -> None:
    """A dead token is opened again at most every 30 s (lessons.md 3.2), however often it is asked."""

    async def play(made: Bench) -> None:
        document = await made.claim()
        made.crooked.does("C_Sign ckr 0x30", "C_OpenSession ckr 0x30")
        assert await made.tried(document) == "hsm-error"
        before = made.crooked.calls()["C_Initialize"]
        for _ in range(29):
            made.later(2.0)
            assert await made.tried(document) == "hsm-error"
        assert made.crooked.calls()["C_Initialize"] - before <= 2

    played(tmp_path, crooked, drawn, play)


@pytest.mark.parametrize(
    ("fault", "code"), [("C_Sign hang", "hsm-died"), ("C_Sign crash", "hsm-died")]
)
def test_a_library_that_hangs_or_crashes_is_ended_and_begun_anew(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path], fault: str, code: str
) -> None:
    """Killed after its time; the document is sealed by the next process."""

    async def play(made: Bench) -> None:
        assert await made.fails_and_recovers(fault) == code

    played(tmp_path, crooked, drawn, play)


@pytest.mark.parametrize(
    "fault", ["C_Initialize hang", "C_OpenSession crash", "C_GetSlotList hang"]
)
def test_one_that_hangs_at_the_start_is_ended_too(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path], fault: str
) -> None:
    """Nobody was logged in, so no try was used up."""

    async def play(made: Bench) -> None:
        made.crooked.does(fault)
        document = await made.claim()
        assert await made.tried(document) == "hsm-died"
        made.crooked.does()
        made.later()
        assert await made.tried(document) == ""
        assert made.crooked.calls()["C_Login"] == 1

    played(tmp_path, crooked, drawn, play, ready=False)


def test_i6_a_login_without_an_answer_is_tried_once_more_and_then_by_a_person(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """The card may have counted it: one automatic try, while it shows no wrong PIN."""

    async def play(made: Bench) -> None:
        made.crooked.does("pin locks", "C_Login crash")
        document = await made.claim()
        assert await made.tried(document) == "hsm-died"
        made.later()
        assert await made.tried(document) == "hsm-died"
        for _ in range(3):
            made.later()
            assert await made.tried(document) == "pin-attempts-unresolved"
        assert made.crooked.calls()["C_Login"] == 2
        made.crooked.does("pin locks")
        made.later()
        assert await made.tried(document) == "pin-attempts-unresolved"
        await made.here.token.permit("uid 7")
        assert await made.tried(document) == ""

    played(tmp_path, crooked, drawn, play, ready=False)


@pytest.mark.parametrize(("wrong", "code"), [(1, ""), (2, "pin-final-try"), (3, "pin-locked")])
def test_i6_what_the_token_shows_decides_about_the_first_try(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path], wrong: int, code: str
) -> None:
    """Somebody else mistyped: one wrong PIN is allowed, the last try is a person's, a locked one nobody's."""

    async def play(made: Bench) -> None:
        made.crooked.wrong_pins(wrong)
        made.crooked.does("pin locks")
        document = await made.claim()
        for _ in range(3):
            assert await made.tried(document) == code
            made.later()
            if not code:
                return
        assert made.crooked.calls()["C_Login"] == 0

    played(tmp_path, crooked, drawn, play, ready=False)


def test_i6_a_wrong_pin_is_presented_once_and_locks_nothing(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """SoftHSM never locks; this one does after three. It sees one try, and one per person's word."""

    async def play(made: Bench) -> None:
        pin = tmp_path / "wrong-pin"
        pin.write_text("00000000")
        pin.chmod(0o400)
        right = made.here.token._device._settings  # type: ignore[attr-defined]
        made.here.token._device._settings = type(right)(  # type: ignore[attr-defined]
            **{name: getattr(right, name) for name in right.__slots__} | {"pin": pin}
        )
        made.crooked.does("pin locks")
        document = await made.claim()
        for _ in range(4):
            assert await made.tried(document) == "pin-rejected"
            made.later()
        assert made.crooked.calls()["C_Login"] == 1
        await made.here.token.permit("uid 7")
        assert await made.tried(document) == "pin-rejected"
        made.later()
        assert await made.tried(document) == "pin-rejected"
        assert made.crooked.calls()["C_Login"] == 2
        made.here.token._device._settings = right  # type: ignore[attr-defined]
        await made.here.token.permit("uid 7")
        assert await made.tried(document) == ""

    played(tmp_path, crooked, drawn, play, ready=False)


def test_a_token_that_is_pulled_out_and_put_back_goes_on_by_itself(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """While it is away it is looked for; its sessions are dead, so it is opened anew."""

    async def play(made: Bench) -> None:
        document = await made.claim()
        made.crooked.does("token gone")
        assert await made.tried(document) == "token-missing"
        for _ in range(3):
            made.later()
            assert await made.tried(document) == "token-missing"
        document = await made.unharmed(document)
        made.crooked.does()
        made.later()
        assert await made.tried(document) == ""

    played(tmp_path, crooked, drawn, play)


def test_a_signature_with_a_wrong_bit_is_never_written(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """However often it comes: no document is refused for it, and it goes on when the token is well."""

    async def play(made: Bench) -> None:
        document = await made.claim()
        made.crooked.does("C_Sign flip")
        for _ in range(4):
            assert await made.tried(document) == "signature-invalid"
            document = await made.unharmed(document)
            made.later()
        made.crooked.does()
        made.later()
        assert await made.tried(document) == ""

    played(tmp_path, crooked, drawn, play)


@pytest.mark.parametrize("fault", ["token logged-out", "idle 0"])
def test_a_session_that_the_token_has_ended_costs_the_document_nothing(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path], fault: str
) -> None:
    """The login has run out, or the session was idle for too long: a new process, a new login."""

    async def play(made: Bench) -> None:
        await made.fails_and_recovers(fault)

    played(tmp_path, crooked, drawn, play)


def test_a_slow_token_is_waited_for(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """Slower than usual and within its time is no trouble at all."""

    async def play(made: Bench) -> None:
        made.crooked.does("C_Sign slow 300")
        assert await made.tried(await made.claim()) == ""
        assert made.here.alarms.now() == ()

    played(tmp_path, crooked, drawn, play)


def test_a_key_that_wants_the_pin_each_time_gets_it_within_the_same_budget(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """CKA_ALWAYS_AUTHENTICATE: one login per signature, each accounted."""

    async def play(made: Bench) -> None:
        made.crooked.does(f"key asks {crooked.files.pin}", "pin locks")
        assert await made.tried(await made.claim()) == ""
        calls = made.crooked.calls()
        # Two signatures: the file's and the manifest's.
        assert (calls["C_Sign"], calls["C_Login"]) == (2, 3)
        lines = "".join(await made.here.spool(Spool.after, 0))
        assert lines.count('"login-attempt"') == lines.count('"login-accepted"') == 3

    played(tmp_path, crooked, drawn, play, ready=False)


def test_a_token_that_ends_idle_sessions_is_kept_awake(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """Probed after `keep_alive_seconds`, not before, and without another login."""

    async def play(made: Bench) -> None:
        before = made.crooked.calls()["C_GetSessionInfo"]
        made.later(made.here.token._quiet_seconds - 1)
        await made.here.key.keep_alive()
        assert made.crooked.calls()["C_GetSessionInfo"] == before
        made.later(2)
        await made.here.key.keep_alive()
        assert made.crooked.calls()["C_GetSessionInfo"] == before + 1
        assert made.crooked.calls()["C_Login"] == 1

    played(tmp_path, crooked, drawn, play)


def test_a_slow_token_shows_in_the_histogram_and_trouble_in_the_counter(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """Two signatures of more than 300 ms; a crash is one more opening, and no signature."""

    async def play(made: Bench) -> None:
        token = made.here.token
        before, opened = token.latency.now(), token.opened
        made.crooked.does("C_Sign slow 300")
        assert await made.tried(await made.claim()) == ""
        after = token.latency.now()
        assert after.count - before.count == 2
        quick = BOUNDS.index(0.25)
        assert after.at_most[quick] == before.at_most[quick]
        assert after.seconds - before.seconds > 0.6
        assert token.opened == opened
        await made.fails_and_recovers("C_Sign crash")
        assert token.opened == opened + 1

    played(tmp_path, crooked, drawn, play)


def test_two_sessions_sign_at_the_same_time_and_hang_and_recover_together(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """Both are inside C_Sign before either has answered; what hangs in both is ended, and goes on."""

    async def play(made: Bench) -> None:
        first, second = await made.claim(), await made.claim()
        crooked.does("C_Sign hang")
        tries = [asyncio.create_task(made.tried(one)) for one in (first, second)]
        while crooked.calls()["C_Sign"] < 2:
            assert not any(one.done() for one in tries)
            await asyncio.sleep(0.01)
        assert await asyncio.gather(*tries) == ["hsm-died"] * 2
        crooked.does()
        made.later()
        for one in (first, second):
            assert await made.tried(await made.unharmed(one)) == ""
        assert crooked.calls()["C_Login"] == 4  # each session once, and once again

    async def main() -> None:
        files = crooked.files
        async with sealing(tmp_path, files, timeout_seconds=2.0, sessions=2) as here:
            await play(Bench(here, crooked, drawn["foto.jpg"]))

    asyncio.run(main())


def test_a_token_with_one_session_only_seals_and_says_that_two_were_wanted(
    tmp_path: Path, crooked: Misbehaving, drawn: dict[str, Path]
) -> None:
    """An alarm, which goes when the token is opened again and gives both."""

    async def play(made: Bench) -> None:
        crooked.does("token single")
        assert await made.tried(await made.claim()) == ""
        alarms = {one.code: one.detail for one in made.here.alarms.now()}
        assert alarms["hsm-sessions"] == "1/2"
        crooked.does("C_Sign ckr 0x30")
        assert await made.tried(await made.claim()) == "hsm-error"
        crooked.does()
        made.later()
        assert await made.here.key.usable()
        assert "hsm-sessions" not in {one.code for one in made.here.alarms.now()}

    async def main() -> None:
        async with sealing(tmp_path, crooked.files, timeout_seconds=2.0, sessions=2) as here:
            await play(Bench(here, crooked, drawn["foto.jpg"]))

    asyncio.run(main())
