"""A backup: whole or not there, of one moment, and with nothing in it that opens anything."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.backup import DATABASE, backup, is_whole, sums
from daemon.document import Digest, Document, Part, folder_of
from daemon.errors import CorruptionError, PersonNeeded
from daemon.rebuild import rebuild
from daemon.records import journal
from daemon.records.reader import open_reader
from daemon.spool import Spool
from tests.intake import mounted
from tests.values import LATER, NOW, arrival, claimed, events, sealed


def silent(what: str, done: int, total: int = 0) -> None:
    del what, done, total


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where backups go."""
    return tmp_path_factory.mktemp("backups")


def with_files(spool: Spool, number: int = 1) -> Document:
    """A claimed document with its files, as the claim leaves them."""
    data = b"original %d" % number
    document = spool.claim(replace(arrival(number), size=len(data)), NOW)
    folder = folder_of(spool.documents, document.id)
    folder.mkdir(parents=True)
    (folder / "document.json").write_bytes(b"{}")
    (folder / "original.pdf").write_bytes(data)
    (folder / ".sealed.pdf.0123").write_bytes(b"half")
    return document


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_backup_is_whole_and_can_be_rebuilt_from(spool: Spool, state: Path, place: Path) -> None:
    """What `sha256sum` checks is all there is; the ledger goes to the database's last line."""
    document = with_files(spool)
    (state / "control.sock").write_bytes(b"")
    spool.claim(arrival(2), LATER)  # not in the ledger's files yet

    made = backup(state, place, silent, LATER)

    assert (made.documents, made.doubtful, made.head) == (2, (), spool.head())
    assert is_whole(made.folder)
    found = files(made.folder)
    here = str(folder_of(Path("documents"), document.id))
    assert found.keys() - {"SHA256SUMS"} == {
        *(DATABASE, "ledger/2026-11-22.jsonl", "ledger/2026-11-22.personal.jsonl"),
        *(f"{here}/document.json", f"{here}/original.pdf"),
    }
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=made.folder, check=False
    )
    assert checked.returncode == 0
    assert dict(sums(made.folder)).keys() == found.keys() - {"SHA256SUMS"}
    assert not [path for path in made.folder.rglob("*") if path.stat().st_mode & 0o077]
    elsewhere = place / "state"
    shutil.copytree(made.folder, elsewhere)
    assert rebuild(elsewhere, [], lambda _: None).documents == 2


def test_what_comes_meanwhile_is_not_in_it(spool: Spool, state: Path, place: Path) -> None:
    """One moment: neither a line nor a personal detail from after the database's copy."""
    claimed(spool, 1)
    before = spool.head()

    def go_on(what: str, done: int, total: int = 0) -> None:
        """Play the service: this is called once the database is copied."""
        assert (what, done, total) == ("lines", before.seq, 0)
        claimed(spool, 2)
        spool.note("start", {}, {"who": "Erika"}, NOW + timedelta(days=1))
        spool.export_ledger()

    made = backup(state, place, go_on, LATER)

    assert made.head == before != spool.head()
    assert journal.verify_files(made.folder / "ledger") == before
    assert b"Erika" not in b"".join(files(made.folder / "ledger").values())
    assert [path.name for path in journal.files(made.folder / "ledger")] == ["2026-11-22.jsonl"]


def test_the_same_bytes_are_written_once(spool: Spool, state: Path, place: Path) -> None:
    """An earlier backup has them; but only if they read well there."""
    good, bad = with_files(spool, 1), with_files(spool, 2)
    first = backup(state, place, silent, NOW)
    second = backup(state, place, silent, LATER)
    names = [folder_of(Path("documents"), one.id) / "original.pdf" for one in (good, bad)]
    assert second.new_bytes == 0
    assert (first.folder / names[0]).samefile(second.folder / names[0])

    (second.folder / names[1]).write_bytes(b"original 3")
    third = backup(state, place, silent, LATER + timedelta(seconds=1))

    assert third.new_bytes == len(b"original 2")
    assert (third.folder / names[0]).samefile(first.folder / names[0])
    assert (third.folder / names[1]).read_bytes() == b"original 2"


def test_a_document_that_was_sealed_meanwhile_is_copied_again(
    spool: Spool, state: Path, place: Path
) -> None:
    """Else the row would speak of another file than the one beside it, and it would be held."""
    document = sealed(spool, claimed(spool), NOW)
    spool.give_back(document, NOW)
    document = spool.document(document.id)
    folder = folder_of(spool.documents, document.id)
    folder.mkdir(parents=True)
    data = b"stamped since"
    (folder / "original.pdf").write_bytes(b"original 0")
    (folder / "sealed.pdf").write_bytes(data)
    stamped = Part(role="sealed", file="sealed.pdf", digest=Digest.of(data), size=len(data))
    copies = []

    def stamp(what: str, done: int, total: int = 0) -> None:
        del done, total
        if what == "lines":  # the database is copied
            copies.append(what)
            if len(copies) == 1:
                spool.stamp(document, stamped, "B-T", LATER, LATER)

    made = backup(state, place, stamp, LATER)

    assert len(copies) == 2
    assert made.doubtful == ()
    with closing(open_reader(made.folder / DATABASE)) as reader:
        assert reader.document(document.id).sealed == stamped.digest


