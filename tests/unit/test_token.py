"""The login budget (I6) and the recovery of a token, against a card that counts and locks."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.document import Digest
from daemon.errors import PermanentError, PersonNeeded, TransientError
from daemon.hsm import KeyFacts, TokenFacts
from daemon.pin import Outcome, may_login
from daemon.records.logins import LoginRecord
from daemon.token import PAUSE_SECONDS, QUIET_SECONDS, Token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

DATA = b"signed attributes"
DIGEST = Digest.of(DATA)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FACTS = TokenFacts(
    serial="0815",
    label="scanseal",
    manufacturer="test",
    model="strict card",
    firmware="1.0",
    hardware="1.0",
    pin_count_low=False,
    pin_final_try=False,
    pin_locked=False,
    protected_path=False,
    mechanisms=("CKM_RSA_PKCS_PSS",),
    certificates=(),
)
KEY = KeyFacts(kind="rsa", bits=3072, curve="", public="00", always_authenticate=False)


@dataclass
class Card:
    """A card that does what SoftHSM does not: three wrong PINs and it is locked for good."""

    pin: str = "right"
    tries_left: int = 3
    shows_flags: bool = True

    def present(self, pin: str) -> None:
        """C_Login."""
        if self.tries_left == 0:
            raise PermanentError("pin-locked", "the token has locked the PIN")
        if pin != self.pin:
            self.tries_left -= 1
            raise PermanentError("pin-rejected", "the token says that the PIN is wrong")
        self.tries_left = 3

    def facts(self) -> TokenFacts:
        """C_GetTokenInfo."""
        if not self.shows_flags:
            return FACTS
        left = self.tries_left
        return replace(
            FACTS, pin_count_low=left in (1, 2), pin_final_try=left == 1, pin_locked=left == 0
        )


@dataclass
class Device:
    """Keeps the contract of `hsm.Hsm` with that card in it; writes down what it was asked."""

    card: Card
    log: list[str]
    pin: str = "right"
    key: KeyFacts = KEY
    trouble: dict[str, list[Exception]] = field(default_factory=dict)
    """What the next calls of a name raise, before they do anything."""
    lost_answer: bool = False
    """The process dies after the card has seen the PIN."""
    before_login: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    before_sign: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Each is awaited once, in the middle of such a call."""
    presented: int = 0
    signed: int = 0
    other_token: bool = False
    is_open: bool = False
    logged_in: bool = False

    def _asked(self, name: str) -> None:
        self.log.append(name)
        if self.trouble.get(name):
            exc = self.trouble[name].pop(0)
            if isinstance(exc, TransientError) and exc.code == "hsm-died":
                self.is_open = self.logged_in = False
            raise exc

    async def open(self) -> TokenFacts:
        self.is_open = self.logged_in = False
        self._asked("open")
        self.is_open = True
        facts = self.card.facts()
        return replace(facts, serial="4711") if self.other_token else facts

    async def login(self) -> None:
        self._asked("login")
        assert self.is_open
        if self.before_login:
            await self.before_login.pop()()
        self._present()
        self.logged_in = True

    def _present(self) -> None:
        self.presented += 1
        try:
            self.card.present(self.pin)
        finally:
            if self.lost_answer:
                raise TransientError("hsm-died", "login: ended by SIGKILL")

    async def find_other(self, label: str) -> KeyFacts:
        assert label == "next"
        return await self.find_key()

    async def sign_with(self, label: str, scheme: str, digest: Digest, data: bytes) -> bytes:
        assert label == "next"
        return await self.sign(scheme, digest, data)

    async def import_certificate(self, label: str, parts: Mapping[str, str]) -> None:
        assert label == "next"
        self.log.append(f"import {sorted(parts)}")

    async def find_key(self) -> KeyFacts:
        self._asked("key")
        self._must_be_logged_in()
        return self.key

    async def probe(self) -> None:
        self._asked("probe")
        self._must_be_logged_in()

    async def sign(self, scheme: str, digest: Digest, data: bytes, label: str = "") -> bytes:
        self._asked(f"sign {label}".rstrip())
        if self.before_sign:
            await self.before_sign.pop()()
        self._must_be_logged_in()
        if self.key.always_authenticate:
            self._present()
        self.signed += 1
        return f"{scheme} {digest} {data!r}".encode()

    def _must_be_logged_in(self) -> None:
        if not self.logged_in:
            raise TransientError("not-logged-in", "this process has not logged in")

    async def certificates(self, label: str) -> tuple[str, ...]:
        self._asked(f"certificates {label}")
        return ("cc",)

    def use(self, label: str, serial: str) -> None:
        self.log.append(f"use {label} {serial}".rstrip())

    async def close(self) -> None:
        self.log.append("close")
        self.is_open = self.logged_in = False


