"""A bucket with Object Lock as a target, in a real store (SeaweedFS), and in one that lies (moto)."""

from __future__ import annotations

import asyncio
import base64
import http.client
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from moto.server import ThreadedMotoServer

from contrib.demo.archives import BucketArchive
from contrib.demo.seaweed import SeaweedFS
from daemon import ledger
from daemon.document import Digest, new_id
from daemon.errors import PermanentError, TargetDisagrees, TargetDuplicate, TransientError
from daemon.targets import OWN_COPY_DAMAGED, About, Sending
from daemon.targets.element import parsed
from daemon.targets.s3 import S3Target
from daemon.targetsections import S3Section
from tests.contract.between import PASS, Asked, Between, Trick
from tests.contract.onloop import OnLoop
from tests.contract.targets import TargetContract, facts, put, sending
from tests.system.fixtures import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from daemon.document import Receipt
    from daemon.targets import Target

PROJECT = Path(__file__).resolve().parents[2]
PART = 5 << 20
"""The least that S3 takes as a part that is not the last one."""
SOON = timedelta(days=2)


def now() -> datetime:
    return datetime.now(UTC)


def section(store: SeaweedFS, **changes: Any) -> S3Section:
    """Return the configuration of a target in *store*, as the box may use it."""
    values = {
        "name": "archive",
        "kind": "s3",
        "role": "archive",
        "url": store.url,
        "user": store.box.name,
        "password": f"file:{store.secret}",
        "bucket": BUCKET,
        "part_mb": 5,
        **changes,
    }
    return S3Section(**values)


OPENED: list[OnLoop] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Close every target that the test has made."""
    yield
    while OPENED:
        OPENED.pop().end()


def target_in(store: SeaweedFS, shift: timedelta | None = None, **changes: Any) -> OnLoop:
    ahead = shift or timedelta()
    return target_of(section(store, **changes), lambda: now() + ahead)


def target_of(section: S3Section, clock: Callable[[], datetime]) -> OnLoop:
    OPENED.append(OnLoop(S3Target(section, None, clock)))
    return OPENED[-1]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def locked(key: str, file: Path, lasts: timedelta = SOON) -> Sending:
    """Return *file* on its way, to be kept for so long."""
    return replace(sending(key, file), about=About(retain_until=now() + lasts))


# -- what the store really holds, asked with all rights ------------------------------------


def versions(store: SeaweedFS, key: str) -> list[str]:
    """Return the ids of all versions, the newest first."""
    return listed(store, key, "Version")


def listed(store: SeaweedFS, key: str, what: str) -> list[str]:
    status, _, body = store.asked("GET", BUCKET, {"versions": "", "prefix": key})
    assert status == 200
    return [one.said("VersionId") for one in parsed(body).all(what) if one.said("Key") == key]


def uploads(store: SeaweedFS, key: str) -> list[str]:
    status, _, body = store.asked("GET", BUCKET, {"uploads": "", "prefix": key})
    assert status == 200
    return [one.said("UploadId") for one in parsed(body).all("Upload")]


def stored_by_hand(
    store: SeaweedFS, key: str, data: bytes, headers: dict[str, str] | None = None
) -> str:
    """Store a version behind our adapter's back; return its id."""
    status, head, body = store.asked("PUT", f"{BUCKET}/{key}", None, data, headers)
    assert status == 200, body
    return head["x-amz-version-id"]


def lock_of(store: SeaweedFS, key: str, version: str) -> tuple[str, datetime] | None:
    status, head, _ = store.asked("HEAD", f"{BUCKET}/{key}", {"versionId": version})
    assert status == 200
    mode = head.get("x-amz-object-lock-mode")
    until = head.get("x-amz-object-lock-retain-until-date")
    return (mode, datetime.fromisoformat(until)) if mode and until else None


def lock_headers(mode: str, lasts: timedelta) -> dict[str, str]:
    return {
        "x-amz-object-lock-mode": mode,
        "x-amz-object-lock-retain-until-date": f"{now() + lasts:%Y-%m-%dT%H:%M:%SZ}",
    }


# -- the contract --------------------------------------------------------------------------


class S3Contract(TargetContract):
    """What all targets promise, of a bucket."""

    @pytest.fixture(autouse=True)
    def _of(self, store: SeaweedFS) -> None:
        self.store = store

    def held(self, target: Target, key: str) -> bytes | None:  # noqa: ARG002
        status, _, body = self.store.asked("GET", f"{BUCKET}/{key}")
        return body if status == 200 else None

    def remove(self, target: Target, key: str) -> None:  # noqa: ARG002
        for version in versions(self.store, key):
            self.store.asked("DELETE", f"{BUCKET}/{key}", {"versionId": version})

    def replace(self, target: Target, key: str, data: bytes) -> None:  # noqa: ARG002
        stored_by_hand(self.store, key, data)