def test_a_file_that_cannot_be_read_is_named_and_stops_no_other(
    spool: Spool, state: Path, place: Path
) -> None:
    """The day on which the disk begins to fail is the day for a backup."""
    bad, good = with_files(spool, 1), with_files(spool, 2)
    original = folder_of(spool.documents, bad.id) / "original.pdf"
    original.unlink()
    original.symlink_to("/nowhere/at/all")

    made = backup(state, place, silent, LATER)

    assert made.doubtful == (str(original.relative_to(state)),)
    assert f"{folder_of(Path('documents'), good.id)}/original.pdf" in files(made.folder)


@pytest.mark.parametrize("how", ["changed", "missing"])
def test_i2_an_original_that_is_not_its_rows_is_named(
    spool: Spool, state: Path, place: Path, how: str
) -> None:
    """It lies nowhere else yet: a backup that looks good would be believed for years."""
    bad = with_files(spool, 1)
    with_files(spool, 2)
    original = folder_of(spool.documents, bad.id) / "original.pdf"
    if how == "changed":
        original.write_bytes(b"0riginal 1")
    else:
        original.unlink()
    rounds = []

    def count(what: str, done: int, total: int = 0) -> None:
        del done, total
        rounds.extend([what] * (what == "lines"))

    made = backup(state, place, count, LATER)

    assert made.doubtful == (bad.id,)
    assert len(rounds) == 2  # that nobody works on it is seen at once


def test_what_was_forgotten_is_missed_by_nobody(spool: Spool, state: Path, place: Path) -> None:
    """A discarded scan, after its time: its folder holds what stays."""
    document = with_files(spool, 1)
    spool.refuse(document, "pdf-damaged", "", NOW)
    spool.discard(document.id, "uid 0", "scanned again", NOW)
    (folder_of(spool.documents, document.id) / "original.pdf").unlink()

    assert backup(state, place, silent, LATER).doubtful == ()


def test_two_at_once_would_remove_each_others(spool: Spool, state: Path, place: Path) -> None:
    """The second is refused, and takes nothing of the first along."""
    claimed(spool)
    refused = []

    def again(what: str, done: int, total: int = 0) -> None:
        del what, done, total
        with pytest.raises(PersonNeeded) as caught:
            backup(state, place, silent, LATER)
        refused.append(caught.value.code)

    made = backup(state, place, again, NOW)

    assert set(refused) == {"backup-running"}
    assert is_whole(made.folder)


@pytest.mark.parametrize("where", ["inside", "missing", "file"])
def test_it_goes_only_where_it_is_told_to(
    spool: Spool, state: Path, place: Path, where: str
) -> None:
    """A disk that is not mounted must not be replaced by the folder below it."""
    claimed(spool)
    (place / "file").touch()
    target = state / "documents" if where == "inside" else place / where

    with pytest.raises(PersonNeeded) as caught:
        backup(state, target, silent, LATER)

    assert caught.value.code == "backup-unusable"


def test_nothing_half_looks_whole_and_nothing_foreign_is_touched(
    spool: Spool, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A full disk, and what a kill left behind."""
    with_files(spool)
    with mounted(tmp_path_factory.mktemp("disk"), "1m") as place:
        fills_up(spool, state, place)


def fills_up(spool: Spool, state: Path, place: Path) -> None:
    box = spool.box_id()[:8]
    left = place / f".scanseal-{box}-20261122T1200000Z.part"
    left.mkdir()
    foreign = [place / "photos", place / ".scanseal-ffffffff-20261122T120000000Z.part"]
    for folder in foreign:
        folder.mkdir()
        (folder / "a").write_bytes(b"mine")

    large = folder_of(spool.documents, with_files(spool, 2).id) / "original.pdf"
    large.write_bytes(bytes(1 << 20))
    with pytest.raises(PersonNeeded) as caught:
        backup(state, place, silent, LATER)

    assert caught.value.code == "backup-full"
    assert sorted(place.iterdir()) == sorted(foreign)
    large.write_bytes(b"original 2")
    made = backup(state, place, silent, LATER)
    assert sorted(place.iterdir()) == sorted([*foreign, made.folder])
    assert all((folder / "a").read_bytes() == b"mine" for folder in foreign)


def test_a_damaged_ledger_is_no_backup(spool: Spool, state: Path, place: Path) -> None:
    """What is copied has to be a chain that can be followed."""
    claimed(spool, 1)
    claimed(spool, 2)
    spool.export_ledger()
    (path,) = journal.files(state / "ledger")
    path.write_bytes(path.read_bytes().replace(b'"size":1000', b'"size":1001', 1))

    with pytest.raises(CorruptionError) as caught:
        backup(state, place, silent, LATER)

    assert caught.value.code == "ledger-damaged"
    assert not list(place.iterdir())
    assert "claim" in events(spool)
