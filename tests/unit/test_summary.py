"""What the commands say on a terminal: what comes first, and what to do about each thing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from daemon import summary
from daemon.codes import CODES
from daemon.document import DeliveryState, State


def snapshot(**other: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "at": "2026-11-22T12:00:00.000Z",
        "box": "demo",
        "all_well": False,
        "records_readable": True,
        "safe_to_unplug": False,
        "unproven": 4,
        "alarms": [],
        "attention": ["documents-refused"],
        "documents": {"refused": 4, "filed": 0},
        "unstamped": 0,
        "oldest_unstamped": None,
        "missing": [],
        "targets": [],
        "token": {"label": "scanseal", "state": "ready", "code": ""},
        "certificate": None,
        "ledger": {"seq": 7, "hash": "a" * 64},
    }
    return {**found, **other}


def answer(**other: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "scans": [],
        "waiting": [],
        "missing": [],
        "searched": 0,
        "complete": True,
    }
    return {**found, **other}


SCAN = {
    "id": "019ab2c3-d4e5-7f60-8a1b-2c3d4e5f6071",
    "at": "2026-07-22T12:00:05.000Z",
    "hotfolder": "post",
    "name": "scan.pdf",
    "state": "filed",
    "code": "",
    "where": "liegt im DMS und im Archiv",
    "resembles": "",
}


@pytest.mark.parametrize("language", ["de", "en"])
def test_whatever_needs_a_person_has_its_remedy(language: str) -> None:
    """Refused documents raise no alarm, and still somebody has to do something."""
    text = summary.render(snapshot(), language)

    assert CODES["documents-refused"].text(language).remedy in text
    assert {"de": "zurückgewiesen 4", "en": "refused 4"}[language] in text
    assert {"de": "abgelegt", "en": "filed"}[language] not in text


@pytest.mark.parametrize(
    ("n", "language", "line"),
    [
        (1, "de", "1 gesiegeltes Dokument wartet auf seinen Zeitstempel (seit 22.11.2026 12:30)"),
        (3, "en", "3 sealed documents wait for their time stamps (since 2026-11-22 12:30)"),
    ],
)
def test_what_waits_for_a_time_stamp_is_told_with_since_when(
    n: int, language: str, line: str
) -> None:
    """An authority that has been away for days shows in nothing else as long as nobody waits."""
    oldest = {"id": SCAN["id"], "since": "2026-11-22T11:30:00.000Z"}
    said = snapshot(unstamped=n, oldest_unstamped=oldest)

    assert line in summary.render(said, language, "Europe/Berlin").splitlines()
    assert "seit" not in summary.render(snapshot(), "de")


def test_one_document_is_one_document() -> None:
    """A 1 in a plural reads like a program."""
    text = summary.render(snapshot(unproven=1), "de")

    assert "1 Dokument ist" in text


def test_records_that_cannot_be_read_are_said_before_any_number() -> None:
    """The numbers are zeros then, and would say that the box may go."""
    text = summary.render(snapshot(records_readable=False, unproven=0), "en")

    assert "cannot be read" in text
    assert "0 documents" not in text


def test_german_has_no_english_state_and_no_time_of_another_zone() -> None:
    """Every state of documents, deliveries and the token, and the times, as the page has them."""
    text = summary.render(
        snapshot(
            documents=dict.fromkeys(State, 2),
            targets=[
                {
                    "name": "dms",
                    "role": "dms",
                    "deliveries": dict.fromkeys(DeliveryState, 3),
                    "last_success": "2026-07-22T22:30:00.000Z",
                }
            ],
            alarms=[
                {
                    "code": "disk-full",
                    "instance": "",
                    "since": "2026-11-22T23:30:00.000Z",
                    "detail": "",
                }
            ],
            token={"label": "siegel", "state": "needs-person", "code": "pin-rejected"},
            certificate={
                "subject": "CN=Siegel",
                "days_left": -1,
                "qualified": "qualified-not-checked",
                "algorithm": "rsa-pkcs1v15-sha256",
                "recommended_until": "",
                "remarks": ["padding-legacy"],
            },
        ),
        "de",
        "Europe/Berlin",
    )
    english = {*State, *DeliveryState, "ready", "needs-person", "unavailable", "proof", "target"}

    assert not set(re.findall(r"[\w-]+", text)) & (english - {"dms"})
    assert "23.11.2026 00:30" in text
    assert "23.07.2026 00:30" in text
    assert "abgelaufen" in text
    assert "Z" not in re.sub(r"[A-Z][a-zü]+", "", text)


def test_scans_are_told_with_the_time_of_the_wall_and_what_to_ask_with() -> None:
    """The newest first, as they come; the digits are those that other commands take."""
    other = {**SCAN, "id": "", "name": "wartet.pdf", "where": "noch nicht abgeholt: leer"}
    text = summary.arrived(answer(scans=[SCAN], waiting=[other]), "de", "Europe/Berlin")

    assert "22.07.2026 14:00:05  post  4e5f6071  scan.pdf " in text
    assert text.index("wartet.pdf") < text.index("scan.pdf")
    assert "liegt im DMS und im Archiv" in text


def test_a_suggestion_comes_with_its_command() -> None:
    """Nobody has to put it together at the keyboard."""
    old = "019ab2c3-0000-7f60-8a1b-2c3d11111111"
    text = summary.arrived(answer(scans=[{**SCAN, "resembles": old}]), "en")

    assert "may replace 11111111: scanseal supersede 11111111 4e5f6071" in text


def test_numbers_that_never_came_are_told_first() -> None:
    """They are the scans that nobody sees in the list."""
    missing = {"hotfolder": "post", "subfolder": "anna", "number": "0042"}
    text = summary.arrived(answer(scans=[SCAN], missing=[missing]), "en")

    assert text.startswith("Numbers that never arrived:\n  post/anna: 0042\n")


def test_nothing_found_says_how_far_was_looked() -> None:
    """To be nowhere, and not to be among the last ten thousand, are two answers."""
    assert summary.arrived(answer(searched=10_000), "de") == "Kein Scan gefunden.\n"
    text = summary.arrived(answer(searched=10_000, complete=False), "de")
    assert text == "Kein Scan gefunden; durchgesehen wurden die letzten 10.000.\n"


@pytest.mark.parametrize(("language", "words"), [("de", "nie ankamen"), ("en", "never arrived")])
def test_numbers_that_never_arrived_are_told_with_their_folder(language: str, words: str) -> None:
    """The first of them as the scanner writes them, and how many there are."""
    missing = [{"hotfolder": "post", "count": 23, "numbers": ["0042", "0043"]}]
    text = summary.render(snapshot(missing=missing), language)
    (line,) = [line for line in text.splitlines() if line.startswith("post")]

    assert words in line
    assert line.endswith(": 0042, 0043, … (23)")