class Book:
    """Keeps the contract of LoginBook in memory, as rows that survive a restart."""

    def __init__(self, log: list[str]) -> None:
        self.rows: dict[str, LoginRecord] = {}
        self.log = log

    @property
    def row(self) -> LoginRecord:
        return self.rows.get("0815", LoginRecord("0815"))

    async def login_record(self, serial: str) -> LoginRecord:
        await asyncio.sleep(0)  # the spool is on another thread: others get their turn
        return self.rows.get(serial, LoginRecord(serial))

    async def login_attempted(self, serial: str, now: datetime) -> None:
        assert now == NOW
        self.log.append("attempted")
        row = await self.login_record(serial)
        self.rows[serial] = replace(row, unresolved=row.unresolved + 1, permitted=False)

    async def login_answered(self, serial: str, outcome: Outcome, code: str, now: datetime) -> None:
        assert now == NOW
        self.log.append(f"{outcome} {code}".rstrip())
        row = await self.login_record(serial)
        if outcome == "failed":  # this one did not count; that says nothing of earlier ones
            self.rows[serial] = replace(row, unresolved=row.unresolved - 1)
        else:
            self.rows[serial] = replace(row, unresolved=0, rejected=outcome == "rejected")

    async def permit_login(self, serial: str, person: str, now: datetime) -> None:
        assert now == NOW
        self.log.append(f"permitted by {person}")
        self.rows[serial] = replace(await self.login_record(serial), permitted=True)

    async def export_ledger(self) -> None:
        await asyncio.sleep(0)
        self.log.append("exported")


class Bench:
    """A token with its card, its book and a clock that stands still until it is moved."""

    def __init__(self, **device: Any) -> None:
        self.log: list[str] = []
        self.card = device.pop("card", None) or Card()
        self.book = Book(self.log)
        count = device.pop("sessions", 1)
        self.device, *self.others = (Device(self.card, self.log, **device) for _ in range(count))
        self.time = 1000.0
        self.check: Callable[[TokenFacts, KeyFacts], None] = lambda _token, _key: None
        self.token = self.restarted()

    def restarted(self) -> Token:
        """Return what the next start of the service has: the same book, card and PIN file."""
        for device in (self.device, *self.others):
            device.is_open = device.logged_in = False
        self.token = Token(
            self.device,
            self.book,
            others=self.others,
            check=self._checked,
            now=lambda: NOW,
            clock=lambda: self.time,
        )
        return self.token

    def _checked(self, token: TokenFacts, key: KeyFacts) -> None:
        self.check(token, key)

    async def code(self, seconds: float = 0.0) -> str:
        """Let *seconds* pass; return the code that `ensure` raises, or "" when it is ready."""
        self.time += seconds
        try:
            await self.token.ensure()
        except TransientError as exc:
            raised = exc.code
        else:
            raised = ""
        assert raised == self.token.state.code
        assert (raised == "") == (self.token.state.name == "ready")
        return raised


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine to its end."""
    asyncio.run(asyncio.wait_for(work, 20))


# -- the rule ------------------------------------------------------------------------


def showing(*, low: bool = False, final: bool = False, locked: bool = False) -> TokenFacts:
    """Return what a card with these flags says."""
    return replace(FACTS, pin_count_low=low, pin_final_try=final, pin_locked=locked)


RECORDS = st.builds(
    LoginRecord,
    serial=st.just("0815"),
    unresolved=st.integers(0, 4),
    rejected=st.booleans(),
    permitted=st.booleans(),
)
SHOWN = st.builds(showing, low=st.booleans(), final=st.booleans(), locked=st.booleans())


@pytest.mark.parametrize(
    ("record", "flags", "code"),
    [
        ({}, {}, None),
        ({"unresolved": 1}, {}, None),
        ({"unresolved": 1}, {"low": True}, "pin-attempts-unresolved"),
        ({"unresolved": 1}, {"final": True}, "pin-final-try"),
        ({"unresolved": 2}, {}, "pin-attempts-unresolved"),
        ({"rejected": True}, {}, "pin-rejected"),
        ({"rejected": True}, {"final": True}, "pin-rejected"),
        ({}, {"low": True}, None),
        ({}, {"low": True, "final": True}, "pin-final-try"),
        ({}, {"locked": True}, "pin-locked"),
        ({"permitted": True}, {"locked": True}, "pin-locked"),
        ({"permitted": True, "rejected": True}, {"final": True}, None),
        ({"permitted": True, "unresolved": 5}, {"low": True}, None),
    ],
)
def test_i6_the_rule_in_words_and_in_code_agree(
    record: dict[str, Any], flags: dict[str, bool], code: str | None
) -> None:
    """Each line of the docstring of may_login is one line here."""
    assert may_login(LoginRecord("0815", **record), showing(**flags)) == code


@given(RECORDS, SHOWN)
def test_i6_without_a_person_nothing_doubtful_is_tried(
    record: LoginRecord, facts: TokenFacts
) -> None:
    """Whatever the combination: no automatic try on a bad sign, none at all on a locked token."""
    allowed = may_login(record, facts) is None
    if facts.pin_locked:
        assert not allowed
    elif record.permitted:
        assert allowed
    elif record.rejected or record.unresolved > 1 or facts.pin_final_try:
        assert not allowed
    elif record.unresolved == 1:
        assert allowed != facts.pin_count_low
    else:
        assert allowed


class Life:
    """What can happen to a box, in any order, with a wrong PIN in its file and no person near."""

    def __init__(self, *, shows_flags: bool) -> None:
        self.bench = Bench(card=Card(shows_flags=shows_flags), pin="wrong")

    async def go_on(self) -> None:
        await self.bench.code(3600)

    async def restart(self) -> None:
        self.bench.restarted()

    async def die_at_login(self) -> None:
        self.bench.device.lost_answer = True
        await self.bench.code(3600)
        self.bench.device.lost_answer = False

    async def fail_before_the_pin(self) -> None:
        self.bench.device.trouble["login"] = [TransientError("hsm-error", "login: CKR_X")]
        await self.bench.code(3600)

    async def lose_the_token(self) -> None:
        self.bench.device.trouble["open"] = [TransientError("token-missing", "no token")]
        await self.bench.code(3600)


HAPPENINGS = st.lists(
    st.sampled_from(["go_on", "restart", "die_at_login", "fail_before_the_pin", "lose_the_token"]),
    max_size=25,
)


@given(HAPPENINGS, st.booleans())
@example(["die_at_login", "fail_before_the_pin"] * 3, False)
def test_i6_a_wrong_pin_never_locks_the_card_by_itself(
    happenings: list[str], shows_flags: bool
) -> None:
    """A card has three tries: we alone never take the last one, flags or no flags."""

    async def live() -> None:
        life = Life(shows_flags=shows_flags)
        for happening in happenings:
            await getattr(life, happening)()
        assert life.bench.card.tries_left >= (2 if shows_flags else 1)

    run(live())


@given(st.lists(st.sampled_from(["stranger_errs", "go_on", "restart", "die_at_login"])))
def test_i6_the_try_that_locks_is_never_ours_while_the_card_shows_its_flags(
    happenings: list[str],
) -> None:
    """Others mistype at the same card: the last try is theirs or a person's, not ours."""

    async def live() -> None:
        life = Life(shows_flags=True)
        card = life.bench.card
        for happening in happenings:
            if happening == "stranger_errs":
                card.tries_left = max(card.tries_left - 1, 0)
                continue
            before = card.tries_left
            await getattr(life, happening)()
            assert before == 0 or card.tries_left > 0

    run(live())


