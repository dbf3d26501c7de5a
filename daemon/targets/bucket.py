"""One bucket: the requests of S3 that are needed, each a method, and what their answers mean.

    RequestTimeTooSkewed             target-clock-differs
    403 and any other 401            target-login-refused
    NoSuchBucket                     target-without-bucket
    BadDigest and the like           target-received-damaged: the store refused what arrived
    QuotaExceeded and the like       target-full
    409, SlowDown                    target-busy
    200 with an <Error> in it        target-fails, in doubt
    anything else from 400 to 499    PermanentError target-refuses, if it is about a document's bytes;
                                     target-fails otherwise: then it is about every document

A version is always addressed by its id: what shows under the bare key is only the newest one, or
nothing below a delete marker. Whatever is to be kept goes with its SHA-256, as a checksum that the
store has to compare and keep (x-amz-checksum-sha256), and in the signature.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from daemon.document import Digest
from daemon.errors import PermanentError, TransientError
from daemon.targets.element import Element, parsed
from daemon.targets.http import GOOD, measured, printable
from daemon.targets.retention import Lock, lock_in, time_text
from daemon.targets.sigv4 import EMPTY, Key, encoded, query, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.targets.http import Answer, Http
    from daemon.targets.sent import Sent

JUDGED: Final = frozenset({400, 401, 403, 404, 405, 409, 411, 412, 413, 416, 501})
"""What S3 says more about in its own words; the rest is judged by `Http`."""
SHA256_META: Final = "x-amz-meta-scanseal-sha256"
PART_META: Final = "x-amz-meta-scanseal-part-bytes"
VERSION: Final = re.compile(r"[!-~]{1,1024}")
SIZE: Final = re.compile(r"[0-9]{1,15}")
SKEW: Final = timedelta(minutes=15)
"""S3 refuses requests whose time is further from its own."""
CODES: Final = {
    "RequestTimeTooSkewed": "target-clock-differs",
    "RequestExpired": "target-clock-differs",
    "NoSuchBucket": "target-without-bucket",
    "NoSuchUpload": "target-fails",
    **dict.fromkeys(
        (
            "BadDigest",
            "InvalidDigest",
            "XAmzContentSHA256Mismatch",
            "XAmzContentChecksumMismatch",
            "IncompleteBody",
            "RequestTimeout",
        ),
        "target-received-damaged",
    ),
    **dict.fromkeys(
        ("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"), "target-full"
    ),
    **dict.fromkeys(("SlowDown", "OperationAborted", "ConditionalRequestConflict"), "target-busy"),
}
"""What S3's own codes mean for every document; none of them is answered once something was stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One version, as the store told of it just now."""

    version: str
    size: int
    """-1: it did not say."""
    lock: Lock | None
    checksum: str
    """The SHA-256 that the store keeps, in base64; with `-N`: of the SHA-256 of N parts; or ""."""
    part_bytes: int
    """In parts of how many bytes it was sent; 0: in one."""
    digest: Digest | None = None
    """Of the bytes, if they were read."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What is listed under one key."""

    versions: tuple[tuple[str, int], ...]
    """Id and size of each, the newest first."""
    marked: bool
    """A delete marker lies above them: under the bare key nothing shows."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no file."""

    status: int
    headers: Mapping[str, str]
    code: str
    """S3's own code of what is wrong, or ""."""
    message: str
    root: Element

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return self.status in GOOD


