"""`scanseal ledger verify PATH…`: from exported files and a certificate alone, each forgery is found."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from daemon import auditreport, cms, ledger, transfernote
from daemon.__main__ import main
from daemon.auditreport import WORDS
from tests.exported import export
from tests.unit.pages_samples import NOTE
from tests.unit.test_cms import token_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHER = "rsa-pss-sha256"
"""Another key, under an authority that has the same name and another key."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with three sealed days, and the certificates beside it."""
    root = tmp_path_factory.mktemp("exported")
    archive = export(root)
    for name, scheme in (("", "ecdsa-sha256"), ("other-", OTHER)):
        token = token_for(scheme)
        for what, der in (("seal", token.certificate), ("ca", token.ca)):
            pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
            (root / f"{name}{what}.pem").write_bytes(pem)
    return archive


class Exported:
    """A copy of it that a test may forge, and the command."""

    def __init__(self, original: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = place
        self.archive = place / "archive"
        shutil.copytree(original, self.archive)
        for pem in original.parent.glob("*.pem"):
            shutil.copy(pem, place)
        self._capsys = capsys

    @property
    def days(self) -> list[Path]:
        return sorted(self.archive.glob("*/segment.jsonl"))

    def lines(self, day: int) -> list[str]:
        return self.days[day].read_text("utf-8").splitlines()

    def write(self, day: int, lines: list[str]) -> None:
        self.days[day].chmod(0o600)
        self.days[day].write_text("".join(line + "\n" for line in lines), "utf-8")

    def head(self, day: int) -> ledger.Head:
        line = self.lines(day)[-1]
        return ledger.Head(json.loads(line)["seq"], ledger.hash_of(line))

    def seal(self, day: int, scheme: str, at: datetime) -> None:
        """Seal a day anew, as it lies there."""
        token = token_for(scheme)
        digest = hashlib.sha256(self.days[day].read_bytes()).digest()
        attributes = cms.detached_attributes(token.template, digest, at)
        path = self.days[day].with_suffix(".p7s")
        path.chmod(0o600)
        path.write_bytes(cms.assemble(token.template, attributes, token.sign(attributes)))

    def drop(self, day: int) -> None:
        shutil.rmtree(self.days[day].parent)

    def verify(self, *more: object, certificate: str = "seal.pem") -> tuple[int, str]:
        """Run the command over the archive; return exit code and what it said."""
        words = ["ledger", "verify", "--certificate", self.root / certificate, self.archive, *more]
        code = main([str(word) for word in words])
        return code, self._capsys.readouterr().out


@pytest.fixture
def exported(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Exported:
    return Exported(original, tmp_path, capsys)


def said(code: str, **values: object) -> str:
    """Return the beginning of a finding's sentence, up to the first value that is not given."""
    text = WORDS[code][1]
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    parts = [part for part in text.replace("}", "{").split("{")[::2] if part.strip()]
    return max(parts, key=len)


@pytest.mark.parametrize("certificate", ["seal.pem", "ca.pem"])
def test_a_ledger_that_is_whole_is_good_with_its_certificate_or_its_authority(
    exported: Exported, certificate: str
) -> None:
    """No configuration, no database, no box: only the files of the archive."""
    code, out = exported.verify(certificate=certificate)

    assert code == 0
    assert out.startswith(WORDS["good"][1])
    assert f"3 segments, lines 1 to {exported.head(2).seq}" in out
    assert exported.head(2).hash in out
    assert "3 segments sealed by CN=Scanseal Demo Seal" in out
    assert exported.verify("--language", "de")[1].startswith(WORDS["good"][0])


def test_the_files_of_the_box_and_single_files_do_as_well(
    original: Path, exported: Exported
) -> None:
    """The same day twice is one day; the one that still runs has no seal yet, and that is said."""
    state = original.parent / "state" / "ledger"
    pem = exported.root / "seal.pem"
    sealed = sorted(str(path) for path in state.glob("*.p7s"))
    files = [path.replace(".p7s", ".jsonl") for path in sealed]

    assert main(["ledger", "verify", *files, *sealed, "--certificate", str(pem)]) == 0
    code, out = exported.verify(state)
    assert code == 1
    assert out.count(said("seal-missing")) == 1


def test_the_boxes_that_share_an_archive_are_checked_one_by_one(
    exported: Exported, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each has a chain of its own: which one is meant has to be said."""
    first = [day.parent for day in exported.days]
    second = list(export(tmp_path_factory.mktemp("second"), 1).iterdir())
    for folder in second:
        shutil.copytree(folder, exported.archive / folder.name)

    code, out = exported.verify()
    assert code == 1
    assert said("several-boxes") in out
    pem = str(exported.root / "seal.pem")
    for folders in (first, second):
        assert main(["ledger", "verify", *map(str, folders), "--certificate", pem]) == 0


def deleted(lines: list[str]) -> list[str]:
    return [*lines[:2], *lines[3:]]


def changed(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].replace('"n":', '"m":').replace('"at":"2', '"at":"1'), *lines[3:]]


def inserted(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[1], *lines[2:]]


def swapped(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[3], lines[2], *lines[4:]]


@pytest.mark.parametrize("forge", [deleted, changed, inserted, swapped])
@pytest.mark.parametrize("day", [0, 1, 2])
def test_a_line_that_was_forged_is_found(
    exported: Exported, forge: Callable[[list[str]], list[str]], day: int
) -> None:
    """By the chain and by the seal; the other days are still looked at."""
    lines = exported.lines(day)
    exported.write(day, forge(lines))
    after = json.loads(lines[1])["seq"] + (forge is changed)

    code, out = exported.verify()

    assert code == 74
    assert out.startswith(WORDS["damaged"][1])
    assert f"breaks after line {after}" in out
    assert out.count(said("seal-invalid")) == 1


def test_a_changed_line_is_found_by_the_next_ones_even_if_the_seal_is_made_anew(
    exported: Exported,
) -> None:
    """Whoever has the key still cannot change what later lines follow."""
    exported.write(0, changed(exported.lines(0)))
    exported.seal(0, "ecdsa-sha256", datetime.now(UTC) + timedelta(hours=1))

    code, out = exported.verify()

    assert code == 74
    assert said("line-broken") in out
    assert said("seal-invalid") not in out


def test_a_day_that_was_written_anew_from_end_to_end_does_not_fit(exported: Exported) -> None:
    """The forged day is a good chain by itself, sealed by us: the next day follows another one."""
    head, texts = ledger.EMPTY, []
    for line in map(json.loads, exported.lines(0)):
        made = ledger.append(
            head,
            **{key: line[key] for key in ("box_id", "at", "document", "event", "personal_hash")},
            detail={**line["detail"], "forged": True},
        )
        head = ledger.Head(made.seq, made.hash)
        texts.append(made.text)
    exported.write(0, texts)
    exported.seal(0, "ecdsa-sha256", datetime.now(UTC) + timedelta(hours=1))

    code, out = exported.verify()

    assert code == 74
    assert said("not-following") in out
    assert said("line-broken") not in out


def test_the_last_line_of_a_day_that_was_deleted_is_found(exported: Exported) -> None:
    """The seal does not fit any more, and the next day begins too late."""
    lines = exported.lines(1)
    exported.write(1, lines[:-1])

    code, out = exported.verify()

    last = json.loads(lines[-1])["seq"]
    assert code == 74
    assert f"Lines {last} to {last} are missing" in out
    assert said("seal-invalid") in out


def test_a_whole_day_that_was_deleted_is_found(exported: Exported) -> None:
    """It says which lines are missing."""
    first, last = json.loads(exported.lines(1)[0])["seq"], exported.head(1).seq
    exported.drop(1)

    code, out = exported.verify()

    assert code == 74
    assert f"Lines {first} to {last} are missing" in out


def test_without_the_first_days_it_says_from_which_line_on(exported: Exported) -> None:
    """Perhaps they were not given: nothing shows damage, but not all is proven."""
    exported.drop(0)

    code, out = exported.verify()

    assert code == 1
    assert f"begins here at line {json.loads(exported.lines(0)[0])['seq']} only" in out


def test_a_seal_of_another_day_is_found(exported: Exported) -> None:
    """A replaced p7s: a good seal, for other bytes."""
    seals = [path.with_suffix(".p7s") for path in exported.days]
    seals[1].chmod(0o600)
    shutil.copyfile(seals[0], seals[1])

    code, out = exported.verify()

    assert code == 74
    assert said("seal-invalid") in out


@pytest.mark.parametrize("certificate", ["seal.pem", "ca.pem"])
def test_a_day_that_somebody_else_sealed_is_found(exported: Exported, certificate: str) -> None:
    """Also under an authority that has only the name of ours."""
    exported.seal(1, OTHER, datetime.now(UTC))

    code, out = exported.verify(certificate=certificate)

    assert code == 74
    assert out.count(said("seal-untrusted")) == 1
    assert exported.verify(certificate="other-ca.pem")[1].count(said("seal-untrusted")) == 2
    more = exported.root / "other-seal.pem"
    assert exported.verify("--certificate", more, certificate=certificate)[0] == 0


def test_a_seal_from_after_its_certificate_is_found(exported: Exported) -> None:
    """The time that the seal names counts, not that of the audit: that may be years later."""
    exported.seal(1, "ecdsa-sha256", datetime(2031, 1, 1, tzinfo=UTC))

    code, out = exported.verify()

    assert code == 74
    assert said("seal-outdated") in out


def test_a_day_without_its_seal_is_not_proven(exported: Exported) -> None:
    """Its lines still are in the chain."""
    exported.days[1].with_suffix(".p7s").unlink()

    code, out = exported.verify()

    assert code == 1
    assert said("seal-missing") in out


def test_the_end_that_was_cut_off_is_found_by_a_head_from_mqtt(exported: Exported) -> None:
    """The chain alone cannot show it: what is left is whole."""
    head = exported.head(2)
    anchor = f"{head.seq}:{head.hash}"
    assert exported.verify("--head", anchor)[0] == 0
    exported.drop(2)

    assert exported.verify()[0] == 0
    code, out = exported.verify("--head", anchor)
    assert code == 74
    assert f"ends at line {exported.head(1).seq}" in out
    assert f"line {head.seq} was published" in out


def test_a_head_that_is_another_one_is_found(exported: Exported) -> None:
    """A head of a line that is there has to be that line's; one before the beginning is not asked."""
    head = exported.head(0)

    assert said("head-differs") in exported.verify("--head", f"{head.seq}:{'a' * 64}")[1]
    assert exported.verify("--head", f"{head.seq - 1}:{head.hash}")[0] == 74
    exported.drop(0)
    code, out = exported.verify("--head", f"{head.seq}:{head.hash}")
    assert code == 1
    assert said("head-before") in out


def manifest(exported: Exported, hashed: str, at: str = "2026-11-25T10:00:00.000Z") -> Path:
    box = json.loads(exported.lines(0)[0])["box_id"]
    said = {"document": "d", "box_id": box, "sealed_at": at, "ledger": {"seq": 1, "hash": hashed}}
    path = exported.root / "manifest.json"
    path.write_text(json.dumps(said), "utf-8")
    return path


def note(exported: Exported, hashed: str, at: str = "2026-11-25T10:00:00.000Z") -> Path:
    box = json.loads(exported.lines(0)[0])["box_id"]
    path = exported.root / "note.xml"
    made = replace(NOTE, ledger_hash=hashed, box_id=box, sealed_at=at)
    path.write_bytes(transfernote.as_xml(made))
    return path


@pytest.mark.parametrize("make", [manifest, note])
def test_the_end_that_was_cut_off_is_found_by_what_was_delivered(
    exported: Exported, make: Callable[..., Path]
) -> None:
    """Each delivered note carries the newest hash of its time: it anchors the chain."""
    delivered = make(exported, exported.head(2).hash)
    assert exported.verify("--note", delivered)[0] == 0
    exported.drop(2)

    code, out = exported.verify("--note", delivered)

    assert code == 74
    assert f"ends at line {exported.head(1).seq}" in out
    assert "sealed 2026-11-25T10:00:00.000Z) carries a hash that is not in it" in out


def test_a_note_that_cannot_be_in_the_chain_is_not_held_against_it(exported: Exported) -> None:
    """Older than the first day that was given, of another box, or no note at all."""
    foreign = note(exported, "a" * 64)
    foreign.write_bytes(foreign.read_bytes().replace(b"<box_id>", b"<box_id>f"))
    code, out = exported.verify("--note", foreign)
    assert (code, said("note-other-box") in out) == (1, True)

    exported.drop(0)
    old = manifest(exported, "a" * 64, at="2026-11-23T09:00:00.000Z")
    code, out = exported.verify("--note", old)
    assert (code, said("note-before") in out) == (1, True)


HOSTILE = (
    b"",
    b"{",
    b"[" * 100_000,
    b'{"seq": 1e999, "prev": 1}',
    b'{"seq": true, "prev": "' + b"0" * 64 + b'", "box_id": "", "at": ""}\n',
    b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
    b"%PDF-1.7 and nothing more",
    bytes(range(256)) * 40,
    b"\x30\x84\xff\xff\xff\xff",
)


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes_are_no_proof_and_no_traceback(exported: Exported, data: bytes) -> None:
    """In the place of lines, of a seal and of a note."""
    odd = exported.root / "odd"
    odd.write_bytes(data)
    assert exported.verify("--note", odd)[0] == 1

    for path, expected in (
        (exported.days[0].with_suffix(".p7s"), {1, 74}),
        (exported.days[1], {74}),
    ):
        path.chmod(0o600)
        path.write_bytes(data)
        assert exported.verify()[0] in expected


def test_what_stands_in_a_foreign_file_does_nothing_to_a_terminal(exported: Exported) -> None:
    """Names and times out of files are shown with everything unprintable escaped."""
    bad = manifest(exported, "a" * 64, at="2026\x1b[2J\n")

    code, out = exported.verify("--note", bad)

    assert code == 74
    assert "\x1b" not in out
    assert "\\x1b[2J\\x0a" in out


@pytest.mark.parametrize(
    "words",
    [
        ["."],
        ["--certificate", "seal.pem"],
        [".", "--certificate", "seal.pem", "--head", "12:abc"],
        [".", "--certificate", "seal.pem", "--head", "-1:" + "a" * 64],
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    """Without a certificate nothing could be said of a seal; anchors alone hold nothing."""
    with pytest.raises(SystemExit) as caught:
        main(["ledger", "verify", *words])

    assert caught.value.code == 2


def test_a_folder_without_segments_proves_nothing(exported: Exported) -> None:
    """Exit code 1: it may be the wrong folder."""
    for day in (2, 1, 0):
        exported.drop(day)

    code, out = exported.verify()

    assert code == 1
    assert WORDS["nothing-found"][1] in out


def test_openssl_accepts_the_seal_and_refuses_it_for_other_bytes(
    exported: Exported, tmp_path: Path
) -> None:
    """As docs/ledger.md shows it: an auditor needs nothing of ours."""
    day = exported.days[0]
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "segment.p7s"]
    command += ["-content", "segment.jsonl", "-CAfile", str(exported.root / "ca.pem")]
    # The certificate of this test is valid from the first day of the ledger on.
    command += ["-attime", str(int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()))]
    command += ["-purpose", "any", "-out", str(tmp_path / "out")]

    def run() -> int:
        return subprocess.run(command, cwd=day.parent, capture_output=True, check=False).returncode

    assert run() == 0
    assert (tmp_path / "out").read_bytes() == day.read_bytes()
    exported.write(0, changed(exported.lines(0)))
    assert run() != 0


def test_every_finding_has_its_sentence_in_both_languages() -> None:
    """And each sentence takes the same values in both."""
    for code, (german, english) in auditreport.WORDS.items():
        assert german != english, code
        values = [set(text.replace("}", "{").split("{")[1::2]) for text in (german, english)]
        assert values[0] == values[1], code