# -- one login ---------------------------------------------------------------------------


def test_i6_the_attempt_is_committed_and_in_the_ledger_files_before_the_login() -> None:
    """Killed at any point after the login began, the next start finds that it began."""

    async def test() -> None:
        bench = Bench()

        assert await bench.code() == ""

        assert bench.log == ["open", "attempted", "exported", "login", "accepted", "key"]
        assert bench.book.row == LoginRecord("0815")

    run(test())


def test_i6_a_kill_between_the_commits_leaves_an_attempt_that_counts() -> None:
    """The process ends while the token thinks: nobody knows, so it counts."""

    async def test() -> None:
        bench = Bench()
        reached, never = asyncio.Event(), asyncio.Event()

        async def hang() -> None:
            reached.set()
            await never.wait()

        bench.device.before_login.append(hang)
        login = asyncio.create_task(bench.token.ensure())
        await reached.wait()

        assert bench.log[-3:] == ["attempted", "exported", "login"]
        assert bench.book.row.unresolved == 1

        never.set()
        await login

    run(test())


def test_i6_a_rejected_pin_is_tried_once_and_restarts_change_nothing() -> None:
    """Not after an hour, not after three restarts, not with documents waiting."""

    async def test() -> None:
        bench = Bench(pin="wrong")

        assert await bench.code() == "pin-rejected"
        for _ in range(3):
            bench.restarted()
            for _ in range(10):
                assert await bench.code(3600) == "pin-rejected"
                with pytest.raises(TransientError, match="pin-rejected"):
                    await bench.token.sign(DIGEST, DATA)
        assert bench.device.presented == 1
        assert bench.card.tries_left == 2
        assert bench.token.state.name == "needs-person"

    run(test())