class TestS3(S3Contract):
    """A document in one request."""

    @pytest.fixture
    def target(self, store: SeaweedFS) -> Target:
        return target_in(store)


class TestS3InParts(S3Contract):
    """A document that is sent in parts."""

    @pytest.fixture
    def target(self, store: SeaweedFS) -> Target:
        return target_in(store)

    @pytest.fixture
    def sealed(self, tmp_path: Path) -> Path:
        return large(tmp_path, 2 * PART + 77)


def forgetful(_: Asked) -> Trick:
    return Trick(drop=("if-none-match",))


class TestS3WithoutCreateOnce(S3Contract):
    """A store that has never heard of `If-None-Match`."""

    @pytest.fixture
    def target(self, store: SeaweedFS) -> Iterator[Target]:
        with Between(store.url, forgetful, store.box) as between:
            yield target_in(store, url=between.url)

    def test_the_engine_is_told(self, target: Target, key: str, sealed: Path) -> None:
        """It then waits and asks twice before it puts again."""
        put(target, key, sealed)

        assert not target.create_once


def large(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "own" / "large.pdf"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


# -- the lock --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["compliance", "governance"])
@pytest.mark.parametrize("size", [1000, PART + 1])
def test_what_was_put_is_locked_as_long_as_it_has_to_stay(
    store: SeaweedFS, key: str, tmp_path: Path, mode: str, size: int
) -> None:
    """A receipt says what the store says of the lock, not what we asked for."""
    part = locked(key, large(tmp_path, size))
    target = target_in(store, lock_mode=mode)
    receipt = run(target.put(part))

    assert target.create_once
    found = lock_of(store, key, receipt.detail["version_id"])
    assert found is not None
    assert (found[0], receipt.detail["lock_mode"]) == (mode.upper(), mode)
    assert datetime.fromisoformat(receipt.detail["retain_until"]) == found[1]
    assert timedelta() <= found[1] - part.about.retain_until < timedelta(seconds=1)  # type: ignore[operator]
    status, _, _ = store.asked("DELETE", f"{BUCKET}/{key}", {"versionId": versions(store, key)[0]})
    assert status == 403


def test_a_lock_is_lengthened_and_read_back(store: SeaweedFS, key: str, sealed: Path) -> None:
    """Once everything is proven, the first lock becomes the long one."""
    target = target_in(store, first_lock_days=1)
    receipt = run(target.put(locked(key, sealed, timedelta(days=400))))
    first = datetime.fromisoformat(receipt.detail["retain_until"])
    until = now().replace(microsecond=0) + timedelta(days=400)
    extended = run(target.extend(receipt, until))

    assert timedelta(hours=23) < first - now() <= timedelta(days=1, seconds=1)
    assert datetime.fromisoformat(extended.detail["retain_until"]) == until
    assert lock_of(store, key, receipt.detail["version_id"]) == ("COMPLIANCE", until)
    assert replace(extended, detail=receipt.detail) == receipt
    found = run(target.find(locked(key, sealed, timedelta(days=400))))
    assert found.detail == extended.detail  # a find does not fall behind it


@pytest.mark.parametrize("mode", ["compliance", "governance"])
def test_no_lock_is_ever_asked_to_be_shorter(
    store: SeaweedFS, key: str, sealed: Path, mode: str
) -> None:
    """Not even where the store would do it: a longer lock stays as it is."""
    with Between(store.url) as between:
        target = target_in(store, url=between.url, lock_mode=mode)
        receipt = run(target.put(locked(key, sealed, timedelta(days=9))))
        same = run(target.extend(receipt, now() + timedelta(days=3)))
        found = run(target.find(locked(key, sealed, timedelta(days=3))))
        proven = run(target.prove(receipt, locked(key, sealed, timedelta(days=3))))

    assert same.detail == found.detail == proven.detail == receipt.detail
    assert not [one for one in between.seen if "retention" in one.path and key in one.path]


@pytest.mark.parametrize(
    "there", [None, ("GOVERNANCE", timedelta(hours=9)), ("COMPLIANCE", timedelta(hours=9))]
)
@pytest.mark.parametrize("mode", ["compliance", "governance"])
def test_a_lock_that_is_missing_or_short_is_put_on(
    store: SeaweedFS,
    key: str,
    sealed: Path,
    there: tuple[str, timedelta] | None,
    mode: str,
) -> None:
    """What a run of ours left there, under another configuration, counts once it is locked as wanted."""
    headers = lock_headers(*there) if there else None
    version = stored_by_hand(store, key, sealed.read_bytes(), headers)
    target = target_in(store, lock_mode=mode)
    part = locked(key, sealed)
    if there and (there[0], mode) == ("GOVERNANCE", "compliance"):
        # SeaweedFS does not make a lock stricter; then nobody may say that it is.
        with pytest.raises(TransientError) as caught:
            run(target.find(part))
        assert caught.value.code == "target-lock-short"
        return
    receipt = run(target.find(part))

    found = lock_of(store, key, version)
    assert found is not None
    stricter = there is not None and there[0] == "COMPLIANCE"
    assert found[0] == ("COMPLIANCE" if stricter else mode.upper())
    assert found[1] >= part.about.retain_until  # type: ignore[operator]
    assert datetime.fromisoformat(receipt.detail["retain_until"]) == found[1]


def test_a_lock_that_the_store_does_not_lengthen_is_no_receipt(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """Some stores cannot keep anything beyond 2038; the read-back says so, whatever the answer was."""
    stored_by_hand(store, key, sealed.read_bytes(), lock_headers("COMPLIANCE", timedelta(hours=5)))

    def trick(asked: Asked) -> Trick:
        lying = asked.method == "PUT" and "retention" in asked.path and key in asked.path
        return Trick(times=0, status=200) if lying else PASS

    with Between(store.url, trick) as between, pytest.raises(TransientError) as caught:
        run(target_in(store, url=between.url).find(locked(key, sealed)))
    assert caught.value.code == "target-lock-short"


def test_a_first_lock_is_put_on_anew_when_half_of_it_is_over(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """The DMS may be away for longer than the first lock lasts."""
    lasts = timedelta(days=3)
    version = stored_by_hand(store, key, sealed.read_bytes(), lock_headers("COMPLIANCE", lasts))
    part = locked(key, sealed, timedelta(days=4000))
    enough = run(target_in(store, first_lock_days=5).find(part))
    before = lock_of(store, key, version)
    renewed = run(target_in(store, first_lock_days=20).find(part))
    after = lock_of(store, key, version)

    assert before is not None
    assert after is not None
    assert datetime.fromisoformat(enough.detail["retain_until"]) == before[1]
    assert before[1] - now() < lasts
    assert datetime.fromisoformat(renewed.detail["retain_until"]) == after[1]
    assert timedelta(days=19) < after[1] - now() < timedelta(days=21)


def test_a_day_of_the_ledger_has_no_first_lock(store: SeaweedFS, tmp_path: Path) -> None:
    """Nothing in it can be misdirected, and nobody lengthens its lock later."""
    file = large(tmp_path, 1000)
    key = f"{ledger.segment_id(os.urandom(16).hex(), '2026-11-22')}/segment.jsonl"
    part = locked(key, file, timedelta(days=400))
    receipt = run(target_in(store, first_lock_days=3).put(part))

    assert datetime.fromisoformat(receipt.detail["retain_until"]) >= part.about.retain_until  # type: ignore[operator]


def test_a_lock_that_a_receipt_names_is_held_to(store: SeaweedFS, key: str, sealed: Path) -> None:
    """It was extended, and somebody with the right to do that has shortened it since."""
    target = target_in(store, first_lock_days=2, lock_mode="governance")
    part = locked(key, sealed, timedelta(days=400))
    receipt = run(target.put(part))
    until = now().replace(microsecond=0) + timedelta(days=300)
    extended = replace(receipt, detail={**receipt.detail, "retain_until": until.isoformat()})
    proven = run(target.prove(extended, part))

    assert datetime.fromisoformat(proven.detail["retain_until"]) == until
    assert lock_of(store, key, receipt.detail["version_id"]) == ("GOVERNANCE", until)


def test_below_a_delete_marker_the_version_is_still_there(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """A plain DELETE only hides: it is not gone, it is not sent again, and the receipt says so."""
    target, part = target_in(store), locked(key, sealed)
    receipt = run(target.put(part))
    store.asked("DELETE", f"{BUCKET}/{key}")
    found, proven = run(target.find(part)), run(target.prove(receipt, part))

    assert listed(store, key, "DeleteMarker")
    assert found.detail == proven.detail == {**receipt.detail, "below": "delete-marker"}
    assert versions(store, key) == [receipt.detail["version_id"]]


def test_the_demo_shows_what_the_archive_really_holds(
    store: SeaweedFS, key: str, tmp_path: Path
) -> None:
    """Complete, and locked: looked up without our target."""
    archive = BucketArchive(tmp_path)
    archive._store = store
    document = key.partition("/")[0]
    target = target_in(store)
    for name in ("original.pdf", "manifest.p7s"):
        assert not archive.held(document)[1]
        run(target.put(locked(f"{document}/{name}", large(tmp_path, 1000))))
    version = versions(store, f"{document}/manifest.p7s")[0]
    lock = lock_of(store, f"{document}/manifest.p7s", version)
    assert lock is not None

    assert archive.held(document) == (
        f"s3://archive/{document}/, 2 objects, compliance lock until {lock[1]:%Y-%m-%d}",
        True,
    )
    assert f"archive/{document}/manifest.p7s?versionId={version}" in archive.tries(document)


# -- a store or a bucket that does not do ---------------------------------------------------


def test_nothing_is_delivered_to_a_bucket_that_does_not_lock(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """It recovers by itself: it is looked at anew for each try."""
    target = target_in(store, bucket="unlocked")
    for work in (target.put, target.find):
        with pytest.raises(TransientError) as caught:
            run(work(locked(key, sealed)))
        assert (caught.value.code, caught.value.in_doubt) == ("target-without-lock", False)
    assert not parsed(store.asked("GET", "unlocked", {"versions": ""})[2]).said("Key")


def test_a_bucket_that_is_missing_is_waited_for(store: SeaweedFS, key: str, sealed: Path) -> None:
    """Somebody makes it, and the same target delivers."""
    bucket = f"later-{new_id(now())[:8]}"
    target = target_in(store, bucket=bucket)
    with pytest.raises(TransientError) as caught:
        run(target.put(locked(key, sealed)))
    store.make_bucket(bucket)

    assert caught.value.code == "target-without-bucket"
    assert run(target.put(locked(key, sealed))).digest == facts(sealed)[0]


def test_there_is_one_probe_for_each_bucket_and_configuration(store: SeaweedFS) -> None:
    """However often the service is started: what is locked stays."""

    def look(target: OnLoop) -> OnLoop:
        run(target._there(target.inner._ready))
        return target

    def probes() -> set[str]:
        _, _, body = store.asked("GET", BUCKET, {"versions": "", "prefix": "scanseal-probe/"})
        return {one.said("VersionId") for one in parsed(body).all("Version")}

    look(target_in(store))
    before = probes()
    with Between(store.url, forgetful, store.box) as between:
        for _ in range(2):
            assert look(target_in(store)).create_once
            assert not look(target_in(store, url=between.url)).create_once
    assert len(probes() - before) == 1  # the proxy is another address
    assert before <= probes()


def test_a_probe_that_somebody_has_deleted_shows_again(store: SeaweedFS) -> None:
    """Below a delete marker it would say that the store does not create once."""
    with Between(store.url) as between:
        run(target_in(store, url=between.url).find(sending_nothing()))
        (probe,) = {
            one.path.partition("?")[0]
            for one in between.seen
            if one.method == "HEAD" and "scanseal-probe" in one.path
        }
        assert store.asked("DELETE", probe.removeprefix("/"))[0] == 204
        target = target_in(store, url=between.url)
        run(target.find(sending_nothing()))

    assert target.create_once
    assert len(versions(store, probe.removeprefix(f"/{BUCKET}/"))) == 2


def sending_nothing() -> Sending:
    """Return a part that is nowhere."""
    return Sending(f"{new_id(now())}/sealed.pdf", Path("/nonexistent"), Digest.of(b"x"), 1)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Start moto, which shortens every lock and believes every checksum."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def in_moto(moto: str, store: SeaweedFS, bucket: str, **changes: Any) -> OnLoop:
    """Return a target there, in a bucket that says it locks."""
    connection = http.client.HTTPConnection(moto.removeprefix("http://"), timeout=30)
    connection.request("PUT", f"/{bucket}", headers={"x-amz-bucket-object-lock-enabled": "true"})
    assert connection.getresponse().status == 200
    connection.close()
    return target_in(store, **{"url": moto, "bucket": bucket, **changes})


@pytest.mark.parametrize("mode", ["compliance", "governance"])
def test_a_store_that_shortens_locks_is_found_out(
    moto: str, store: SeaweedFS, key: str, sealed: Path, mode: str
) -> None:
    """Its bucket says that it locks, it answers as S3 does, and a probe shows that it lies."""
    target = in_moto(moto, store, f"shortens-{mode}", lock_mode=mode)

    with pytest.raises(TransientError, match="a lock was shortened") as caught:
        run(target.put(locked(key, sealed)))
    assert caught.value.code == "target-without-lock"


def test_a_store_that_believes_every_checksum_is_found_out(
    moto: str, store: SeaweedFS, key: str, sealed: Path
) -> None:
    """Other bytes than ours arrived, and it confirmed ours: only reading back shows it."""

    def trick(asked: Asked) -> Trick:
        return Trick(damage=asked.method == "PUT" and key in asked.path)

    with Between(moto, trick) as between:
        target = in_moto(moto, store, "believes", url=between.url)
        target.inner._locks = True  # this one lie is to be found by itself
        with pytest.raises(TargetDisagrees):
            run(target.put(locked(key, sealed)))


def test_a_copy_that_somebody_put_back_is_not_what_was_proven(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """The version that the receipt names is gone; that the same bytes lie there now is another matter."""
    target = target_in(store)
    receipt = run(target.put(sending(key, sealed)))
    store.asked("DELETE", f"{BUCKET}/{key}", {"versionId": receipt.detail["version_id"]})
    other = stored_by_hand(store, key, sealed.read_bytes())

    assert run(target.prove(receipt, sending(key, sealed))) is None
    assert run(target.find(sending(key, sealed))).detail["version_id"] == other


# -- checksums --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 2 * PART + 77])
def test_what_arrives_damaged_is_refused_and_sent_again(
    store: SeaweedFS, key: str, tmp_path: Path, size: int
) -> None:
    """Each request and each part has its SHA-256 with it."""
    part = locked(key, large(tmp_path, size))
    broken = [True]

    def trick(asked: Asked) -> Trick:
        return Trick(damage=asked.method == "PUT" and key in asked.path and broken[0])

    with Between(store.url, trick) as between:
        target = target_in(store, url=between.url)
        with pytest.raises(TransientError) as caught:
            run(target.put(part))
        assert (caught.value.code, caught.value.in_doubt) == ("target-received-damaged", False)
        assert versions(store, key) == []
        broken[0] = False
        assert run(target.put(part)).digest == part.digest
    assert len(versions(store, key)) == 1


def test_the_stores_own_checksum_is_proof_where_that_is_enough(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """No byte comes back."""
    with Between(store.url) as between:
        target = target_in(store, url=between.url, proof="checksum")
        receipt = run(target.put(locked(key, sealed)))
        proven = run(target.prove(receipt, locked(key, sealed)))

    assert receipt.grade == proven.grade == "checksum"
    assert receipt.detail["checksum"] == checksum_of(facts(sealed)[0])
    assert not [one for one in between.seen if one.method == "GET" and f"{key}?" in one.path]


def checksum_of(digest: Digest) -> str:
    return base64.b64encode(bytes.fromhex(digest.hex)).decode()


def test_of_what_went_in_parts_the_checksum_is_computed_again(
    store: SeaweedFS, key: str, tmp_path: Path
) -> None:
    """With the part size of then; without our file, or if that differs now, the bytes are read."""
    file = large(tmp_path, 2 * PART + 77)
    part = locked(key, file)
    receipt = run(target_in(store, proof="checksum").put(part))
    target = target_in(store, proof="checksum", part_mb=64)
    again = run(target.find(part))
    file.rename(tmp_path / "away.pdf")
    without = run(target.find(part))
    file.write_bytes(b"other bytes")
    damaged = run(target.find(part))

    assert receipt.grade == again.grade == "checksum"
    assert receipt.detail["checksum"].endswith("-3")
    assert without.grade == damaged.grade == "bytes"
    assert without.digest == part.digest


def test_a_checksum_of_other_bytes_is_a_disagreement(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """As good as reading them back."""
    data = bytearray(sealed.read_bytes())
    data[7] ^= 1
    digest = checksum_of(Digest.of(bytes(data)))
    stored_by_hand(store, key, bytes(data), {"x-amz-checksum-sha256": digest})

    with pytest.raises(TargetDisagrees):
        run(target_in(store, proof="checksum").find(sending(key, sealed)))


def test_without_a_checksum_the_bytes_are_read(store: SeaweedFS, key: str, sealed: Path) -> None:
    """Somebody copied it there with a tool that sends none."""
    stored_by_hand(store, key, sealed.read_bytes())
    receipt = run(target_in(store, proof="checksum").find(sending(key, sealed)))

    assert receipt.grade == "bytes"


# -- large files ------------------------------------------------------------------------------

PUT_ONCE = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from daemon.document import Digest
from daemon.targets import Sending
from daemon.targets.s3 import S3Target
from daemon.targetsections import S3Section
url, user, secret, key, file, digest, size = sys.argv[1:]
section = S3Section(
    name="archive", kind="s3", role="archive", url=url, user=user, password=f"file:{secret}",
    bucket="archive", part_mb=5,
)
target = S3Target(section, None, lambda: datetime.now(UTC))
asyncio.run(target.put(Sending(key, Path(file), Digest(digest), int(size))))
"""


@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_after_a_crash_between_parts_the_rest_is_sent(
    store: SeaweedFS, key: str, tmp_path: Path, last: int
) -> None:
    """The process is killed while a part's answer is on its way; no part goes twice but that one."""
    file = large(tmp_path, 3 * PART + 77)
    part = sending(key, file)
    processes: list[subprocess.Popen[bytes]] = []

    def trick(asked: Asked) -> Trick:
        if f"partNumber={last}&" in asked.path and processes:
            kill = partial(processes.pop().send_signal, signal.SIGKILL)
            # Of the even ones the store has got all, and nobody was told.
            return (
                Trick(cut_request=1000, then=kill) if last % 2 else Trick(cut_answer=0, then=kill)
            )
        return PASS

    with Between(store.url, trick) as between:
        arguments = (store.box.name, store.secret, key, file, part.digest, part.size)
        process = subprocess.Popen(
            [sys.executable, "-c", PUT_ONCE, between.url, *map(str, arguments)], cwd=PROJECT
        )
        processes.append(process)
        assert process.wait(60) == -signal.SIGKILL
        assert run(target_in(store).find(part)) is None
        sent_then = parts_sent(between)
        receipt = run(target_in(store, url=between.url).put(part))
        sent_now = parts_sent(between)[len(sent_then) :]

    assert receipt.digest == part.digest
    assert sent_then == list(range(1, last + 1))
    there = last - 1 if last % 2 else last
    assert sent_now == list(range(there + 1, 5))
    assert len(versions(store, key)) == 1
    assert uploads(store, key) == []


def parts_sent(between: Between) -> list[int]:
    found = [
        re.search(r"partNumber=(\d+)&", one.path) for one in between.seen if one.method == "PUT"
    ]
    return [int(one[1]) for one in found if one]


def test_parts_of_another_file_or_size_are_sent_anew(
    store: SeaweedFS, key: str, tmp_path: Path
) -> None:
    """Whatever an earlier run left there, what is completed is what was sealed."""
    part = sending(key, large(tmp_path, 2 * PART + 77))
    for data in (os.urandom(PART), part.file.read_bytes()[: PART + 5]):
        _, _, body = store.asked("POST", f"{BUCKET}/{key}", {"uploads": ""})
        values = {"partNumber": "1", "uploadId": parsed(body).said("UploadId")}
        assert store.asked("PUT", f"{BUCKET}/{key}", values, data)[0] == 200
    assert len(uploads(store, key)) == 2
    receipt = run(target_in(store).put(part))

    assert receipt.digest == part.digest
    assert len(versions(store, key)) == 1
    assert uploads(store, key) == []


@pytest.mark.parametrize("where", [0, PART + 1, 2 * PART + 76])
@pytest.mark.parametrize("longer", [b"", b"!"])
def test_a_large_file_that_is_damaged_leaves_nothing(
    store: SeaweedFS, key: str, tmp_path: Path, where: int, longer: bytes
) -> None:
    """Wherever it is damaged: no version, and no upload that somebody could complete."""
    file = large(tmp_path, 2 * PART + 77)
    part = sending(key, file)
    data = bytearray(file.read_bytes())
    data[where] ^= not longer
    file.write_bytes(bytes(data) + longer)

    with pytest.raises(PermanentError) as caught:
        run(target_in(store).put(part))
    assert caught.value.code == OWN_COPY_DAMAGED
    assert versions(store, key) == uploads(store, key) == []


# -- bad days ---------------------------------------------------------------------------------


def storing(asked: Asked, key: str) -> bool:
    """Return whether a request is the one after which the object shows."""
    if key not in asked.path or "retention" in asked.path:
        return False
    return (asked.method, "?" in asked.path) == ("PUT", False) or (
        asked.method == "POST" and "uploadId" in asked.path
    )


def lists(asked: Asked, key: str) -> bool:
    """Return whether a request asks for the versions of *key*."""
    return "versions" in asked.path and key in unquote(asked.path)


SIZES = pytest.mark.parametrize("size", [1000, PART + 1])


@SIZES
def test_an_answer_that_is_lost_after_the_store_is_no_second_copy(
    store: SeaweedFS, key: str, tmp_path: Path, size: int
) -> None:
    """In doubt: asked, the target has it; sent again all the same, it is not stored again."""
    part = locked(key, large(tmp_path, size))
    with Between(
        store.url, lambda asked: Trick(cut_answer=0) if storing(asked, key) else PASS
    ) as between:
        target = target_in(store, url=between.url)
        with pytest.raises(TransientError) as caught:
            run(target.put(part))
        assert caught.value.in_doubt
        first = run(target.find(part))
        between.trick = lambda _: PASS
        second = run(target.put(part))

    assert first == replace(second, proved_at=first.proved_at)
    assert versions(store, key) == [first.detail["version_id"]]
    assert uploads(store, key) == []


@pytest.mark.parametrize("count", [0, 1, 500, 999, 1000])
def test_a_connection_cut_while_it_is_sent_stores_nothing_twice(
    store: SeaweedFS, key: str, tmp_path: Path, count: int
) -> None:
    """After any number of bytes, the last one too."""
    part = locked(key, large(tmp_path, 1000))
    with Between(
        store.url, lambda asked: Trick(cut_request=count) if storing(asked, key) else PASS
    ) as between:
        target = target_in(store, url=between.url)
        with pytest.raises(TransientError) as caught:
            run(target.put(part))
        assert caught.value.in_doubt
        between.trick = lambda _: PASS
        receipt = run(target.put(part))

    assert receipt.digest == part.digest
    assert versions(store, key) == [receipt.detail["version_id"]]


@pytest.mark.parametrize("count", [1, 12, 100, 300, 400, 1200, 1700])
def test_an_answer_cut_anywhere_is_no_receipt_and_no_absence(
    store: SeaweedFS, key: str, tmp_path: Path, count: int
) -> None:
    """Of a listing that is cut off nobody may conclude that nothing is held."""
    part = locked(key, large(tmp_path, 2000))
    run(target_in(store).put(part))
    with Between(
        store.url,
        lambda asked: Trick(cut_answer=count) if lists(asked, key) else PASS,
    ) as between:
        target = target_in(store, url=between.url)
        if count < 1000:
            with pytest.raises(TransientError):
                run(target.find(part))
        between.trick = lambda asked: Trick(cut_answer=count) if f"{key}?" in asked.path else PASS
        with pytest.raises(TransientError):
            run(target.find(part))
        between.trick = lambda _: PASS
        assert run(target.find(part)).digest == part.digest


@pytest.mark.parametrize("shift", [timedelta(days=1), timedelta(days=-1)])
def test_a_clock_that_is_off_by_a_day_is_named(
    store: SeaweedFS, key: str, sealed: Path, shift: timedelta
) -> None:
    """Theirs or ours: nothing is stored, and what has to be put right is said."""
    target = target_in(store, shift)
    for work in (target.put, target.find):
        with pytest.raises(TransientError) as caught:
            run(work(locked(key, sealed)))
        assert (caught.value.code, caught.value.in_doubt) == ("target-clock-differs", False)
    assert versions(store, key) == []


def test_a_clock_that_differs_is_named_where_the_answer_has_no_words(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """The answer to a HEAD has no body; its date says it."""
    shift = [timedelta()]
    target = target_of(section(store, proof="checksum"), lambda: now() + shift[0])
    receipt = run(target.put(locked(key, sealed)))
    shift[0] = timedelta(days=1)

    with pytest.raises(TransientError) as caught:
        run(target.extend(receipt, now() + SOON))
    assert caught.value.code == "target-clock-differs"


ERROR = b"<?xml version='1.0'?><Error><Code>%b</Code><Message>said so</Message></Error>"


@pytest.mark.parametrize(
    ("status", "body", "code", "in_doubt"),
    [
        (200, ERROR % b"InternalError", "target-fails", True),
        (200, b"<html>Welcome to the hotspot</html>", "target-shows-nothing", True),
        (200, b"no xml", "target-answer-unreadable", True),
        (400, ERROR % b"BadDigest", "target-received-damaged", False),
        (403, ERROR % b"AccessDenied", "target-login-refused", False),
        (403, ERROR % b"QuotaExceeded", "target-full", False),
        (404, ERROR % b"NoSuchBucket", "target-without-bucket", False),
        (409, ERROR % b"ConditionalRequestConflict", "target-busy", False),
        (429, b"", "target-busy", False),
        (500, ERROR % b"InternalError", "target-fails", True),
        (503, ERROR % b"SlowDown", "target-busy", False),
        (507, b"", "target-full", False),
    ],
)
@SIZES
def test_what_the_store_says_while_storing_is_taken_at_its_word(
    store: SeaweedFS,
    key: str,
    tmp_path: Path,
    size: int,
    status: int,
    body: bytes,
    code: str,
    in_doubt: bool,
) -> None:
    """It said so and did nothing; after that everything goes on by itself, and once."""
    part = locked(key, large(tmp_path, size))
    said = Trick(times=0, status=status, body=body)
    with Between(store.url, lambda asked: said if storing(asked, key) else PASS) as between:
        target = target_in(store, url=between.url)
        with pytest.raises(TransientError) as caught:
            run(target.put(part))
        assert (caught.value.code, caught.value.in_doubt) == (code, in_doubt)
        between.trick = lambda _: PASS
        assert run(target.put(part)).digest == part.digest
    assert len(versions(store, key)) == 1


def test_what_is_refused_for_itself_is_for_a_person(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """No other document has to wait for it."""
    said = Trick(times=0, status=400, body=ERROR % b"EntityTooLarge")
    with (
        Between(store.url, lambda asked: said if storing(asked, key) else PASS) as between,
        pytest.raises(PermanentError, match="EntityTooLarge: said so") as caught,
    ):
        run(target_in(store, url=between.url).put(locked(key, sealed)))
    assert caught.value.code == "target-refuses"


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, b"AuthorizationHeaderMalformed"), (404, b"NoSuchKey"), (405, b"MethodNotAllowed")],
)
def test_what_is_wrong_with_the_configuration_is_no_documents_fault(
    store: SeaweedFS, key: str, sealed: Path, status: int, word: bytes
) -> None:
    """A wrong region or url: every document waits, none is refused for it."""
    said = Trick(times=0, status=status, body=ERROR % word)
    with Between(store.url) as between:
        for wrong in ("object-lock", "versions"):
            between.trick = lambda asked, wrong=wrong: said if wrong in asked.path else PASS  # type: ignore[misc]
            with pytest.raises(TransientError):
                run(target_in(store, url=between.url).put(locked(key, sealed)))
        between.trick = lambda _: PASS
        target = target_in(store, url=between.url)
        run(target.find(sending_nothing()))
        between.trick = lambda asked: said if lists(asked, key) else PASS
        with pytest.raises(TransientError):
            run(target.find(locked(key, sealed)))


def test_a_probe_that_is_refused_is_no_documents_fault(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """Whatever the reason, it holds for all of them."""
    said = Trick(times=0, status=400, body=ERROR % b"InvalidArgument")

    def trick(asked: Asked) -> Trick:
        return said if asked.method == "PUT" and "scanseal-probe" in asked.path else PASS

    with (
        Between(store.url, trick) as between,
        pytest.raises(TransientError, match="a probe was refused") as caught,
    ):
        run(target_in(store, url=between.url).put(locked(key, sealed)))
    assert caught.value.code == "target-without-lock"


@pytest.mark.parametrize("proof", ["bytes", "checksum"])
def test_a_store_that_gives_another_version_is_not_believed(
    store: SeaweedFS, key: str, sealed: Path, proof: str
) -> None:
    """The lock and the bytes have to be of the version that is named."""
    run(target_in(store).put(locked(key, sealed)))
    head = {
        "x-amz-version-id": "another",
        "Content-Length": str(sealed.stat().st_size),
        "x-amz-checksum-sha256": checksum_of(facts(sealed)[0]),
        **lock_headers("COMPLIANCE", SOON * 2),
    }
    body = b"" if proof == "checksum" else sealed.read_bytes()
    said = Trick(times=0, status=200, headers=head, body=body)
    with (
        Between(store.url, lambda asked: said if f"{key}?" in asked.path else PASS) as between,
        pytest.raises(TransientError) as caught,
    ):
        run(target_in(store, url=between.url, proof=proof).find(locked(key, sealed)))
    assert caught.value.code == "target-answer-unreadable"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
        b"<ListVersionsResult><Version><Key>%b</Key><Size>a</Size></Version></ListVersionsResult>",
        (
            b"<ListVersionsResult><Version><Key>%b</Key><VersionId>a b</VersionId><Size>1</Size>"
            b"</Version></ListVersionsResult>"
        ),
        b'<!DOCTYPE a [<!ENTITY b "c">]><ListVersionsResult>&b;</ListVersionsResult>',
    ],
)
def test_only_a_whole_listing_may_say_that_nothing_is_there(
    store: SeaweedFS, key: str, sealed: Path, body: bytes
) -> None:
    """None means that it may be sent: no proxy's page may mean that."""
    run(target_in(store).put(locked(key, sealed)))
    said = Trick(status=200, body=body.replace(b"%b", key.encode()))
    with (
        Between(store.url, lambda asked: said if lists(asked, key) else PASS) as between,
        pytest.raises(TransientError) as caught,
    ):
        run(target_in(store, url=between.url).find(locked(key, sealed)))
    assert caught.value.code == "target-answer-unreadable"


def test_a_listing_that_lags_behind_is_in_doubt(store: SeaweedFS, key: str, sealed: Path) -> None:
    """It was stored and does not show yet: sent again, it is refused as being there."""
    nothing = b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>"
    said = Trick(status=200, body=nothing)
    with Between(store.url, lambda asked: said if lists(asked, key) else PASS) as between:
        target = target_in(store, url=between.url)
        for _ in range(2):
            with pytest.raises(TransientError) as caught:
                run(target.put(locked(key, sealed)))
            assert (caught.value.code, caught.value.in_doubt) == ("target-shows-nothing", True)
    assert len(versions(store, key)) == 1


# -- twice ------------------------------------------------------------------------------------


def twice(store: SeaweedFS, key: str, part: Sending) -> tuple[OnLoop, Receipt]:
    """Put it through a proxy that sends it twice, to a store that does not create once."""

    def trick(asked: Asked) -> Trick:
        return Trick(drop=("if-none-match",), times=2 if storing(asked, key) else 1)

    with Between(store.url, trick, store.box) as between:
        receipt = run(target_in(store, url=between.url).put(part))
    return target_in(store), receipt


def test_what_is_stored_twice_and_can_be_removed_is_named(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """A person removes one of them, and it goes on."""
    part = sending(key, sealed)
    with pytest.raises(TargetDuplicate):
        twice(store, key, part)
    newest, oldest = versions(store, key)
    with pytest.raises(TargetDuplicate):
        run(target_in(store).find(part))
    store.asked("DELETE", f"{BUCKET}/{key}", {"versionId": newest})

    assert run(target_in(store).find(part)).detail["version_id"] == oldest


def test_what_is_stored_twice_for_ever_is_written_into_the_receipt(
    store: SeaweedFS, key: str, sealed: Path
) -> None:
    """Nobody can remove it: it shows once under its key, and no person is asked for what cannot be done."""
    part = locked(key, sealed)
    target, receipt = twice(store, key, part)
    newest, oldest = versions(store, key)

    assert receipt.detail["version_id"] == oldest
    assert receipt.detail["surplus"] == newest
    assert run(target.prove(receipt, part)).detail == receipt.detail
