"""A large file goes to a bucket in parts, and goes on where it stopped.

    list uploads ─▶ list parts ─▶ per part: hash, compare, send ─▶ complete

Nothing shows in the bucket before the upload is completed. What is found of an upload under our
key is from a run of ours that ended: each part that is there as it should be is not sent again.
Each section of the file is hashed before it is sent, because its digest goes ahead of it, and once
more while it is sent; the whole file's digest is known, and compared, before the last part leaves.
"""

from __future__ import annotations

import asyncio
import base64
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import md5, sha256
from html import escape
from typing import TYPE_CHECKING, Any, Final

from daemon import durable
from daemon.document import CHUNK, Digest
from daemon.errors import PermanentError, TransientError
from daemon.targets import OWN_COPY_DAMAGED
from daemon.targets.bucket import PART_META, SHA256_META, checksum
from daemon.targets.sent import Sent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from daemon.targets import Sending
    from daemon.targets.bucket import Bucket, Reply

MOST_PARTS: Final = 10_000
"""S3 takes no more of one upload."""


@dataclass(frozen=True, slots=True)
class _There:
    """One part that the store has already."""

    etag: str
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class _Section:
    """One section of our file."""

    number: int
    begin: int
    size: int
    digest: Digest
    md5: str

    def same(self, there: _There) -> bool:
        """Return whether *there* is this section: by its SHA-256, or by its ETag where none is told.

        An ETag is enough to go on with: whether all is right is decided by the digest of the whole.
        """
        if there.checksum:
            return (there.size, there.checksum) == (self.size, checksum(self.digest))
        return (there.size, there.etag.strip('"')) == (self.size, self.md5)