def test_i6_a_person_gets_one_more_try_and_no_more() -> None:
    """The permission is used up by the attempt, whatever comes of it."""

    async def test() -> None:
        bench = Bench(pin="wrong")
        await bench.code()

        await bench.token.permit("uid 1000")
        assert await bench.code() == "pin-rejected"
        assert bench.device.presented == 2
        assert await bench.code(3600) == "pin-rejected"
        assert bench.device.presented == 2

        bench.device.pin = "right"
        await bench.token.permit("uid 1000")
        assert await bench.code() == ""
        assert bench.book.row == LoginRecord("0815")
        assert bench.log.count("permitted by uid 1000") == 2

    run(test())


def test_i6_two_logins_without_an_answer_need_a_person() -> None:
    """A hung library may have shown the PIN to the card each time."""

    async def test() -> None:
        bench = Bench(card=Card(shows_flags=False), lost_answer=True)

        assert await bench.code() == "hsm-died"
        assert await bench.code(3600) == "hsm-died"
        assert await bench.code(3600) == "pin-attempts-unresolved"
        bench.restarted()
        assert await bench.code() == "pin-attempts-unresolved"
        assert bench.device.presented == 2

        bench.device.lost_answer = False
        await bench.token.permit("uid 1000")
        assert await bench.code() == ""

    run(test())


def test_i6_an_answer_that_says_nothing_of_the_pin_counts_as_none() -> None:
    """CKR_DEVICE_ERROR out of C_Login: the card may have counted before the cable broke."""

    async def test() -> None:
        bench = Bench()
        unclear = TransientError("login-unclear", "C_Login: CKR_DEVICE_ERROR")
        bench.device.trouble["login"] = [unclear, unclear]

        assert await bench.code() == "login-unclear"
        assert bench.book.row.unresolved == 1
        assert await bench.code(3600) == "login-unclear"
        assert await bench.code(3600) == "pin-attempts-unresolved"

    run(test())


def test_a_failure_before_the_pin_is_tried_again_by_itself() -> None:
    """The file was missing: the token has seen nothing, so nothing is used up."""

    async def test() -> None:
        bench = Bench()
        missing = PermanentError("pin-file-missing", "/x: No such file or directory")
        bench.device.trouble["login"] = [missing]

        assert await bench.code() == "pin-file-missing"
        assert bench.token.state.name == "needs-person"
        assert bench.book.row == LoginRecord("0815")
        assert await bench.code(3600) == ""

    run(test())


def test_i6_a_stop_of_the_service_waits_for_the_answer_to_a_login() -> None:
    """`systemctl restart` twice in a row must not end with the card waiting for a person."""

    async def test() -> None:
        bench = Bench()
        reached, answer = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            reached.set()
            await answer.wait()

        bench.device.before_login.append(slow)
        login = asyncio.create_task(bench.token.ensure())
        await reached.wait()
        login.cancel()
        await asyncio.sleep(0)
        answer.set()
        with pytest.raises(asyncio.CancelledError):
            await login

        assert bench.book.row == LoginRecord("0815")
        assert bench.log[-1] == "accepted"

    run(test())


def test_a_token_that_others_have_locked_is_not_touched() -> None:
    """Not with a permission either: no try can open it."""

    async def test() -> None:
        bench = Bench(card=Card(tries_left=0))

        assert await bench.code() == "pin-locked"
        with pytest.raises(PersonNeeded) as refused:
            await bench.token.permit("uid 1000")
        assert refused.value.code == "login-not-waiting"
        assert bench.device.presented == 0

        bench.card.tries_left = 3  # somebody has unblocked it with the SO PIN
        assert await bench.code(3600) == ""

    run(test())


def test_the_last_try_is_a_persons() -> None:
    """Somebody mistyped twice with another tool; ours may be the wrong one as well."""

    async def test() -> None:
        bench = Bench(card=Card(tries_left=1))

        assert await bench.code() == "pin-final-try"
        assert "the next wrong PIN locks it" in bench.token.state.detail
        await bench.token.permit("uid 1000")
        assert await bench.code() == ""

    run(test())


def test_a_permission_is_refused_where_nothing_waits_for_it() -> None:
    """It would lie about, and be used after a rejection that nobody has seen yet."""

    async def test() -> None:
        bench = Bench()
        with pytest.raises(PersonNeeded):
            await bench.token.permit("uid 1000")
        await bench.code()
        with pytest.raises(PersonNeeded):
            await bench.token.permit("uid 1000")
        assert not bench.book.row.permitted

    run(test())


def test_the_record_of_a_token_without_a_serial_number_is_kept_by_its_label() -> None:
    """Some vendors leave the field blank; a rejection must be found again all the same."""

    async def test() -> None:
        bench = Bench(pin="wrong", card=Blank())
        await bench.code()

        assert bench.book.rows["label:scanseal"].rejected

    run(test())


class Blank(Card):
    """A card without a serial number."""

    def facts(self) -> TokenFacts:
        return replace(super().facts(), serial="")