class Bucket:
    """One bucket, seen with one access key."""

    def __init__(
        self, http: Http, bucket: str, region: str, user: str, clock: Callable[[], datetime]
    ) -> None:
        """Ask nobody yet; the secret is read through *http* whenever it is needed."""
        self.http = http
        self.name = bucket
        self._region = region
        self._user = user
        self.clock = clock

    # -- one request each ---------------------------------------------------------------------

    async def locks(self) -> bool:
        """Return whether the bucket says that it locks objects."""
        reply = await self._asked(
            "GET", "", {"object-lock": ""}, may=frozenset({400, 404, 405, 501})
        )
        if reply.code == "NoSuchBucket":
            raise self.wrong(reply)
        return reply.good and reply.root.said("ObjectLockEnabled") == "Enabled"

    async def listed(self, key: str) -> Listed:
        """Return all versions under *key*."""
        reply = await self._asked("GET", "", {"versions": "", "prefix": key})
        # Only a listing may say that nothing is there; an empty page of some proxy may not.
        if reply.root.name != "ListVersionsResult":
            raise self._unreadable("no list of versions where one was asked for")
        cut = reply.root.said("IsTruncated") == "true"
        if cut and reply.root.said("NextKeyMarker") in {"", key}:
            raise self._unreadable("more versions of one key than fit into an answer")
        found = [one for one in reply.root.children if one.said("Key") == key]
        marked = any(one.name == "DeleteMarker" and one.said("IsLatest") == "true" for one in found)
        versions = [one for one in found if one.name == "Version"]
        pairs = tuple((one.said("VersionId"), one.said("Size")) for one in versions)
        if not all(VERSION.fullmatch(name) and SIZE.fullmatch(size) for name, size in pairs):
            raise self._unreadable("a version without a proper id or size")
        return Listed(tuple((name, int(size)) for name, size in pairs), marked)

    async def seen(self, key: str, version: str) -> Stored | None:
        """Return what the store says of a version, without its bytes; None: there is none."""
        reply = await self._asked(
            "HEAD",
            key,
            {"versionId": version},
            {"x-amz-checksum-mode": "ENABLED"},
            may=frozenset({404}),
        )
        return self._stored(version, reply.headers) if reply.good else None

    async def read(self, key: str, version: str) -> Stored | None:
        """Return what the store says of a version, with the digest of its bytes; None: there is none."""
        url, headers = self._signed("GET", key, {"versionId": version}, {}, EMPTY)
        async with self.http.asked("GET", url, headers=headers, expect=GOOD | JUDGED) as answer:
            if answer.status in GOOD:
                digest, size = await measured(answer.pieces())
                told = self._stored(version, answer.headers)
                return Stored(version, size, told.lock, told.checksum, told.part_bytes, digest)
            reply = await self._reply(answer, storing=False)
        if reply.status == 404 and reply.code != "NoSuchBucket":
            return None
        raise self.wrong(reply)

    async def put(
        self,
        key: str,
        body: bytes | Sent,
        digest: Digest,
        headers: Mapping[str, str],
        *,
        once: bool,
        may: frozenset[int] = frozenset(),
    ) -> Reply:
        """Store a new version; with *once* only if none shows there (then 412 may come back)."""
        head = {
            **headers,
            **checked(digest),
            SHA256_META: str(digest),
            **({"If-None-Match": "*"} if once else {}),
        }
        may |= frozenset({412}) if once else frozenset()
        return await self._asked("PUT", key, {}, head, body, digest, may=may, storing=True)

    async def retain(self, key: str, version: str, lock: Lock) -> Reply:
        """Ask for *lock* on a version; whoever calls reads back what became of it."""
        body = (
            '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Mode>{lock.mode}</Mode><RetainUntilDate>{time_text(lock.until)}</RetainUntilDate>"
            "</Retention>"
        ).encode()
        # What S3 refuses here it says with 403, as it does where the right is lacking.
        refused = frozenset({400, 403, 404, 405, 409, 501})
        values = {"retention": "", "versionId": version}
        return await self.sent("PUT", key, values, body, checked(Digest.of(body)), may=refused)

    async def removed(self, key: str, version: str) -> None:
        """Ask for a version to be removed; whoever calls looks whether it was."""
        refused = frozenset({400, 403, 404, 405, 409, 501})
        await self._asked("DELETE", key, {"versionId": version}, may=refused)

    async def sent(
        self,
        method: str,
        key: str,
        values: Mapping[str, str],
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        may: frozenset[int] = frozenset(),
        storing: bool = False,
    ) -> Reply:
        """Ask with a small body, or with none."""
        digest = Digest.of(body)
        return await self._asked(
            method, key, values, headers, body, digest, may=may, storing=storing
        )

    async def section(
        self, key: str, values: Mapping[str, str], body: Sent, digest: Digest
    ) -> Reply:
        """Send one part of a multipart upload: nothing shows before the upload is completed."""
        return await self._asked("PUT", key, values, checked(digest), body, digest)

    # -- how it is asked, and what is made of the answer ---------------------------------------

    def _signed(
        self,
        method: str,
        key: str,
        values: Mapping[str, str],
        headers: Mapping[str, str],
        body_sha256: str,
    ) -> tuple[str, dict[str, str]]:
        url = f"{self.http.url}/{self.name}" + (f"/{encoded(key, '/')}" if key else "")
        if values:
            url += "?" + query(values)
        access = Key(self._user, self.http.secret(), self._region)
        return url, signed(method, url, headers, body_sha256, access, self.clock())

    async def _asked(
        self,
        method: str,
        key: str,
        values: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        body: bytes | Sent = b"",
        digest: Digest | None = None,
        *,
        may: frozenset[int] = frozenset(),
        storing: bool = False,
    ) -> Reply:
        """Ask; an answer that is neither good nor one of *may* is raised as what it means."""
        url, head = self._signed(method, key, values, headers or {}, str(digest or EMPTY))
        async with self.http.asked(
            method,
            url,
            headers=head,
            data=(body or None) if isinstance(body, bytes) else None,
            sent=None if isinstance(body, bytes) else body,
            expect=GOOD | JUDGED,
            storing=storing,
        ) as answer:
            reply = await self._reply(answer, storing=storing)
        if not reply.good and reply.status not in may:
            raise self.wrong(reply, of_document=storing or not isinstance(body, bytes))
        if reply.good and reply.code:
            what = f"{self.http.name} said {reply.status} with {reply.code}: {reply.message}"
            raise TransientError("target-fails", what, in_doubt=storing)
        return reply

    async def _reply(self, answer: Answer, *, storing: bool) -> Reply:
        """Read an answer that is no file."""
        try:
            data = await answer.data()
        except TransientError as exc:
            if not storing or exc.in_doubt:
                raise
            raise TransientError(exc.code, exc.args[0], in_doubt=True) from exc
        root = Element("")
        if data.strip():
            try:
                root = parsed(data)
            except ValueError as exc:
                if answer.status in GOOD:
                    raise self._unreadable(str(exc), in_doubt=storing) from None
                root = Element("Error", children=[Element("Message", printable(data))])
        wrong = root.name == "Error"
        code = printable(root.said("Code").encode()) if wrong else ""
        message = printable(root.said("Message").encode()) if wrong else ""
        return Reply(answer.status, answer.headers, code or ("?" if wrong else ""), message, root)

    def wrong(self, reply: Reply, *, of_document: bool = False) -> Exception:
        """Return what an answer that nobody allowed means; *of_document*: bytes of one were sent."""
        what = f"{self.http.name} said {reply.status} {reply.code}: {reply.message}".rstrip(": ")
        code = CODES.get(reply.code, "")
        if reply.status in {401, 403} and not code:
            # The answer to a HEAD has no words; that the clocks differ shows all the same.
            code = "target-clock-differs" if self._differs(reply) else "target-login-refused"
        if reply.status == 409 and not code:
            code = "target-busy"
        if of_document and not code:
            return PermanentError("target-refuses", what)
        return TransientError(code or "target-fails", what)

    def _differs(self, reply: Reply) -> bool:
        try:
            theirs = parsedate_to_datetime(reply.headers.get("Date", ""))
            return abs(theirs - self.clock()) > SKEW
        except (ValueError, TypeError, OverflowError):
            return False

    def _unreadable(self, why: str, *, in_doubt: bool = False) -> TransientError:
        return TransientError(
            "target-answer-unreadable", f"{self.http.name}: {why}", in_doubt=in_doubt
        )

    def _stored(self, version: str, headers: Mapping[str, str]) -> Stored:
        if headers.get("x-amz-version-id", version) != version:
            raise self._unreadable("another version than the one that was asked for")
        size, parts = headers.get("Content-Length", ""), headers.get(PART_META, "")
        return Stored(
            version,
            int(size) if SIZE.fullmatch(size) else -1,
            lock_in(headers),
            headers.get("x-amz-checksum-sha256", ""),
            int(parts) if SIZE.fullmatch(parts) else 0,
        )


def checked(digest: Digest) -> dict[str, str]:
    """Return the headers with which S3 compares a body, and without which it locks nothing."""
    return {"x-amz-checksum-sha256": checksum(digest), "x-amz-sdk-checksum-algorithm": "SHA256"}


def checksum(digest: Digest) -> str:
    """Return a digest as S3 writes it."""
    return base64.b64encode(bytes.fromhex(digest.hex)).decode()


def digest_in(text: str) -> Digest | None:
    """Return the digest that S3 wrote as *text*; None if that is none of a whole file."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Digest(data.hex()) if len(data) == sha256().digest_size else None
