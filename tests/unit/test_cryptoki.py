"""What the answers of a token mean: for the budget of tries, and for what happens next."""

from __future__ import annotations

import PyKCS11
import pytest

from daemon import cryptoki
from daemon.errors import DaemonError, PermanentError, TransientError


@pytest.mark.parametrize(
    ("ckr", "expected"),
    [
        ("CKR_GENERAL_ERROR", "reopen"),
        ("CKR_DEVICE_ERROR", "reopen"),
        ("CKR_DEVICE_REMOVED", "reopen"),
        ("CKR_TOKEN_NOT_PRESENT", "reopen"),
        ("CKR_TOKEN_NOT_RECOGNIZED", "reopen"),
        ("CKR_SESSION_HANDLE_INVALID", "reopen"),
        ("CKR_SESSION_CLOSED", "reopen"),
        ("CKR_CRYPTOKI_NOT_INITIALIZED", "reopen"),
        ("CKR_USER_NOT_LOGGED_IN", "reopen"),
        ("0x80000042", "reopen"),
        ("CKR_PIN_INCORRECT", "pin"),
        ("CKR_PIN_INVALID", "pin"),
        ("CKR_PIN_LEN_RANGE", "pin"),
        ("CKR_PIN_LOCKED", "pin"),
        ("CKR_PIN_EXPIRED", "pin"),
        ("CKR_MECHANISM_INVALID", "other"),
        ("CKR_KEY_SIZE_RANGE", "other"),
    ],
)
def test_each_answer_calls_for_one_reaction(ckr: str, expected: str) -> None:
    """The list of thin-edge.io #4352, and whatever nobody has thought of is `reopen`."""
    assert cryptoki.reaction(ckr) == expected


def test_every_name_in_the_tables_is_one_that_exists() -> None:
    """A name with a typo would never be met, and its answer be taken for another."""
    names = {*cryptoki.PIN_SAID} | cryptoki.TOKEN_GONE | cryptoki.OUR_REQUEST
    assert (names | cryptoki.BEFORE_THE_PIN) <= {*PyKCS11.CKR.values()}
    assert {name for pair in cryptoki.SCHEMES.values() for name in pair} <= {
        name for name in PyKCS11.CKM if isinstance(name, str)
    }


class Session:
    """A token's session that answers C_Login with one value, and counts."""

    def __init__(self, answer: int) -> None:
        self.answer = answer
        self.asked = 0

    def login(self, _pin: bytes, _user: int) -> None:
        """C_Login."""
        self.asked += 1
        if self.answer != PyKCS11.CKR_OK:
            raise PyKCS11.PyKCS11Error(self.answer)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (PyKCS11.CKR_PIN_INCORRECT, PermanentError, "pin-rejected"),
        (PyKCS11.CKR_PIN_INVALID, PermanentError, "pin-rejected"),
        (PyKCS11.CKR_PIN_LEN_RANGE, PermanentError, "pin-rejected"),
        (PyKCS11.CKR_PIN_LOCKED, PermanentError, "pin-locked"),
        (PyKCS11.CKR_PIN_EXPIRED, PermanentError, "pin-expired"),
        (PyKCS11.CKR_USER_PIN_NOT_INITIALIZED, PermanentError, "pin-not-set"),
        (PyKCS11.CKR_SESSION_HANDLE_INVALID, TransientError, "hsm-error"),
        (PyKCS11.CKR_ARGUMENTS_BAD, TransientError, "hsm-refused"),
        (PyKCS11.CKR_USER_NOT_LOGGED_IN, TransientError, "not-logged-in"),
        (PyKCS11.CKR_DEVICE_ERROR, TransientError, "login-unclear"),
        (PyKCS11.CKR_DEVICE_REMOVED, TransientError, "login-unclear"),
        (PyKCS11.CKR_TOKEN_NOT_PRESENT, TransientError, "login-unclear"),
        (PyKCS11.CKR_FUNCTION_FAILED, TransientError, "login-unclear"),
        (0x80000042, TransientError, "login-unclear"),
    ],
)
def test_i6_an_answer_to_a_login_is_sorted_by_whether_the_pin_may_have_counted(
    answer: int, kind: type[DaemonError], code: str
) -> None:
    """Only what a library says before it asks the token is safe to try again at once."""
    session = Session(answer)
    with pytest.raises(kind) as raised:
        login(session)

    assert raised.value.code == code
    assert session.asked == 1


@pytest.mark.parametrize("answer", [PyKCS11.CKR_OK, PyKCS11.CKR_USER_ALREADY_LOGGED_IN])
def test_logged_in_already_is_logged_in(answer: int) -> None:
    """Some libraries keep the login of the token, not of the process."""
    session = Session(answer)
    login(session)

    assert session.asked == 1


def login(session: Session) -> None:
    """Let the inside of the HSM process present a PIN in *session*."""
    inside = cryptoki.Inside()
    inside._session = session

    def login(_: object) -> dict[str, object]:
        inside._present(b"471108", PyKCS11.CKU_USER)
        return {}

    cryptoki._task(login)({})


@pytest.mark.parametrize("name", ["CKR_TOKEN_NOT_PRESENT", "CKR_DEVICE_REMOVED"])
def test_a_token_that_went_away_is_named_so(name: str) -> None:
    """`sign: CKR_TOKEN_NOT_PRESENT` says less to the person in the basement."""

    def sign(_: object) -> dict[str, object]:
        raise PyKCS11.PyKCS11Error(PyKCS11.CKR[name])

    with pytest.raises(TransientError, match=f"token-missing: .*{name}"):
        cryptoki._task(sign)({})