# -- recovery ----------------------------------------------------------------------------


def test_a_missing_token_is_looked_for_every_30_seconds_and_not_more_often() -> None:
    """Documents ask all the time; a reader that is probed all the time never recovers."""

    async def test() -> None:
        bench = Bench()
        missing = TransientError("token-missing", "no token with label 'scanseal'")
        bench.device.trouble["open"] = [missing] * 3

        assert await bench.code() == "token-missing"
        for _ in range(10):
            assert await bench.code() == "token-missing"
        assert bench.log.count("open") == 1
        assert bench.token.state.detail == "no token with label 'scanseal'"
        assert bench.token.state.name == "unavailable"

        assert await bench.code(PAUSE_SECONDS - 0.1) == "token-missing"
        assert bench.log.count("open") == 1
        assert await bench.code(0.1) == "token-missing"
        assert bench.log.count("open") == 2
        assert await bench.code(PAUSE_SECONDS) == "token-missing"
        assert await bench.code(PAUSE_SECONDS) == ""

    run(test())


def test_a_process_that_dies_while_it_signs_costs_the_document_nothing() -> None:
    """I8: it is the token's trouble; the next turn finds a new process, logged in."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        bench.device.trouble["sign"] = [TransientError("hsm-died", "sign: ended by SIGSEGV")]

        with pytest.raises(TransientError, match="hsm-died"):
            await bench.token.sign(DIGEST, DATA)
        assert bench.token.state.name == "unavailable"
        bench.time += PAUSE_SECONDS
        assert await bench.token.sign(DIGEST, DATA) == f"rsa-pss-sha256 {DIGEST} {DATA!r}".encode()

    run(test())


def test_a_process_that_was_replaced_while_idle_signs_after_a_new_login() -> None:
    """A fresh process answers not-logged-in; the document does not even notice."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        bench.time += PAUSE_SECONDS - 1
        await bench.token.sign(DIGEST, DATA)
        bench.time += 1
        bench.device.is_open = bench.device.logged_in = False

        assert await bench.token.sign(DIGEST, DATA)
        assert bench.device.presented == 2
        assert bench.book.row == LoginRecord("0815")

    run(test())


def test_logins_without_a_signature_between_them_get_rarer() -> None:
    """A library that signs nothing and says so must not fill the ledger with logins."""

    async def test() -> None:
        bench = Bench()
        bench.device.trouble["sign"] = [TransientError("hsm-error", "sign: CKR_X")] * 500
        for _ in range(4 * 60 * 4):
            bench.time += 15
            with pytest.raises(TransientError, match="hsm-error"):
                await bench.token.sign(DIGEST, DATA)
        assert 10 < bench.device.presented < 25

        bench.device.trouble.clear()
        bench.time += PAUSE_SECONDS * 2**5
        assert await bench.token.sign(DIGEST, DATA)
        bench.device.logged_in = False
        bench.time += PAUSE_SECONDS
        assert await bench.token.sign(DIGEST, DATA)  # with that all is forgotten

    run(test())


def test_a_missing_key_is_found_later_without_another_login() -> None:
    """The PIN was right; to present it again would find nothing new."""

    async def test() -> None:
        bench = Bench()
        missing = PermanentError("key-missing", "no private key with label 'seal'")
        bench.device.trouble["key"] = [missing] * 3

        assert await bench.code() == "key-missing"
        assert bench.token.state.name == "needs-person"
        assert await bench.code(PAUSE_SECONDS) == "key-missing"
        assert await bench.code(PAUSE_SECONDS) == "key-missing"
        assert await bench.code(PAUSE_SECONDS) == ""
        assert bench.device.presented == 1

    run(test())


def test_a_key_that_is_not_the_certificates_is_not_used() -> None:
    """The token was exchanged for another: the seals would not verify."""

    async def test() -> None:
        bench = Bench()

        def differs(_token: TokenFacts, _key: KeyFacts) -> None:
            raise PermanentError("certificate-mismatch", "another key")

        bench.check = differs
        assert await bench.code() == "certificate-mismatch"
        with pytest.raises(TransientError, match="certificate-mismatch"):
            await bench.token.sign(DIGEST, DATA)
        assert "sign" not in bench.log

    run(test())


