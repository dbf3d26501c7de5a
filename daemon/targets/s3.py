"""A bucket with Object Lock as a target: the archive that lets nobody change or remove anything.

    <bucket>/<document id>/<file>     one version, locked until the document may go

A delivery is proven by what is read back of that version: its id, its bytes (or the SHA-256 that the
store keeps of them), the mode of its lock and until when it holds. Nothing is delivered to a bucket
that does not lock (locking.py). A lock that is missing or too short is put on and read back; none is
ever shortened. Below a delete marker a version is still there, and that is what the receipt says.

With `first_lock_days` a document is locked for so long at first, and `extend` locks it for all of
its time once everything is proven: what was misdirected under a ten-year compliance lock could
never be taken back.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from daemon.document import Receipt, Role, is_id, utc_text, utc_time
from daemon.errors import TargetDisagrees, TargetDuplicate, TransientError
from daemon.targets import multipart, split
from daemon.targets.bucket import Bucket, Stored, digest_in
from daemon.targets.http import Http
from daemon.targets.locking import tried
from daemon.targets.retention import COMPLIANCE, Lock, lengthened
from daemon.targets.sent import Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.document import Digest
    from daemon.targets import Sending
    from daemon.targets.bucket import Listed
    from daemon.targetsections import S3Section

MEGABYTE: Final = 1 << 20


class S3Target:
    """One bucket, in either role."""

    def __init__(
        self, section: S3Section, credentials: str | None, clock: Callable[[], datetime]
    ) -> None:
        """Connect to nobody yet; *credentials* is systemd's folder of them."""
        self.name = section.name
        self.role = Role(section.role)
        self.create_once = False
        """Not before the store has shown it: until then the engine has to be careful."""
        self._section = section
        self._mode = section.lock_mode.upper()
        self._clock = clock
        self._http = Http(section, credentials, login="")
        self._bucket = Bucket(self._http, section.bucket, section.region, section.user, clock)
        self._trying = asyncio.Lock()
        self._locks = False

    async def find(self, part: Sending) -> Receipt | None:
        """See Target.find. A lock that is not as it should be is put on what is found."""
        split(part.key)
        await self._ready()
        return await self._vouched(part, await self._bucket.listed(part.key))

    async def put(self, part: Sending) -> Receipt:
        """See Target.put."""
        split(part.key)
        await self._ready()
        if not self.create_once and (held := await self.find(part)):
            return held
        lock = self._lock_of(part)
        headers = {"Content-Type": "application/octet-stream", **(lock.headers() if lock else {})}
        most = self._section.part_mb * MEGABYTE
        if part.size > most:
            await multipart.put(self._bucket, part, most, headers, once=self.create_once)
        else:
            body = Sent(part, self._http.pace)
            await self._bucket.put(part.key, body, part.digest, headers, once=self.create_once)
        # Stored, or there already: what is there decides.
        receipt = await self.find(part)
        if receipt is None:
            raise TransientError(
                "target-shows-nothing",
                f"{self.name} took {part.key} and does not list it",
                in_doubt=True,
            )
        return receipt

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:
        """See Target.prove: about the version that the receipt names."""
        split(part.key)
        await self._ready()
        listed = await self._bucket.listed(part.key)
        version = receipt.detail.get("version_id", "")
        if version and version not in {one for one, _ in listed.versions}:
            return None
        until = receipt.detail.get("retain_until", "")
        return await self._vouched(part, listed, version, utc_time(until) if until else None)

    async def extend(self, receipt: Receipt, until: datetime) -> Receipt:
        """Lock what *receipt* is for until then, and return the receipt with the lock as read back.

        A lock that is longer already stays as it is.
        """
        version = receipt.detail.get("version_id", "")
        stored = await self._bucket.seen(receipt.key, version) if version else None
        if stored is None:
            raise TargetDisagrees(f"{self.name} does not hold {receipt.key} any more")
        wanted = Lock(self._mode, until)
        stored = await self._locked(receipt.key, stored, wanted, wanted)
        return replace(receipt, detail={**receipt.detail, **_lock_detail(stored.lock)})

    async def close(self) -> None:
        """See Target.close."""
        await self._http.close()

    # -- whether the bucket is one -----------------------------------------------------------

    async def _ready(self) -> None:
        async with self._trying:
            if not self._locks:
                self.create_once = await tried(self._bucket, self._mode, self._section.user)
                self._locks = True

    # -- what is held --------------------------------------------------------------------------

    async def _vouched(
        self, part: Sending, listed: Listed, version: str = "", until: datetime | None = None
    ) -> Receipt | None:
        """Return the receipt for *version*, or for the oldest one; None if there is none.

        Each version under the key has to have our bytes.
        """
        if wrong := [size for _, size in listed.versions if size != part.size]:
            raise self._disagrees(part, f"{wrong[0]} bytes")
        held = [await self._compared(part, one) for one, _ in listed.versions]
        if not held:
            return None
        named = [one for one in held if one[0].version == version] or held[-1:]
        stored, grade = named[0]
        surplus = [one for one, _ in held if one.version != stored.version]
        if any(not self._for_ever(one) for one in surplus):
            raise TargetDuplicate(f"{self.name} holds {len(held)} versions of {part.key}")
        if wanted := self._lock_of(part, until):
            least = self._least(wanted, until, self._first(part))
            stored = await self._locked(part.key, stored, wanted, least)
        detail = {"version_id": stored.version, **_lock_detail(stored.lock)}
        if grade == "checksum":
            detail["checksum"] = stored.checksum
        if listed.marked:
            detail["below"] = "delete-marker"
        if surplus:
            detail["surplus"] = " ".join(one.version for one in surplus)
        return Receipt(
            target=self.name,
            key=part.key,
            size=stored.size,
            digest=part.digest,
            reference=f"s3://{self._section.bucket}/{part.key}?versionId={stored.version}",
            grade=grade,
            proved_at=self._clock(),
            detail=detail,
        )

    async def _compared(self, part: Sending, version: str) -> tuple[Stored, str]:
        """Return what is stored as *version*, and how that was proven; TargetDisagrees if it is not ours."""
        if self._section.proof != "bytes":
            stored = self._there(part, await self._bucket.seen(part.key, version))
            digest = await asyncio.to_thread(_told, part, stored)
            if digest is not None and stored.size >= 0:
                self._agree(part, digest, stored.size)
                return stored, "checksum"
        stored = self._there(part, await self._bucket.read(part.key, version))
        assert stored.digest is not None
        self._agree(part, stored.digest, stored.size)
        return stored, "bytes"

    def _there(self, part: Sending, stored: Stored | None) -> Stored:
        if stored is None:  # removed since it was listed
            raise TransientError(
                "target-shows-nothing", f"{self.name} lists {part.key} and does not give it"
            )
        return stored

    def _agree(self, part: Sending, digest: Digest, size: int) -> None:
        if (digest, size) != (part.digest, part.size):
            raise self._disagrees(part, f"{size} bytes with {digest}")

    def _disagrees(self, part: Sending, what: str) -> TargetDisagrees:
        return TargetDisagrees(
            f"{self.name} holds {what} under {part.key}, we have {part.size} bytes with {part.digest}"
        )

    def _for_ever(self, stored: Stored) -> bool:
        """Return whether nobody can remove it now: then no person can be asked to."""
        return stored.lock is not None and stored.lock.covers(Lock(COMPLIANCE, self._clock()))

    # -- the lock ------------------------------------------------------------------------------

    def _lock_of(self, part: Sending, promised: datetime | None = None) -> Lock | None:
        """Return the lock to put on *part* now, at least until *promised*; None: it needs none."""
        until, now = part.about.retain_until, self._clock()
        if until is not None and (first := self._first(part)):
            until = min(until, now + first)
        until = max((one for one in (until, promised) if one is not None), default=now)
        # S3 takes no time that is over.
        return Lock(self._mode, until) if until > now else None

    def _first(self, part: Sending) -> timedelta:
        """Return for how long *part* is locked at first; nothing: for all of its time at once.

        A day of the ledger is nobody's scan: it cannot be misdirected, and nothing lengthens its lock.
        """
        document = is_id(split(part.key)[0])
        return timedelta(days=self._section.first_lock_days if document else 0)

    def _least(self, wanted: Lock, promised: datetime | None, first: timedelta) -> Lock:
        """Return the lock that is enough: a first lock is put on anew when half of it is over."""
        half = self._clock() + first / 2
        if not first or half > wanted.until:
            return wanted
        return Lock(wanted.mode, max(half, promised or half))

    async def _locked(self, key: str, stored: Stored, wanted: Lock, least: Lock) -> Stored:
        """Return what is stored, under a lock of at least *least*: else *wanted* is put on it."""
        if stored.lock and stored.lock.covers(least):
            return stored
        reply = await self._bucket.retain(key, stored.version, lengthened(stored.lock, wanted))
        after = await self._bucket.seen(key, stored.version)
        lock = after.lock if after else None
        if lock is None or not lock.covers(least):
            raise TransientError(
                "target-lock-short",
                f"{self.name} locks {key} {_words(lock)} instead of"
                f" {_words(least)}; asked to change that it said {reply.status} {reply.code}",
            )
        return replace(stored, lock=lock)


def _told(part: Sending, stored: Stored) -> Digest | None:
    """Return the SHA-256 of all bytes as the store computed it, if what it tells leads to it."""
    if "-" not in stored.checksum:
        return digest_in(stored.checksum)
    if not stored.part_bytes:
        return None
    try:
        own = multipart.composite(part.file, part.digest, stored.part_bytes)
    except OSError:
        return None  # not here any more: the bytes are read back
    return part.digest if own == stored.checksum else None


def _lock_detail(lock: Lock | None) -> dict[str, str]:
    if lock is None:
        return {}
    return {"lock_mode": lock.mode.lower(), "retain_until": utc_text(lock.until.astimezone(UTC))}


def _words(lock: Lock | None) -> str:
    return f"{lock.mode.lower()} until {utc_text(lock.until)}" if lock else "not at all"
