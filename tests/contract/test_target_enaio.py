"""enaio as a target, against a fake of its DMS service (enaio_fake.py): no real one can be had here."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from daemon.codes import CODES
from daemon.document import new_id
from daemon.errors import (
    DaemonError,
    PermanentError,
    TargetDisagrees,
    TargetDuplicate,
    TransientError,
)
from daemon.targets import OWN_COPY_DAMAGED, About, Sending, split
from daemon.targets.enaio import EnaioTarget
from daemon.targetsections import EnaioSection
from daemon.words import LANGUAGES
from tests.contract.between import PASS, Asked, Between, Trick
from tests.contract.enaio_fake import PARENT, PASSWORD, TYPE, USER, Enaio
from tests.contract.onloop import OnLoop
from tests.contract.targets import LONGER_THAN_A_PIECE, NOW, TargetContract, put, sending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def enaio() -> Iterator[Enaio]:
    with Enaio() as server:
        yield server


def section(url: str, secret: Path, **changes: Any) -> EnaioSection:
    values = {
        "name": "dms",
        "kind": "enaio",
        "role": "dms",
        "url": url,
        "user": USER,
        "password": f"file:{secret}",
        "object_type": TYPE,
        "parent": PARENT,
        "id_field": "ScanId",
        "index_seconds": 5.0,
        **changes,
    }
    return EnaioSection(**values)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


@pytest.fixture
def target(enaio: Enaio, secret: Path) -> Iterator[Any]:
    """Give a target that waits for an index as long as it takes here."""
    target: Any = OnLoop(EnaioTarget(section(enaio.url, secret), None))
    target.server = enaio
    yield target
    target.end()


class TestEnaio(TargetContract):
    """The promises of every target, with the key in an index field."""

    @pytest.fixture
    def target(self, target: Any) -> Any:
        return target

    def held(self, target: Any, key: str) -> bytes | None:
        numbers = target.server.holding(key)
        assert len(numbers) <= 1
        return target.server.objects[numbers[0]].content if numbers else None

    def remove(self, target: Any, key: str) -> None:
        target.server.objects[target.server.holding(key)[0]].trashed = True

    def replace(self, target: Any, key: str, data: bytes) -> None:
        target.server.objects[target.server.holding(key)[0]].content = data


# -- what is sent ------------------------------------------------------------------------


@pytest.fixture
def dms(enaio: Enaio, secret: Path) -> Iterator[Any]:
    """Give a target whose patience with an index is short."""
    target = OnLoop(EnaioTarget(section(enaio.url, secret, index_seconds=0.3, **QUICK), None))
    yield target
    target.end()


QUICK = {"stall_seconds": 0.5, "connect_seconds": 5.0}
MAPPED = {
    "fields": {
        "Betreff": "profile",
        "Nummer": "number",
        "Stapel": "batch",
        "Erfasst": "captured_at",
        "Pruefsumme": "sealed_sha256",
        "Archiv": "archive_id",
        "system:OBJECT_RETENTION_PLANNED": "retain_until",
    },
    "superseded_field": "ErsetztDurch",
}


def told(key: str, file: Path, **facts: str) -> Sending:
    """Return *file* on its way, with what may be said of it."""
    return replace(sending(key, file), about=About(facts=facts))


def ask(work: Any) -> Any:
    return asyncio.run(work)


def failure(work: Any) -> DaemonError:
    """Return what *work* was refused with."""
    with pytest.raises((TransientError, PermanentError)) as caught:
        asyncio.run(work)
    assert isinstance(caught.value, TransientError | PermanentError)
    return caught.value


def doubtful(error: DaemonError) -> tuple[str, bool]:
    """Return the code of trouble that may pass, and whether the target may hold the document."""
    assert isinstance(error, TransientError)
    return error.code, error.in_doubt


def test_index_fields_are_filled_by_the_mapping(
    enaio: Enaio, secret: Path, key: str, sealed: Path
) -> None:
    """What is not known is left out: enaio then says itself whether it can do without."""
    mapped = section(enaio.url, secret, **MAPPED)
    del mapped.fields["system:OBJECT_RETENTION_PLANNED"]
    target = OnLoop(EnaioTarget(mapped, None))
    part = told(key, sealed, profile="post", number="0815", captured_at="2026-11-22T08:00:00.000Z")
    receipt = ask(target.put(part))
    target.end()

    assert enaio.inserted == [
        {
            "objects": [
                {
                    "properties": {
                        "system:objectTypeId": {"value": TYPE},
                        "system:parentId": {"value": PARENT},
                        "ScanId": {"value": key},
                        "Betreff": {"value": "post"},
                        "Nummer": {"value": "0815"},
                        "Erfasst": {"value": "2026-11-22T08:00:00.000Z"},
                    },
                    "contentStreams": [
                        {
                            "mimeType": "application/pdf",
                            "fileName": f"post-2026-11-22-{key[28:36]}.pdf",
                            "cid": "file",
                        }
                    ],
                }
            ]
        }
    ]
    assert receipt.detail == {"object_id": receipt.reference}


def test_a_replaced_document_is_marked_before_the_new_one_is_there(
    enaio: Enaio, secret: Path, key: str, sealed: Path
) -> None:
    """After a crash in between, what was found is not put again: the mark would never be made."""
    target = OnLoop(EnaioTarget(section(enaio.url, secret, **MAPPED), None))
    put(target, key, sealed)
    new = f"{new_id(NOW)}/sealed.pdf"
    (old,) = enaio.holding(key)
    enaio.locked = {old}
    part = told(new, sealed, supersedes=split(key)[0])

    assert doubtful(failure(target.put(part))) == ("enaio-locked", False)
    assert enaio.holding(new) == []
    enaio.locked = set()
    ask(target.put(part))
    target.end()
    assert enaio.objects[old].properties["ErsetztDurch"] == split(new)[0]
    assert len(enaio.holding(new)) == 1


def test_one_that_replaces_what_never_came_there_is_put_all_the_same(
    enaio: Enaio, secret: Path, key: str, sealed: Path
) -> None:
    """A refused scan has no object; the one that stands for it has."""
    target = OnLoop(EnaioTarget(section(enaio.url, secret, **MAPPED), None))
    ask(target.put(told(key, sealed, supersedes=new_id(NOW))))
    target.end()

    assert len(enaio.holding(key)) == 1


# -- answers that are lost, late or wrong ------------------------------------------------


def test_an_answer_lost_after_the_store_leaves_a_doubt_that_a_find_ends(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """The object is there: only a search may say so, never a second insert."""
    enaio.insert = enaio.stored_and_cut

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-unreachable", True)
    assert ask(dms.find(sending(key, sealed))).reference == enaio.holding(key)[0]
    assert enaio.posts() == 1


def test_an_insert_that_ends_after_we_gave_up_is_in_doubt_until_then(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """It is not there when we ask, and comes later: the engine waits for that."""
    enaio.insert = enaio.stored_late

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-unreachable", True)
    assert ask(dms.find(sending(key, sealed))) is None
    enaio.let_go()
    assert ask(dms.find(sending(key, sealed))) is not None


def test_an_index_that_lags_is_asked_again(
    enaio: Enaio, target: Any, key: str, sealed: Path
) -> None:
    """Not at once in the search is no failure."""
    enaio.lag = 3
    receipt = ask(target.put(sending(key, sealed)))

    assert [receipt.reference] == enaio.holding(key)
    assert enaio.posts() == 1


def test_an_index_that_lags_for_long_leaves_a_doubt(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """Nobody waits for ever; a find ends it once the index is there."""
    enaio.lag = 1_000_000

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-lags", True)
    assert ask(dms.find(sending(key, sealed))) is None
    enaio.show()
    assert ask(dms.find(sending(key, sealed))) is not None


def test_what_was_stored_twice_is_named(enaio: Enaio, dms: Any, key: str, sealed: Path) -> None:
    """A server's own retry: both numbers, so that a person finds them; nothing more is sent."""
    enaio.insert = enaio.stored_twice
    error = failure(dms.put(sending(key, sealed)))
    one, other = enaio.holding(key)

    assert isinstance(error, TargetDuplicate)
    assert f"objects {one}, {other}" in str(error)
    assert isinstance(failure(dms.find(sending(key, sealed))), TargetDuplicate)
    assert isinstance(failure(dms.put(sending(key, sealed))), TargetDuplicate)
    assert enaio.posts() == 1