async def put(
    bucket: Bucket, part: Sending, part_bytes: int, headers: Mapping[str, str], *, once: bool
) -> Reply:
    """Store *part* in parts; with *once* only if nothing shows there (then 412 may come back).

    A file of ours that is damaged is `own-copy-damaged`, and the upload is taken back.
    """
    part_bytes = max(part_bytes, -(-part.size // MOST_PARTS))
    upload, there = await _resumed(bucket, part.key)
    resumed = bool(upload)
    whole = sha256()
    tags: list[tuple[int, str, str]] = []
    try:
        for number, begin in enumerate(range(0, part.size, part_bytes), 1):
            size = min(part_bytes, part.size - begin)
            section = await asyncio.to_thread(_hashed, part, number, begin, size, whole)
            if not upload:
                head = {**headers, SHA256_META: str(part.digest), PART_META: str(part_bytes)}
                upload = await _begun(bucket, part.key, head)
            etag = there[number].etag if number in there and section.same(there[number]) else ""
            if not etag:
                etag = await _sent(bucket, part, section, upload)
            tags.append((number, etag, checksum(section.digest)))
        return await _completed(bucket, part.key, upload, tags, once=once)
    except PermanentError as exc:
        if upload:
            with suppress(
                TransientError
            ):  # it is taken back by the next run, or by the store's rule
                await _aborted(bucket, part.key, upload)
        if resumed and exc.code != OWN_COPY_DAMAGED:
            # What a run before this one began cannot be ended: the next one begins anew.
            raise TransientError("target-fails", exc.args[0]) from exc
        raise


def composite(file: Path, digest: Digest, part_bytes: int) -> str:
    """Return what S3 keeps as the checksum of *file* sent in such parts; "" if it is not *digest*."""
    whole, parts, count = sha256(), sha256(), 0
    with durable.opened(file) as opened:
        while True:
            one, left = sha256(), part_bytes
            while left and (piece := opened.read(min(CHUNK, left))):
                one.update(piece)
                whole.update(piece)
                left -= len(piece)
            if left == part_bytes:
                break
            parts.update(one.digest())
            count += 1
    if whole.hexdigest() != str(digest):
        return ""
    return f"{base64.b64encode(parts.digest()).decode()}-{count}"


def _hashed(part: Sending, number: int, begin: int, size: int, whole: Any) -> _Section:
    """Hash one section of our file, and the whole of it up to there; at its end it has to be right."""
    one, other, left = sha256(), md5(usedforsecurity=False), size
    try:
        with durable.opened(part.file) as file:
            file.seek(begin)
            while left and (piece := file.read(min(CHUNK, left))):
                for hashed in (one, other, whole):
                    hashed.update(piece)
                left -= len(piece)
            last = begin + size == part.size
            longer = last and bool(file.read(1))
    except OSError as exc:
        why = exc.strerror or "no regular file"
        raise PermanentError(OWN_COPY_DAMAGED, f"{part.key} cannot be read: {why}") from exc
    if left or longer or (last and whole.hexdigest() != str(part.digest)):
        raise PermanentError(
            OWN_COPY_DAMAGED,
            f"{part.key}: other bytes lie here than the {part.size}"
            f" with sha256:{part.digest} that were sealed",
        )
    return _Section(number, begin, size, Digest(one.hexdigest()), other.hexdigest())


async def _resumed(bucket: Bucket, key: str) -> tuple[str, dict[int, _There]]:
    """Return the upload under *key* to go on with, and its parts; any other is taken back."""
    reply = await bucket.sent("GET", "", {"uploads": "", "prefix": key})
    found = [one.said("UploadId") for one in reply.root.all("Upload") if one.said("Key") == key]
    for surplus in found[1:]:
        await _aborted(bucket, key, surplus)
    if not found:
        return "", {}
    there: dict[int, _There] = {}
    marker = ""
    while True:
        values = {"uploadId": found[0], "max-parts": "1000", "part-number-marker": marker}
        values = {name: text for name, text in values.items() if text}
        reply = await bucket.sent("GET", key, values, may=frozenset({404}))
        if not reply.good:
            return "", {}  # completed or taken back in this moment
        for one in reply.root.all("Part"):
            number, size = one.said("PartNumber"), one.said("Size")
            if re.fullmatch(r"[0-9]{1,5}", number) and re.fullmatch(r"[0-9]{1,15}", size):
                there[int(number)] = _There(one.said("ETag"), int(size), one.said("ChecksumSHA256"))
        following = reply.root.said("NextPartNumberMarker")
        if reply.root.said("IsTruncated") != "true" or following in {"", marker}:
            return found[0], there
        marker = following


async def _begun(bucket: Bucket, key: str, headers: Mapping[str, str]) -> str:
    head = {**headers, "x-amz-checksum-algorithm": "SHA256"}
    reply = await bucket.sent("POST", key, {"uploads": ""}, headers=head)
    upload = reply.root.said("UploadId")
    if not upload:
        raise TransientError(
            "target-answer-unreadable", f"{bucket.http.name}: an upload without an id"
        )
    return upload


async def _sent(bucket: Bucket, part: Sending, section: _Section, upload: str) -> str:
    one = replace(part, digest=section.digest, size=section.size)
    body = Sent(one, bucket.http.pace, begin=section.begin)
    values = {"partNumber": str(section.number), "uploadId": upload}
    reply = await bucket.section(part.key, values, body, section.digest)
    return reply.headers.get("ETag", "")


async def _completed(
    bucket: Bucket, key: str, upload: str, tags: list[tuple[int, str, str]], *, once: bool
) -> Reply:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag, quote=False)}</ETag>"
        f"<ChecksumSHA256>{digest}</ChecksumSHA256></Part>"
        for number, etag, digest in tags
    )
    body = (
        '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{parts}</CompleteMultipartUpload>"
    ).encode()
    headers = {"If-None-Match": "*"} if once else {}
    # NoSuchUpload: it was completed by a request whose answer was lost; whoever calls looks.
    may = frozenset({404, 412}) if once else frozenset({404})
    reply = await bucket.sent(
        "POST", key, {"uploadId": upload}, body, headers, may=may, storing=True
    )
    if reply.status == 404 and reply.code != "NoSuchUpload":
        raise bucket.wrong(reply)
    if reply.status == 412:
        await _aborted(bucket, key, upload)
    return reply


async def _aborted(bucket: Bucket, key: str, upload: str) -> None:
    await bucket.sent("DELETE", key, {"uploadId": upload}, may=frozenset({403, 404}))
