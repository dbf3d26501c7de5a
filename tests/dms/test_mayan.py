"""Mayan as a target: what every target promises, and what only a real Mayan can get wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from contrib.mayan import office
from daemon.errors import TargetDuplicate, TransientError
from daemon.targets import About, Sending, split
from tests.contract.between import PASS, Asked, Between, Trick
from tests.contract.targets import TargetContract, put, sending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from daemon.targets import Target
    from tests.dms.desk import Desk

FACTS = {
    "batch": "Montag 7",
    "number": "0042",
    "operator": "K 17",
    "captured_at": "2026-11-22T10:00:00Z",
    "sealed_at": "2026-11-22T10:00:05Z",
}
UPLOAD = "/api/v4/documents/upload/"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def told(key: str, file: Path) -> Sending:
    """Return *file* on its way, with what a box knows of it."""
    return replace(sending(key, file), about=About(facts=FACTS))


def once(method: str, path: str, trick: Trick) -> Callable[[Asked], Trick]:
    """Return what plays *trick* on the first request of that kind."""
    left = [trick]

    def play(asked: Asked) -> Trick:
        if left and (asked.method, asked.path.partition("?")[0]) == (method, path):
            return left.pop()
        return PASS

    return play


class TestMayan(TargetContract):
    """A real Mayan on loopback."""

    @pytest.fixture
    def target(self, desk: Desk) -> Target:
        self.desk = desk
        return desk.target()

    def held(self, target: Target, key: str) -> bytes | None:  # noqa: ARG002
        found = self.desk.stored(key)
        assert len(found) < 2
        return found[0].read_bytes() if found else None

    def remove(self, target: Target, key: str) -> None:  # noqa: ARG002
        (number,) = self.desk.numbers(key)
        self.desk.trash(number)

    def replace(self, target: Target, key: str, data: bytes) -> None:  # noqa: ARG002
        (path,) = self.desk.stored(key)
        path.write_bytes(data)


def test_a_document_has_its_metadata_and_lies_in_its_cabinet(
    desk: Desk, key: str, sealed: Path
) -> None:
    """What a clerk looks for: number, batch, who, when; and the key that we look for."""
    receipt = run(desk.target().put(told(key, sealed)))

    (number,) = desk.numbers(key)
    assert desk.metadata(number) == {
        "scanseal_key": key,
        "scanseal_id": split(key)[0],
        "stapel": "Montag 7",
        "nummer": "0042",
        "gescannt_von": "K 17",
        "gescannt_am": "2026-11-22T10:00:00Z",
        "gesiegelt_am": "2026-11-22T10:00:05Z",
    }
    assert desk.cabinets(number) == [desk.office.cabinet_id]
    assert receipt.detail["object_id"] == str(number)


def test_a_token_is_as_good_as_a_password(desk: Desk, key: str, sealed: Path) -> None:
    """It is what an administrator gives to a service."""
    secret = desk.secret.with_name("token")
    secret.write_text(office.token(desk.server.admin(), office.USER, desk.office.password))
    target = desk.target(user="", password=f"file:{secret}")

    assert run(target.put(sending(key, sealed))).grade == "bytes"


def test_a_wrong_password_is_said_as_one_and_nothing_is_stored(
    desk: Desk, key: str, sealed: Path
) -> None:
    """It is no trouble of the document."""
    secret = desk.secret.with_name("wrong")
    secret.write_text("wrong")

    with pytest.raises(TransientError) as caught:
        put(desk.target(password=f"file:{secret}"), key, sealed)
    assert (caught.value.code, caught.value.in_doubt) == ("target-login-refused", False)
    assert desk.numbers(key) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"document_type": "Rechnung"},
        {"cabinets": ("Keller",)},
        {"key_type": "unknown"},
        {"metadata": {"unknown": "number"}},
    ],
)
def test_what_the_configuration_names_and_mayan_lacks_is_said(
    desk: Desk, key: str, sealed: Path, wrong: dict[str, Any]
) -> None:
    """Before a document without its metadata lies there."""
    with pytest.raises(TransientError) as caught:
        put(desk.target(**wrong), key, sealed)
    assert (caught.value.code, caught.value.in_doubt) == ("target-lacks", False)
    assert desk.numbers(key) == []


@pytest.mark.parametrize("cut", [300, 1_000, 600_000, 1_060_000])
def test_an_upload_that_breaks_off_leaves_nothing(
    desk: Desk, key: str, sealed: Path, cut: int
) -> None:
    """And whoever asks learns that it is not there: the type of the document is sent last."""
    trick = once("POST", UPLOAD, Trick(cut_request=cut))
    with Between(desk.server.url, trick) as between:
        with pytest.raises(TransientError) as caught:
            put(desk.target(url=f"{between.url}/api/v4"), key, sealed)
        assert caught.value.in_doubt

    assert desk.numbers(key) == []
    assert run(desk.target().find(sending(key, sealed))) is None


def test_an_answer_that_is_lost_after_the_store_is_found_again_and_completed(
    desk: Desk, key: str, sealed: Path
) -> None:
    """The document lies there without its metadata; who asks for it finds and completes it."""
    trick = once("POST", UPLOAD, Trick(cut_answer=0))
    with Between(desk.server.url, trick) as between:
        with pytest.raises(TransientError) as caught:
            put(desk.target(url=f"{between.url}/api/v4"), key, sealed)
        assert caught.value.in_doubt
    (number,) = desk.numbers(key)
    assert desk.metadata(number) == {}

    receipt = run(desk.target().find(told(key, sealed)))

    assert receipt.detail["object_id"] == str(number)
    assert desk.metadata(number)["scanseal_key"] == key
    assert desk.metadata(number)["nummer"] == "0042"
    assert desk.cabinets(number) == [desk.office.cabinet_id]
    assert run(desk.target().put(told(key, sealed))).reference == receipt.reference
    assert desk.numbers(key) == [number]


def test_a_crash_in_the_middle_of_the_metadata_leads_to_no_second_document(
    desk: Desk, key: str, sealed: Path
) -> None:
    """The third of our metadata is never answered; a new process goes on."""
    seen = 0

    def third(asked: Asked) -> Trick:
        nonlocal seen
        seen += asked.method == "POST" and asked.path.endswith("/metadata/")
        return Trick(cut_request=0) if seen >= 3 else PASS

    with Between(desk.server.url, third) as between:
        with pytest.raises(TransientError) as caught:
            run(desk.target(url=f"{between.url}/api/v4").put(told(key, sealed)))
        assert caught.value.in_doubt
    (number,) = desk.numbers(key)
    assert len(desk.metadata(number)) == 2

    run(desk.target().put(told(key, sealed)))

    assert desk.numbers(key) == [number]
    assert len(desk.metadata(number)) == 7


def test_what_a_person_wrote_over_there_stays(desk: Desk, key: str, sealed: Path) -> None:
    """Also if label and description are others: the key is found by its metadata."""
    run(desk.target().put(told(key, sealed)))
    (number,) = desk.numbers(key)
    admin = desk.server.admin()
    words = {"label": "Brief", "description": "von Frau K."}
    admin.data("PATCH", f"/documents/{number}/", words)
    (own,) = [
        entry["id"]
        for entry in admin.results(f"/documents/{number}/metadata/")
        if entry["metadata_type"]["name"] == "nummer"
    ]
    admin.data("PATCH", f"/documents/{number}/metadata/{own}/", {"value": "0043"})

    receipt = run(desk.target().find(told(key, sealed)))

    assert receipt.detail["object_id"] == str(number)
    assert desk.metadata(number)["nummer"] == "0043"


def test_what_is_there_twice_is_said_and_never_sent_again(
    desk: Desk, key: str, sealed: Path
) -> None:
    """A proxy that repeats a request: which one goes is for a person to say."""
    trick = once("POST", UPLOAD, Trick(times=2))
    with Between(desk.server.url, trick) as between, pytest.raises(TargetDuplicate):
        put(desk.target(url=f"{between.url}/api/v4"), key, sealed)

    with pytest.raises(TargetDuplicate) as caught:
        run(desk.target().find(sending(key, sealed)))
    assert all(str(number) in str(caught.value) for number in desk.numbers(key))
    assert len(desk.numbers(key)) == 2


def test_a_killed_server_is_in_doubt_and_goes_on_after_its_restart(
    desk: Desk, key: str, sealed: Path
) -> None:
    """Killed once it had half of the file; nothing is there, and the next try is the only one."""
    trick = once("POST", UPLOAD, Trick(cut_request=500_000, then=desk.server.kill))
    try:
        with Between(desk.server.url, trick) as between:
            target = desk.target(url=f"{between.url}/api/v4")
            with pytest.raises(TransientError) as caught:
                put(target, key, sealed)
            assert caught.value.in_doubt
            with pytest.raises(TransientError):
                run(target.find(sending(key, sealed)))
            desk.server.start()
            assert run(target.find(sending(key, sealed))) is None
            put(target, key, sealed)
    finally:
        if not desk.server.answers():
            desk.server.start()
    assert len(desk.numbers(key)) == 1


def test_a_search_index_that_lags_is_waited_for_and_then_in_doubt(
    desk: Desk, key: str, sealed: Path
) -> None:
    """Found by its number and among the newest, but whether it is there twice only the index says."""

    def behind(asked: Asked) -> Trick:
        if "/search/" in asked.path:
            return Trick(status=200, body=b'{"count": 0, "next": null, "results": []}')
        return PASS

    with Between(desk.server.url, behind) as between:
        target = desk.target(url=f"{between.url}/api/v4", seen_seconds=8.0)
        with pytest.raises(TransientError) as caught:
            put(target, key, sealed)
        assert (caught.value.code, caught.value.in_doubt) == ("target-hides", True)
        assert run(target.find(sending(key, sealed))) is not None
    assert len(desk.numbers(key)) == 1


def test_who_may_no_longer_see_a_document_does_not_send_it_again(
    desk: Desk, key: str, sealed: Path
) -> None:
    """Mayan answers 404 for what may not be seen: that is not the same as gone."""

    def hide(asked: Asked) -> Trick:
        uploaded = any(one.path == UPLOAD for one in between.seen)
        if uploaded and asked.path != UPLOAD and asked.path.split("/")[3] != "document_types":
            empty = b'{"count": 0, "next": null, "results": []}'
            lists = ("/search/", "/created/", "/cabinets/")
            if any(part in asked.path for part in lists):
                return Trick(status=200, body=empty)
            return Trick(status=404)
        return PASS

    with Between(desk.server.url, hide) as between:
        target = desk.target(url=f"{between.url}/api/v4", seen_seconds=2.0)
        for _ in range(2):
            with pytest.raises(TransientError) as caught:
                put(target, key, sealed)
            assert (caught.value.code, caught.value.in_doubt) == ("target-hides", True)
    assert len(desk.numbers(key)) == 1


def test_a_proof_of_what_was_deleted_or_restored(desk: Desk, key: str, sealed: Path) -> None:
    """In the trash it is gone; taken out of it, it is the very same; deleted, it is gone."""
    target = desk.target()
    receipt = run(target.put(sending(key, sealed)))
    number = int(receipt.detail["object_id"])
    admin = desk.server.admin()
    desk.trash(number)
    assert run(target.prove(receipt, sending(key, sealed))) is None
    admin.data("POST", f"/trashed_documents/{number}/restore/")
    again = run(target.prove(receipt, sending(key, sealed)))
    assert again is not None
    assert replace(again, proved_at=receipt.proved_at) == receipt
    desk.trash(number)
    admin.data("DELETE", f"/trashed_documents/{number}/")
    assert run(target.prove(receipt, sending(key, sealed))) is None


def test_a_second_file_that_a_clerk_adds_does_not_disturb_the_proof(
    desk: Desk, key: str, sealed: Path
) -> None:
    """Ours is the first one, and it is asked for by its own number."""
    target = desk.target()
    receipt = run(target.put(sending(key, sealed)))
    number = int(receipt.detail["object_id"])
    desk.add_file(number, b"%PDF-1.7 with a remark")
    assert len(desk.stored(key)) == 2

    assert run(target.prove(receipt, sending(key, sealed))).reference == receipt.reference
    assert run(target.find(sending(key, sealed))).reference == receipt.reference


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"results": 1}',
        b'{"results": [1]}',
        b'{"results": [{"id": "1", "label": "Posteingang"}]}',
        b'{"results": [{"id": 1, "label": null}]}',
        b"<html>",
        b" " * (2 << 20),
    ],
)
def test_an_answer_of_another_form_is_none(desk: Desk, key: str, sealed: Path, body: bytes) -> None:
    """A login page of a proxy, a list of another kind, one without an end."""
    with Between(desk.server.url, lambda _: Trick(status=200, body=body)) as between:
        target = desk.target(url=f"{between.url}/api/v4")
        with pytest.raises(TransientError) as caught:
            run(target.find(sending(key, sealed)))
        assert caught.value.code == "target-answer-unreadable"


@pytest.mark.parametrize("body", [b"{}", b'{"id": true}', b'{"id": -1}', b'{"id": "7"}', b"no"])
def test_an_upload_with_an_answer_of_another_form_is_in_doubt(
    desk: Desk, key: str, sealed: Path, body: bytes
) -> None:
    """It was stored, and we do not know as what; the next question finds it."""
    trick = once("POST", UPLOAD, Trick(status=201, body=body))
    with Between(desk.server.url, trick) as between, pytest.raises(TransientError) as caught:
        put(desk.target(url=f"{between.url}/api/v4"), key, sealed)
    assert caught.value.in_doubt
    assert run(desk.target().find(sending(key, sealed))) is not None
    assert len(desk.numbers(key)) == 1