def test_a_token_that_has_nothing_to_do_is_probed() -> None:
    """The page must not call it ready when it was pulled at night; some sessions idle out."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        await bench.code(QUIET_SECONDS - 1)
        assert "probe" not in bench.log
        await bench.code(1)
        assert bench.log[-1] == "probe"
        await bench.code(QUIET_SECONDS - 1)
        assert bench.log.count("probe") == 1

        bench.device.trouble["probe"] = [TransientError("token-missing", "it went away")]
        assert await bench.code(1) == ""
        assert bench.log[-7:] == [
            "close",
            "open",
            "attempted",
            "exported",
            "login",
            "accepted",
            "key",
        ]

    run(test())


def test_trouble_of_an_old_process_does_not_end_the_new_one() -> None:
    """Two documents fail on the same death; the second must not throw away the recovery."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        held, begun = asyncio.Event(), asyncio.Event()

        async def die_slowly() -> None:
            begun.set()
            await held.wait()
            raise TransientError("hsm-died", "sign: ended by SIGKILL")

        bench.device.before_sign.append(die_slowly)
        late = asyncio.create_task(bench.token.sign(DIGEST, DATA))
        await begun.wait()
        bench.device.trouble["sign"] = [TransientError("hsm-died", "sign: ended by SIGKILL")]
        with pytest.raises(TransientError):
            await bench.token.sign(DIGEST, DATA)
        assert await bench.code(PAUSE_SECONDS) == ""

        held.set()
        with pytest.raises(TransientError, match="hsm-died"):
            await late
        assert bench.token.state.name == "ready"
        assert bench.device.logged_in

    run(test())


def test_many_documents_at_once_cause_one_login() -> None:
    """They all wait for the one that is under way."""

    async def test() -> None:
        bench = Bench()
        signed = await asyncio.gather(*(bench.token.sign(DIGEST, DATA) for _ in range(20)))

        assert len(signed) == 20
        assert bench.device.presented == 1

    run(test())


def test_a_closed_token_is_starting_again() -> None:
    """The service is ending: nothing is kept that pretends to be logged in."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        await bench.token.close()

        assert bench.token.state.name == "starting"
        assert bench.log[-1] == "close"
        with pytest.raises(TransientError, match="not-logged-in"):
            await bench.token.ensure()
        assert await bench.code(PAUSE_SECONDS) == ""
        assert bench.device.presented == 2

    run(test())


def test_a_document_never_hears_that_something_will_never_work() -> None:
    """PermanentError would set it aside; what is wrong here is the token's."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        lacking = PermanentError("mechanism-missing", "neither CKM_X nor CKM_Y")
        bench.device.trouble["sign"] = [lacking]

        with pytest.raises(TransientError, match="mechanism-missing"):
            await bench.token.sign(DIGEST, DATA)
        assert bench.token.state.name == "needs-person"

    run(test())


# -- a key that wants the PIN each time --------------------------------------------------


def test_i6_each_signature_of_an_always_authenticate_key_is_accounted_for() -> None:
    """The PIN is presented again, so it is the same budget, commits and all."""

    async def test() -> None:
        bench = Bench(key=replace(KEY, always_authenticate=True))
        await bench.code()
        bench.log.clear()

        await asyncio.gather(*(bench.token.sign(DIGEST, DATA) for _ in range(3)))
        assert bench.log == ["attempted", "exported", "sign", "accepted"] * 3

    run(test())


def test_i6_a_pin_that_was_changed_meanwhile_is_tried_once_by_a_signature() -> None:
    """Twenty documents wait: the first finds out, the others do not try again."""

    async def test() -> None:
        bench = Bench(key=replace(KEY, always_authenticate=True))
        await bench.code()
        bench.card.pin = "changed"
        signed = await asyncio.gather(
            *(bench.token.sign(DIGEST, DATA) for _ in range(20)), return_exceptions=True
        )

        assert {str(getattr(exc, "code", exc)) for exc in signed} == {"pin-rejected"}
        assert bench.card.tries_left == 2
        assert await bench.code(3600) == "pin-rejected"
        assert bench.card.tries_left == 2

    run(test())


# -- another key takes over ----------------------------------------------------------------

NEXT = replace(KEY, kind="ec", bits=384, public="01")


