"""The worker of `scanseal ledger verify PATH…`: reads what was exported, and believes nothing.

    segment   <day>.jsonl + <day>.p7s ──▶ SegmentSeen: where its chain begins, ends and breaks,
                                          and what its seal is worth
    note      note.xml, manifest.json ──▶ NoteSeen: the ledger hash that it carries

Runs as `python -I -m daemon.examine`, which can read the files that were named and
reach nothing else (I10). The main process takes only the values below from here.

A seal counts if its signer's certificate is one that was given, or leads to one
through authorities, each valid at the time that the seal names. Whether one was
revoked is not asked: that is the auditor's, with the list of that time.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from daemon import cms, ledger
from daemon.certificate import describe
from daemon.child import serve
from daemon.document import utc_text
from daemon.errors import CorruptionError, DaemonError

MAX_SEAL: Final = 1 << 20
MAX_NOTE: Final = 16 << 20
MAX_TEXT: Final = 300
MAX_LINE: Final = 16 << 20
DEEPEST: Final = 6
"""No chain of certificates is longer."""
HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A hash that was asked for, and the number of the line that has it."""

    hash: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSeen:
    """One day's file, as far as its chain holds."""

    digest: str = ""
    box_id: str = ""
    first: int = 0
    """0: there is no line to begin with."""
    prev: str = ""
    first_at: str = ""
    last: int = 0
    """The last line that follows the one before."""
    hash: str = ""
    last_at: str = ""
    broken: bool = False
    """What comes after `last` does not follow it."""
    seal: str = "missing"
    """good, missing, invalid, untrusted, or outdated: at its time the certificate was not valid."""
    why: str = ""
    """What is wrong with the seal, in the words of `daemon/cms.py`."""
    signer: str = ""
    certificate: str = ""
    """The SHA-256 of the signer's certificate."""
    seal_digest: str = ""
    """The SHA-256 of the seal itself; "" where there is none that can be read."""
    signed_at: str = ""
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSeen:
    """What a transfer note or a manifest says of the ledger."""

    kind: str
    """note, manifest, pdf (which another worker reads), or unknown."""
    document: str = ""
    box_id: str = ""
    at: str = ""
    """When the document was sealed."""
    hash: str = ""


def segment(argument: dict[str, Any]) -> dict[str, Any]:
    """Look at one day; runs in the worker. OSError ends it: the main process has looked before."""
    seal = b""
    if argument["seal"]:
        with Path(argument["seal"]).open("rb") as file:
            seal = file.read(MAX_SEAL)
    facts: dict[str, Any] = {}
    parsed = None
    if seal:
        try:
            parsed = _Seal.of(seal)
        except Exception:  # noqa: BLE001 (hostile bytes raise anything)
            facts = {"seal": "invalid", "why": "it is no CMS"}
    name = parsed.algorithm if parsed else "sha256"
    hashed = hashlib.new(name)
    facts |= _followed(Path(argument["lines"]), frozenset(argument["wanted"]), hashed)
    if parsed:
        trusted = [bytes.fromhex(one) for one in argument["trusted"]]
        facts |= parsed.judged(hashed.digest(), trusted)
    return asdict(SegmentSeen(**facts))


def _followed(path: Path, wanted: frozenset[str], sealed: Any) -> dict[str, Any]:
    """Follow the chain through a file to its end or its first break; hash all of it."""
    whole = hashlib.sha256()
    facts: dict[str, Any] = {"broken": False}
    found: list[dict[str, Any]] = []
    head: ledger.Head | None = None
    text = ""
    with path.open("rb") as file:
        while raw := file.readline(MAX_LINE):
            whole.update(raw)
            sealed.update(raw)
            if facts["broken"]:
                continue
            try:
                text = _line(raw)
                if head is None:
                    begins = _beginning(text)
                    head = ledger.Head(begins["first"] - 1, begins["prev"])
                    facts |= begins
                head = ledger.follow(head, text)
            except (CorruptionError, UnicodeDecodeError):
                facts["broken"] = True
                continue
            facts |= {"last": head.seq, "hash": head.hash}
            if head.hash in wanted:
                found.append({"hash": head.hash, "seq": head.seq})
            last = text
    if head is None or "last" not in facts:
        return {"broken": True, "digest": whole.hexdigest()}
    return facts | {
        "digest": whole.hexdigest(),
        "last_at": _text(json.loads(last)["at"]),
        "found": found,
    }


def _line(raw: bytes) -> str:
    if not raw.endswith(b"\n"):
        raise CorruptionError("ledger-damaged", "the last line breaks off")
    return raw[:-1].decode()


