"""Whether a bucket really locks, and whether it creates once: tried, on one object of our own.

    the bucket says that it locks
    a probe object is locked for a day ─▶ a shorter lock is asked for ─▶ its removal is asked for
    the same key is stored again, only if it is not there (`If-None-Match: *`)

After each of the first two the object has to be there with its lock as it was; what the store
answered does not matter. There is one probe object per bucket and configuration: it is locked and
tried again by the next run, and none is added.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from daemon.document import Digest
from daemon.errors import PermanentError, TransientError
from daemon.targets.retention import Lock, lengthened

if TYPE_CHECKING:
    from daemon.targets.bucket import Bucket, Stored

BODY: Final = (
    b"Scanseal tries here whether this bucket locks objects. It needs it again at each start.\n"
)
LOCKED_FOR: Final = timedelta(days=1)
AT_LEAST: Final = timedelta(hours=2)
"""A probe whose lock ends sooner is locked anew before anything is tried on it."""
SHORTER: Final = timedelta(hours=1)
WITHOUT_LOCK: Final = "target-without-lock"


async def tried(bucket: Bucket, mode: str, user: str) -> bool:
    """Return whether the bucket creates once; TransientError `target-without-lock` if it does not lock."""
    try:
        return await _tried(bucket, mode, user)
    except PermanentError as exc:
        # It is about the probe, so about every document, and none of them is to blame.
        raise _without(bucket, f"a probe was refused: {exc.args[0]}") from exc


async def _tried(bucket: Bucket, mode: str, user: str) -> bool:
    if not await bucket.locks():
        raise _without(bucket, "Object Lock is not enabled")
    about = f"{bucket.http.url} {bucket.name} {mode} {user}"
    key = f"scanseal-probe/{sha256(about.encode()).hexdigest()[:16]}"
    probe = await _probe(bucket, key, mode)
    held = await _locked(bucket, key, probe, mode)
    await bucket.retain(key, probe, Lock(mode, held.until - SHORTER))
    if (await _still(bucket, key, probe)).lock != held:
        raise _without(bucket, "a lock was shortened")
    await bucket.removed(key, probe)
    if (await _still(bucket, key, probe)).lock != held:
        raise _without(bucket, "a lock did not last")
    return await _creates_once(bucket, key)


async def _probe(bucket: Bucket, key: str, mode: str) -> str:
    """Return the version id of the probe object, which is made if it is not there."""
    listed = await bucket.listed(key)
    if not listed.versions or listed.marked:  # below a delete marker it would show nothing
        lock = Lock(mode, bucket.clock() + LOCKED_FOR)
        await bucket.put(key, BODY, Digest.of(BODY), lock.headers(), once=False)
        listed = await bucket.listed(key)
    if not listed.versions:
        raise TransientError(
            "target-shows-nothing", f"{bucket.http.name} took a probe and does not list it"
        )
    return listed.versions[-1][0]


async def _locked(bucket: Bucket, key: str, probe: str, mode: str) -> Lock:
    now = bucket.clock()
    least = Lock(mode, now + AT_LEAST)
    stored = await _still(bucket, key, probe)
    if stored.lock is None or not stored.lock.covers(least):
        await bucket.retain(key, probe, lengthened(stored.lock, Lock(mode, now + LOCKED_FOR)))
        stored = await _still(bucket, key, probe)
    if stored.lock is None or not stored.lock.covers(least):
        raise _without(bucket, f"no {mode.lower()} lock was put on an object")
    return stored.lock


async def _still(bucket: Bucket, key: str, probe: str) -> Stored:
    stored = await bucket.seen(key, probe)
    if stored is None:
        raise _without(bucket, "a locked object was removed")
    return stored


async def _creates_once(bucket: Bucket, key: str) -> bool:
    """Store the probe once more: a store that knows `If-None-Match` refuses that."""
    before = await bucket.listed(key)
    unknown = frozenset({400, 501})
    reply = await bucket.put(key, BODY, Digest.of(BODY), {}, once=True, may=unknown)
    for version, _ in (await bucket.listed(key)).versions if reply.good else ():
        if version not in {one for one, _ in before.versions}:
            await bucket.removed(key, version)
    return reply.status == 412


def _without(bucket: Bucket, why: str) -> TransientError:
    return TransientError(WITHOUT_LOCK, f"{bucket.http.name}, bucket {bucket.name}: {why}")