def test_another_key_takes_over_without_a_login() -> None:
    """What was begun names its key with each request; nobody presents the PIN for it."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        facts, _ = await bench.token.look("next")
        switched: list[str] = []
        bench.log.clear()
        await bench.token.use("next", "", facts, NEXT, lambda: switched.append("now"))
        old = await bench.token.sign(DIGEST, DATA, ("seal", KEY))
        new = await bench.token.sign(DIGEST, DATA, ("next", NEXT))

        assert facts.certificates == ("cc",)
        assert switched == ["now"]
        assert bench.log == ["use next", "sign seal", "sign next"]
        assert (old[:8], new[:8]) == (b"rsa-pss-", b"ecdsa-sh")
        assert bench.device.presented == 1

    run(test())


def test_a_key_before_that_is_gone_stops_nothing() -> None:
    """Only what was begun with it has to be begun anew; the same of the present key does stop."""

    async def test() -> None:
        bench = Bench()
        await bench.code()
        facts, _ = await bench.token.look("next")
        await bench.token.use("next", "", facts, NEXT, lambda: None)
        gone = PermanentError("key-missing", "no private key with label 'seal'")
        bench.device.trouble["sign seal"] = [gone]
        with pytest.raises(TransientError, match="key-missing"):
            await bench.token.sign(DIGEST, DATA, ("seal", KEY))
        assert await bench.code() == ""

        bench.device.trouble["sign next"] = [gone]
        with pytest.raises(TransientError, match="key-missing"):
            await bench.token.sign(DIGEST, DATA, ("next", NEXT))
        assert bench.token.state.name == "needs-person"

    run(test())


def test_a_key_that_was_missing_is_used_at_once() -> None:
    """No pause is waited for, and no login spent: the process is logged in already."""

    async def test() -> None:
        bench = Bench()
        bench.device.trouble["key"] = [PermanentError("key-missing", "none")]
        assert await bench.code() == "key-missing"
        facts, key = await bench.token.look("next")
        await bench.token.use("next", "", facts, key, lambda: None)
        assert await bench.code() == ""
        assert bench.device.presented == 1

    run(test())


def test_i6_looking_at_another_key_presents_no_pin_that_was_rejected() -> None:
    """A change of key is no way around a person's permission."""

    async def test() -> None:
        bench = Bench(pin="wrong")
        assert await bench.code() == "pin-rejected"
        for _ in range(3):
            with pytest.raises(PermanentError, match="pin-rejected"):
                await bench.token.look("next")
        assert bench.card.tries_left == 2

    run(test())


# -- what is told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "padding", "scheme"),
    [
        ("rsa", "pss", "rsa-pss-sha256"),
        ("rsa", "pkcs1v15", "rsa-pkcs1v15-sha256"),
        ("ec", "pss", "ecdsa-sha256"),
    ],
)
def test_the_scheme_follows_the_key(kind: str, padding: str, scheme: str) -> None:
    """The configuration's padding is for RSA keys; a curve has none."""

    async def test() -> None:
        bench = Bench(key=replace(KEY, kind=kind))
        token = Token(bench.device, bench.book, padding=padding, now=lambda: NOW)

        assert (await token.sign(DIGEST, DATA)).startswith(scheme.encode() + b" ")
        assert token.scheme == scheme

    run(test())