def test_a_second_copy_that_appears_later_is_found_when_it_is_proven(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """The index showed the first one only."""
    receipt = ask(dms.put(sending(key, sealed)))
    enaio.store(replace(enaio.objects[receipt.reference]))

    assert isinstance(failure(dms.prove(receipt, sending(key, sealed))), TargetDuplicate)


def test_another_object_than_the_one_we_were_told_of_is_not_enough(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """Ours may yet appear beside it, and then there are two."""
    enaio.insert = enaio.stored_as_another

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-lags", True)


def test_500_for_one_document_leaves_a_doubt_about_that_one_only(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """The next one goes."""
    enaio.broken = frozenset({key})
    other = f"{new_id(NOW)}/sealed.pdf"

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-fails", True)
    assert ask(dms.put(sending(other, sealed))) is not None


def test_503_and_429_are_no_doubt_and_say_when(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """Nothing was taken: there is no need to wait for what may yet appear."""
    enaio.down = True
    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-busy", False)
    enaio.down, enaio.busy = False, "7"
    error = failure(dms.put(sending(key, sealed)))

    assert doubtful(error) == ("target-busy", False)
    assert isinstance(error, TransientError)
    assert error.retry_after == 7


@pytest.mark.parametrize(
    ("after", "doubt", "objects"), [(0, False, 0), (1, False, 0), (2, True, 1)]
)
def test_a_login_that_is_refused_in_the_middle(
    enaio: Enaio, dms: Any, key: str, sealed: Path, after: int, doubt: bool, objects: int
) -> None:
    """Before the insert nothing is there; behind it, it is, and has not been seen yet."""
    enaio.locked_out_after = after

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-login-refused", doubt)
    assert len(enaio.holding(key)) == objects


NONE = [None, "", "abc", "-1", "0", 0, -1, 1.5, True, "../1", 10**30, ["1"], {"value": "1"}]


@pytest.mark.parametrize("body", [{"error": "x"}, {"objects": []}, [], "ok", {"objects": [{}] * 2}])
def test_200_with_an_error_body_leaves_a_doubt(
    enaio: Enaio, dms: Any, key: str, sealed: Path, body: object
) -> None:
    """Nobody knows whether anything was stored; if it was, the search says so at once."""
    enaio.insert = enaio.answered(body, store=False)
    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-answer-unreadable", True)
    enaio.insert = enaio.answered(body, store=True)

    assert ask(dms.put(sending(key, sealed))).reference == enaio.holding(key)[0]


@pytest.mark.parametrize("number", NONE)
def test_a_number_that_is_none_leaves_a_doubt(
    enaio: Enaio, dms: Any, key: str, sealed: Path, number: object
) -> None:
    """It becomes part of an address: nothing but digits may."""
    body = {"objects": [{"properties": {"system:objectId": {"value": number}}}]}
    enaio.insert = enaio.answered(body, store=False)

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-answer-unreadable", True)


def test_200_and_nothing_stored_leaves_a_doubt(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """A receipt comes from what was read back, never from an answer."""
    body = {"objects": [{"properties": {"system:objectId": {"value": "2563"}}}]}
    enaio.insert = enaio.answered(body, store=False)

    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-lags", True)
    assert ask(dms.find(sending(key, sealed))) is None


@pytest.mark.parametrize("damage", [b"", b"%PDF-1.7", b"longer"])
def test_wrong_bytes_that_were_stored_are_found_out(
    enaio: Enaio, dms: Any, key: str, sealed: Path, damage: bytes
) -> None:
    """A person looks at it: nothing is deleted, nothing is sent beside it."""
    content = sealed.read_bytes() + damage if damage == b"longer" else damage
    enaio.insert = enaio.stored_with(content)

    assert isinstance(failure(dms.put(sending(key, sealed))), TargetDisagrees)
    assert isinstance(failure(dms.put(sending(key, sealed))), TargetDisagrees)
    assert enaio.posts() == 1


def test_an_object_without_content_is_a_disagreement(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """Its index data were stored, its file was not; for a moment that may be so."""
    ask(dms.put(sending(key, sealed)))
    enaio.objects[enaio.holding(key)[0]].content = None

    error = failure(dms.find(sending(key, sealed)))
    assert isinstance(error, TargetDisagrees)
    assert "no content" in str(error)


@pytest.mark.parametrize("path", ["/api/dms/objects", "/api/dms/objects/search", "/contents/file"])
def test_an_answer_that_is_cut_off_proves_nothing(
    enaio: Enaio, dms: Any, key: str, sealed: Path, path: str
) -> None:
    """In doubt once the insert has left us; then a find ends it."""
    enaio.cut(path)
    code, doubt = doubtful(failure(dms.put(sending(key, sealed))))

    assert (code, doubt) == ("target-unreachable", path != "/api/dms/objects/search")
    enaio.cut("")
    assert (ask(dms.find(sending(key, sealed))) is not None) is doubt


def test_a_file_that_ends_with_the_connection_may_be_cut_off(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """No length was announced: shorter than ours may be another file, or half of it."""
    receipt = ask(dms.put(sending(key, sealed)))
    enaio.unframed = True

    for work in (dms.find(sending(key, sealed)), dms.prove(receipt, sending(key, sealed))):
        assert doubtful(failure(work)) == ("target-answer-unreadable", False)


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_a_page_in_place_of_the_file_is_no_disagreement(
    enaio: Enaio, dms: Any, key: str, sealed: Path, kind: str
) -> None:
    """A portal has answered: that says nothing about the document."""
    receipt = ask(dms.put(sending(key, sealed)))
    enaio.says("/contents/file", b"Wartung", kind)

    for work in (dms.find(sending(key, sealed)), dms.prove(receipt, sending(key, sealed))):
        assert doubtful(failure(work)) == ("target-answer-unreadable", False)


FOUND = {"system:objectId": {"value": "5"}, "ScanId": {"value": "another"}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"objects": {}}',
        b'{"objects": [1]}',
        b'{"objects": [{"properties": []}]}',
        b'{"objects": [], "failed": [{"message": "x"}]}',
        b'{"objects": [{"properties": {"system:objectId": {"value": "5"}}}]}',
        json.dumps({"objects": [{"properties": FOUND}]}).encode(),
        b'{"objects": [' + b" " * (2 << 20) + b"]}",
        b"[" * 100_000,
    ],
)
def test_a_search_that_nobody_understands_never_says_that_nothing_is_there(
    enaio: Enaio, dms: Any, key: str, sealed: Path, body: bytes
) -> None:
    """None is the one answer after which something is sent."""
    enaio.says("/api/dms/objects/search", body, "application/json")

    assert doubtful(failure(dms.find(sending(key, sealed)))) == ("target-answer-unreadable", False)
    assert doubtful(failure(dms.put(sending(key, sealed)))) == ("target-answer-unreadable", False)
    assert enaio.posts() == 0


# -- refusals ----------------------------------------------------------------------------


def refusing(enaio: Enaio, what: str) -> dict[str, Any]:
    """Have the server refuse; return what is configured for that."""
    match what:
        case "parent":
            return {"parent": "99"}
        case "field":
            return {"fields": {"Unbekannt": "profile"}}
        case "long":
            return {"fields": {"Nummer": "organisation"}}
        case "mandatory":
            enaio.mandatory = frozenset({"Betreff"})
        case "large":
            enaio.largest = 1000
        case "conflict":
            enaio.unique = True
            enaio.lag = 1_000_000
        case "type":
            return {"object_type": "Gibtsnicht"}
        case "id":
            return {"id_field": "Gibtsnicht"}
    return {}


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("parent", "enaio-parent-missing"),
        ("field", "enaio-fields-refused"),
        ("long", "enaio-fields-refused"),
        ("mandatory", "enaio-fields-refused"),
        ("large", "target-too-large"),
        ("type", "enaio-search-refused"),
        ("id", "enaio-search-refused"),
    ],
)
def test_a_refusal_says_what_to_mend_in_both_languages(
    enaio: Enaio, secret: Path, key: str, sealed: Path, what: str, code: str
) -> None:
    """Somebody reads it at 3 a.m.; nothing was stored."""
    more = refusing(enaio, what)
    target = OnLoop(EnaioTarget(section(enaio.url, secret, index_seconds=0.3, **more), None))
    part = told(key, sealed, profile="post", organisation="Stadt Leipzig, Marktamt")
    error = failure(target.put(part))
    target.end()

    assert isinstance(error, PermanentError)
    assert error.code == code
    assert all(CODES[code].text(language).remedy for language in LANGUAGES)
    assert enaio.holding(key) == []
    assert PASSWORD not in str(error)


def test_a_unique_field_that_refuses_a_second_copy_is_answered_by_looking(
    enaio: Enaio, target: Any, key: str, sealed: Path
) -> None:
    """The first search lagged: what is refused there is what was wanted."""
    enaio.unique = True
    put(target, key, sealed)
    enaio.objects[enaio.holding(key)[0]].hidden = 1
    receipt = ask(target.put(sending(key, sealed)))

    assert [receipt.reference] == enaio.holding(key)
    assert enaio.posts() == 2


def test_a_conflict_that_nobody_can_see_is_a_persons(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """It lies in the recycle bin, or our user may not see it."""
    enaio.unique = True
    put(dms, key, sealed)
    enaio.objects[enaio.holding(key)[0]].hidden = 1_000_000

    error = failure(dms.put(sending(key, sealed)))
    assert isinstance(error, PermanentError)
    assert error.code == "enaio-conflict"


# -- what clerks do ------------------------------------------------------------------------


def test_a_key_that_was_changed_is_no_proof_and_no_absence(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """The object is there, and nobody who looks for the document finds it."""
    receipt = ask(dms.put(sending(key, sealed)))
    enaio.objects[receipt.reference].properties["ScanId"] = "X"

    error = failure(dms.prove(receipt, sending(key, sealed)))
    assert isinstance(error, TargetDisagrees)
    assert f"object {receipt.reference} is there" in str(error)


def test_a_key_that_stands_at_another_object_now_is_no_proof(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """The one of the receipt is still there, and is not what people find."""
    receipt = ask(dms.put(sending(key, sealed)))
    enaio.store(replace(enaio.objects[receipt.reference]))
    enaio.objects[receipt.reference].properties = {"ScanId": "X"}

    assert isinstance(failure(dms.prove(receipt, sending(key, sealed))), TargetDisagrees)


def test_damage_on_our_side_is_told_whatever_enaio_says_then(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """Nothing is asked any more: a login that is refused then must not hide it."""
    part = sending(key, sealed)
    sealed.write_bytes(sealed.read_bytes()[:-1] + b"!")
    enaio.locked_out_after = 2

    error = failure(dms.put(part))
    assert isinstance(error, PermanentError)
    assert error.code == OWN_COPY_DAMAGED


def test_what_was_put_there_anew_is_not_the_object_of_the_receipt(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """A clerk has deleted it and somebody stored it again: a person decides, and then it is found."""
    receipt = ask(dms.put(sending(key, sealed)))
    copy = replace(enaio.objects[receipt.reference])
    enaio.objects[receipt.reference].trashed = True
    number = enaio.store(copy)

    assert ask(dms.prove(receipt, sending(key, sealed))) is None
    assert ask(dms.find(sending(key, sealed))).reference == number


@pytest.mark.parametrize("reference", ["", "../4711", "42/contents", "archive/x"])
def test_a_receipt_of_another_kind_of_target_leads_to_no_address(
    enaio: Enaio, dms: Any, key: str, sealed: Path, reference: str
) -> None:
    """A target of that name may have been a folder once."""
    receipt = replace(ask(dms.put(sending(key, sealed))), reference=reference)
    before = len(enaio.asked)

    assert isinstance(failure(dms.prove(receipt, sending(key, sealed))), TargetDisagrees)
    assert len(enaio.asked) == before


def test_what_is_removed_lies_in_the_recycle_bin(
    enaio: Enaio, dms: Any, key: str, sealed: Path
) -> None:
    """Only the very object, and only while it is what we put there."""
    receipt = ask(dms.put(sending(key, sealed)))
    ask(dms._there(lambda: dms.inner.remove(receipt, sending(key, sealed))))

    assert enaio.objects[receipt.reference].trashed
    assert ask(dms.find(sending(key, sealed))) is None


# -- the fake is strict --------------------------------------------------------------------

GOOD_DATA: dict[str, Any] = {
    "properties": {
        "system:objectTypeId": {"value": TYPE},
        "system:parentId": {"value": PARENT},
        "ScanId": {"value": "x"},
    },
    "contentStreams": [{"mimeType": "application/pdf", "fileName": "a.pdf", "cid": "c"}],
}


async def inserted(enaio: Enaio, data: object, cid: str = "c") -> tuple[int, str]:
    """Insert by hand; return what was answered."""
    form = aiohttp.FormData()
    form.add_field("data", json.dumps(data), content_type="application/json")
    form.add_field(cid, b"%PDF", filename="a.pdf", content_type="application/pdf")
    known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Basic {known}"}) as session,
        session.post(f"{enaio.url}/api/dms/objects", data=form) as answer,
    ):
        return answer.status, await answer.text()


def changed(**more: Any) -> dict[str, Any]:
    return {"objects": [{**GOOD_DATA, **more}]}


def with_field(name: str, entry: object) -> dict[str, Any]:
    return changed(properties={**GOOD_DATA["properties"], name: entry})


def without(name: str) -> dict[str, Any]:
    left = {key: entry for key, entry in GOOD_DATA["properties"].items() if key != name}
    return changed(properties=left)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (changed(), 200),
        (changed(options={"ARCHIVABLE": 1, "ARCHIVEIMMEDIATELY": 0}), 200),
        (changed(options={"ARCHIVABLE": 2}), 400),
        (changed(options={"ARCHIVABLE": True}), 400),
        (changed(options={"ARCHIVABLE": "1"}), 400),
        (changed(options={"CHECKACCESS": 0}), 400),
        (changed(contentStreams=[]), 400),
        (changed(contentStreams=[{**GOOD_DATA["contentStreams"][0], "fileName": "a/b.pdf"}]), 400),
        (changed(contentStreams=[{**GOOD_DATA["contentStreams"][0], "cid": "d"}]), 400),
        (changed(contentStreams=[{**GOOD_DATA["contentStreams"][0], "length": 5}]), 400),
        (changed(properties={}), 400),
        (changed(strange=1), 400),
        ({"objects": []}, 400),
        ({**changed(), "strange": 1}, 400),
        ([], 400),
        (with_field("Unbekannt", {"value": "x"}), 422),
        (with_field("Betreff", {"value": 5}), 400),
        (with_field("Betreff", "x"), 400),
        (with_field("Betreff", {"value": "x", "strange": 1}), 400),
        (with_field("Nummer", {"value": "x" * 21}), 422),
        (without("system:objectTypeId"), 422),
        (without("system:parentId"), 404),
    ],
)
def test_the_fake_takes_what_is_documented_and_nothing_else(
    enaio: Enaio, data: object, status: int
) -> None:
    """A fake that takes anything would prove nothing about the adapter."""
    said, body = ask(inserted(enaio, data))

    assert said == status, body
    assert len(enaio.objects) == (status == 200)


# -- a network between us ------------------------------------------------------------------


def between(enaio: Enaio, secret: Path, trick: Trick) -> tuple[Between, OnLoop]:
    """Return a network that plays *trick* on inserts, and a target behind it."""

    def played(asked: Asked) -> Trick:
        return trick if (asked.method, asked.path) == ("POST", "/api/dms/objects") else PASS

    network = Between(enaio.url, played)
    settings = section(network.url, secret, index_seconds=0.3, **QUICK)
    return network, OnLoop(EnaioTarget(settings, None))


@pytest.mark.parametrize("count", [0, 1, 100, 1_000, 500_000, LONGER_THAN_A_PIECE])
def test_an_insert_that_is_cut_off_stores_nothing_and_is_in_doubt(
    enaio: Enaio, secret: Path, key: str, sealed: Path, count: int
) -> None:
    """Half a form is no object; but nobody here can know how much of it came through."""
    network, target = between(enaio, secret, Trick(cut_request=count))
    with network:
        code, doubt = doubtful(failure(target.put(sending(key, sealed))))
        assert (code, doubt) == ("target-unreachable", True)
        assert ask(target.find(sending(key, sealed))) is None
        target.end()
    assert enaio.objects == {}


@pytest.mark.parametrize("count", [0, 1, 20, 100, 250])
def test_an_answer_that_is_cut_off_anywhere_is_in_doubt_and_found(
    enaio: Enaio, secret: Path, key: str, sealed: Path, count: int
) -> None:
    """It has been stored each time."""
    network, target = between(enaio, secret, Trick(cut_answer=count))
    with network:
        assert doubtful(failure(target.put(sending(key, sealed)))) == ("target-unreachable", True)
        assert ask(target.find(sending(key, sealed))).reference == enaio.holding(key)[0]
        target.end()
    assert enaio.posts() == 1


def test_a_proxy_that_repeats_the_insert_is_found_out(
    enaio: Enaio, secret: Path, key: str, sealed: Path
) -> None:
    """No receipt while there are two; with a unique field the second one is refused."""
    network, target = between(enaio, secret, Trick(times=2))
    with network:
        assert isinstance(failure(target.put(sending(key, sealed))), TargetDuplicate)
        enaio.unique = True
        other = f"{new_id(NOW)}/sealed.pdf"
        receipt = ask(target.put(sending(other, sealed)))
        target.end()
    assert [receipt.reference] == enaio.holding(other)