def _beginning(text: str) -> dict[str, Any]:
    """Return how a file begins: what its first line says of itself, as far as that can be."""
    try:
        line = json.loads(text)
        first, prev = line["seq"], line["prev"]
        said = {"box_id": line["box_id"], "first_at": line["at"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorruptionError("ledger-damaged", "no line") from None
    plausible = type(first) is int and 0 < first <= ledger.SAFE_INTEGER and isinstance(prev, str)
    if not plausible or not HASH.fullmatch(prev) or (first == 1 and prev != ledger.START):
        raise CorruptionError("ledger-damaged", "no line")
    return {"first": first, "prev": prev} | {key: _text(value) for key, value in said.items()}


# -- the seal --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seal:
    """A CMS, taken apart as far as `cms.check` has to be told what it should find."""

    whole: bytes
    algorithm: str
    certificate: bytes
    others: tuple[bytes, ...]
    signed_at: datetime

    @classmethod
    def of(cls, data: bytes) -> _Seal:
        from asn1crypto import cms as asn1_cms  # noqa: PLC0415 (in the worker only)

        signed = asn1_cms.ContentInfo.load(data, strict=True)["content"]
        (signer,) = signed["signer_infos"]
        certificates = [one.chosen for one in signed["certificates"]]
        name = signer["sid"].chosen
        (certificate,) = [
            one
            for one in certificates
            if one.issuer.dump() == name["issuer"].dump()
            and one.serial_number == name["serial_number"].native
        ]
        times = [
            a["values"][0].native
            for a in signer["signed_attrs"]
            if a["type"].native == "signing_time"
        ]
        (signed_at,) = times
        algorithm = signer["digest_algorithm"]["algorithm"].native
        if algorithm not in {"sha256", "sha384", "sha512"}:
            raise ValueError("a digest that is none of ours")
        return cls(
            whole=data,
            algorithm=algorithm,
            certificate=certificate.dump(),
            others=tuple(one.dump() for one in certificates if one is not certificate),
            signed_at=signed_at.astimezone(UTC),
        )

    def judged(self, digest: bytes, trusted: list[bytes]) -> dict[str, Any]:
        """Return what this seal over *digest* is worth."""
        facts = {"signed_at": utc_text(self.signed_at), "signer": ""}
        facts |= {
            "certificate": cms.sha256(self.certificate),
            "seal_digest": cms.sha256(self.whole),
        }
        try:
            about = describe(self.certificate, self.signed_at)
            facts["signer"] = _text(f"{about.subject}, serial {about.serial}")
            cms.check(self.whole, digest, self.certificate, self.others, detached=True)
            path = _path(self.certificate, [*trusted, *self.others], frozenset(trusted), ())
        except DaemonError as exc:
            return facts | {"seal": "invalid", "why": _text(exc.args[0])}
        except Exception:  # noqa: BLE001 (certificates of others raise anything)
            return facts | {"seal": "invalid", "why": "its certificates cannot be read"}
        if not path:
            return facts | {"seal": "untrusted"}
        loaded = [x509.load_der_x509_certificate(one) for one in path]
        in_time = all(
            one.not_valid_before_utc <= self.signed_at <= one.not_valid_after_utc for one in loaded
        )
        return facts | {"seal": "good" if in_time else "outdated"}


def _path(
    one: bytes, issuers: list[bytes], trusted: frozenset[bytes], below: tuple[bytes, ...]
) -> tuple[bytes, ...]:
    """Return the certificates from the signer's to a trusted one; () if none leads there."""
    here = (*below, one)
    if one in trusted:
        return here
    if len(here) < DEEPEST:
        for issuer in issuers:
            if issuer in here or not _issued(one, issuer):
                continue
            if path := _path(issuer, issuers, trusted, here):
                return path
    return ()


def _issued(one: bytes, issuer: bytes) -> bool:
    """Return whether *issuer* is an authority, and its key signed *one*."""
    authority = x509.load_der_x509_certificate(issuer)
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
        if not constraints.ca or not usage.key_cert_sign:
            return False
        x509.load_der_x509_certificate(one).verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return True


# -- notes -----------------------------------------------------------------------------------------


def note(argument: dict[str, Any]) -> dict[str, Any]:
    """Read one note or manifest; runs in the worker."""
    with Path(argument["file"]).open("rb") as file:
        data = file.read(MAX_NOTE)
    if b"%PDF-" in data[:1024]:
        return asdict(NoteSeen(kind="pdf"))
    try:
        seen = _manifest(data) if data.lstrip()[:1] == b"{" else _note(data)
    except Exception:  # noqa: BLE001 (hostile bytes raise anything)
        return asdict(NoteSeen(kind="unknown"))
    return asdict(seen)


def _manifest(data: bytes) -> NoteSeen:
    said = json.loads(data)
    return NoteSeen(
        kind="manifest",
        document=_text(said["document"]),
        box_id=_text(said["box_id"]),
        at=_text(said["sealed_at"]),
        hash=_text(said["ledger"]["hash"]),
    )


def _note(data: bytes) -> NoteSeen:
    """Read the elements of note.xml that matter here, whatever stands around them."""
    found: dict[str, str] = {}
    text: list[str] = []

    def start(_name: str, _attributes: dict[str, str]) -> None:
        text.clear()

    def end(name: str) -> None:
        found.setdefault(name.rpartition(" ")[2], "".join(text).strip())
        text.clear()

    def no_doctype(*_: object) -> None:
        # A note has none; without it there are no entities that could grow.
        raise ValueError("a note with a document type")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = no_doctype
    parser.Parse(data, True)
    return NoteSeen(
        kind="note",
        document=_text(found["document"]),
        box_id=_text(found["box_id"]),
        at=_text(found["sealed_at"]),
        hash=_text(found["ledger_hash"]),
    )


def _text(value: object) -> str:
    return str(value).encode(errors="replace").decode()[:MAX_TEXT]


if __name__ == "__main__":
    serve({"segment": segment, "note": note})