def test_each_change_of_state_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The journal shows when it went away and when it came back, and not every look."""
    caplog.set_level(logging.INFO)

    async def test() -> None:
        bench = Bench()
        bench.device.trouble["open"] = [TransientError("token-missing", "no token")] * 3
        for _ in range(4):
            await bench.code(PAUSE_SECONDS)

    run(test())
    assert [record.getMessage() for record in caplog.records] == [
        "token state=unavailable code=token-missing",
        "token state=ready code=-",
    ]


# -- a person's request ---------------------------------------------------------------


def data_of(key: KeyFacts, scheme: str) -> bytes:
    """Make what is to be signed of what the key is."""
    return f"{key.kind} {scheme}".encode()


def test_a_request_takes_an_accounted_login_and_then_none() -> None:
    """I6: whoever asks for a signature, the PIN is presented between the two commits."""

    async def work() -> None:
        bench = Bench()
        data, _ = await bench.token.sign_once("next", data_of)
        await bench.token.sign_once("next", data_of)

        assert data == b"rsa rsa-pss-sha256"
        assert bench.log.count("attempted") == bench.log.count("accepted") == 1
        assert await bench.code() == ""
        assert bench.log.count("attempted") == 1

    run(work())


def test_i6_a_request_presents_no_pin_after_a_rejection() -> None:
    """Else a technician who asks three times locks the card."""

    async def work() -> None:
        bench = Bench(pin=b"wrong")
        for _ in range(3):
            with pytest.raises(PermanentError) as raised:
                await bench.token.sign_once("next", data_of)
            assert raised.value.code == "pin-rejected"

        assert bench.device.presented == 1

    run(work())


def test_a_request_while_no_certificate_fits_is_signed() -> None:
    """The first certificate of a box is requested while sealing waits for it."""

    async def work() -> None:
        bench = Bench()

        def missing(_token: TokenFacts, _key: KeyFacts) -> None:
            raise PermanentError("certificate-missing", "0 of 0")

        bench.check = missing
        assert await bench.code() == "certificate-missing"
        assert (await bench.token.sign_once("next", data_of))[0]
        assert bench.token.state.code == "certificate-missing"

    run(work())


def test_a_key_that_cannot_be_asked_for_leaves_the_token_ready() -> None:
    """A label that was mistyped must not stop the sealing."""

    async def work() -> None:
        bench = Bench()
        assert await bench.code() == ""

        def unusable(_key: KeyFacts, _scheme: str) -> bytes:
            raise PermanentError("key-unusable", "hidden")

        with pytest.raises(PermanentError):
            await bench.token.sign_once("next", unusable)
        assert bench.token.state.name == "ready"
        assert "close" not in bench.log[-1:]

    run(work())


# -- several sessions ----------------------------------------------------------------


LOGIN = ["open", "attempted", "exported", "login", "accepted"]


def test_each_session_logs_in_for_itself_after_the_first_one() -> None:
    """Each presents the PIN, so each is written down; the key is looked at before the next."""

    async def work() -> None:
        bench = Bench(sessions=3)
        assert await bench.code() == ""
        assert bench.log == [*LOGIN, "key"] * 3
        assert bench.token.missing_sessions == 0
        bench.log.clear()
        assert await bench.code() == ""
        assert bench.log == []

    run(work())


def test_i6_a_wrong_pin_is_presented_by_one_session_only() -> None:
    """And if it became wrong between two of them, by no third one."""

    async def work() -> None:
        bench = Bench(sessions=3, pin="wrong")
        assert await bench.code() == "pin-rejected"
        assert await bench.code(3600) == "pin-rejected"
        assert [bench.device.presented, *(one.presented for one in bench.others)] == [1, 0, 0]

        bench = Bench(sessions=3)
        bench.others[0].pin = "wrong"
        assert await bench.code() == "pin-rejected"
        assert await bench.code(3600) == "pin-rejected"
        assert [bench.device.presented, *(one.presented for one in bench.others)] == [1, 1, 0]

    run(work())


def test_a_session_that_the_token_does_not_give_is_done_without() -> None:
    """It is counted, and asked for again when the token is opened again."""

    async def work() -> None:
        bench = Bench(sessions=2)
        bench.others[0].trouble["open"] = [TransientError("hsm-error", "CKR_SESSION_COUNT")]
        assert await bench.code() == ""
        assert bench.token.missing_sessions == 1
        assert await bench.token.sign(DIGEST, DATA)
        assert bench.log[-2:] == ["close", "sign"]
        bench.device.trouble["sign"] = [TransientError("hsm-died", "sign")]
        with pytest.raises(TransientError, match="sign"):
            await bench.token.sign(DIGEST, DATA)
        assert bench.token.missing_sessions == 0  # nothing signs: that is another alarm
        assert await bench.code(PAUSE_SECONDS) == ""
        assert bench.token.missing_sessions == 0
        assert bench.token.opened == 2

    run(work())


def test_i6_no_session_presents_the_pin_to_another_token_of_the_same_label() -> None:
    """It may be a card with another PIN."""

    async def work() -> None:
        bench = Bench(sessions=2)
        bench.others[0].other_token = True
        assert await bench.code() == ""
        assert bench.others[0].presented == 0
        assert bench.token.missing_sessions == 1

    run(work())


def test_trouble_in_one_session_is_trouble_of_the_token() -> None:
    """All of them begin anew; that several log in makes the pause no longer."""

    async def work() -> None:
        bench = Bench(sessions=4)
        assert await bench.code() == ""
        for opened in (2, 3, 4):
            bench.others[0].trouble["probe"] = [TransientError("hsm-died", "probe")]
            bench.log.clear()
            assert await bench.code(QUIET_SECONDS) == "hsm-died"
            assert bench.log == ["probe", "probe", *["close"] * 4]
            assert await bench.code(PAUSE_SECONDS - QUIET_SECONDS - 1) == "hsm-died"
            assert await bench.code(1) == ""
            assert bench.log[6:] == [*LOGIN, "key"] * 4
            assert bench.token.opened == opened
            await bench.token.sign(DIGEST, DATA)

    run(work())


def test_the_session_with_the_least_to_do_signs_and_no_other_idles_out() -> None:
    """A session that nobody needs is probed as if the others had not answered."""

    async def work() -> None:
        bench = Bench(sessions=2)
        assert await bench.code() == ""
        go_on = asyncio.Event()

        async def wait() -> None:
            await go_on.wait()

        bench.device.before_sign.append(wait)
        slow = asyncio.create_task(bench.token.sign(DIGEST, DATA))
        while bench.device.before_sign:
            await asyncio.sleep(0)
        quick = await bench.token.sign(DIGEST, DATA)
        assert not slow.done()
        assert (bench.device.signed, bench.others[0].signed) == (0, 1)
        bench.log.clear()
        bench.time += QUIET_SECONDS
        await bench.token.ensure()  # the first one is at work, and not asked in between
        assert bench.log == ["probe"]
        go_on.set()
        assert await slow == quick
        for _ in range(5):
            bench.time += QUIET_SECONDS / 2
            await bench.token.sign(DIGEST, DATA)
        assert bench.log.count("probe") == 3
        assert bench.others[0].logged_in

    run(work())
