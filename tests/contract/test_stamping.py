"""Time stamps through the real path: SoftHSM, a real authority, a real worker that reads its answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from daemon import certificate, durable, gap, notary, timestamped, verify
from daemon import stamping as stamping_stage
from daemon.commands import Commands
from daemon.document import Document, State
from daemon.errors import TransientError
from daemon.pages.dss import Store
from daemon.pagetasks import reserve_for
from daemon.parts import Parts
from daemon.proofs import Proofs
from daemon.records.journal import entries
from daemon.revocation import Revocations
from daemon.sandbox import Sandbox
from daemon.spool import Spool
from daemon.stamping import STAMPED, settle
from daemon.timestamp import TimeStamps
from daemon.workers import Worker
from tests import certomancer
from tests.sealing import Sealing, now, sealing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from tests.certomancer import Authority, IssuedFiles

LEVEL = 'level = "B-T"\n'


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IssuedFiles, Authority]]:
    """A token, and the CA of its certificate with its time-stamp authority running."""
    files, made = certomancer.token_and_authority(tmp_path_factory.mktemp("pki"))
    made.start()
    yield files, made
    made.stop()


@asynccontextmanager
async def stamping(
    root: Path, files: IssuedFiles, made: Authority, *urls: str, profile: str = LEVEL
) -> AsyncIterator[tuple[Sealing, Worker]]:
    """A sealer whose stamper asks *urls*, or else the authority that runs."""
    urls = urls or (made.tsa_url,)
    worker = Worker(
        "daemon.notary", place=root, limits=notary.LIMITS, sandbox=Sandbox(read=(), apart=())
    )
    stamps = TimeStamps(urls, lambda: certificate.load_pem(made.chain), worker, now)
    seal = f'timestamp_urls = {json.dumps(list(urls))}\ntimestamp_chain = "{made.chain}"\n'
    try:
        async with sealing(root, files, profile=profile, seal=seal, authority=stamps) as here:
            assert await here.key.usable(), here.key.problems
            yield here, worker
    finally:
        await worker.stop()


def cms_of(document: Document, folder: Path) -> tuple[bytes, bytes]:
    """The CMS in the sealed file without its token, and the token."""
    assert document.gap
    seen = gap.look(folder / "sealed.pdf", gap.Gap(*document.gap, document.sealed_size))
    return timestamped.split(timestamped.unpadded(gap.contents_of(seen)))


def test_a_sealed_file_gets_its_token_and_every_validator_sees_it(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """SEALED, STAMPED, FROZEN; the bytes around the gap are the ones that were signed."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            document = await here.claim(drawn["brief.pdf"])
            before = await here.sealer.seal(document, here.key)
            assert (before.state, before.level, before.stamp) == (State.SEALED, "B-B", "wanted")
            folder = here.sealer.folder(before)
            plain = (folder / "sealed.pdf").read_bytes()

            after = await here.sealer.stamp(before, here.key)

            assert (after.state, after.level, after.stamp) == (State.FROZEN, "B-T", "")
            assert after.stamped_at is not None
            assert abs(after.stamped_at - now()) < timedelta(minutes=1)
            stamped = (folder / "sealed.pdf").read_bytes()
            assert durable.digest_of(folder / "sealed.pdf") == (after.sealed, after.sealed_size)
            assert not (folder / STAMPED).exists()
            start, end = after.gap or (0, 0)
            assert (plain[:start], plain[end:]) == (stamped[:start], stamped[end:])
            assert plain[start:end] != stamped[start:end]
            manifest = json.loads((folder / "manifest.json").read_text())
            assert (manifest["level"], manifest["parts"][1]["sha256"]) == (
                "B-T",
                str(after.sealed),
            )
            _openssl_agrees(made, *cms_of(after, folder), tmp_path)

    asyncio.run(main())


def _openssl_agrees(made: Authority, bare: bytes, token: bytes, place: Path) -> None:
    """`openssl ts` verifies the token over the signature's value."""
    (place / "token").write_bytes(token)
    digest = hashlib.sha256(timestamped.signature_value(bare)).hexdigest()
    verify = [
        "openssl",
        "ts",
        "-verify",
        "-digest",
        digest,
        "-token_in",
        "-in",
        str(place / "token"),
    ]
    done = subprocess.run(
        [*verify, "-CAfile", str(made.root), "-untrusted", str(made.chain)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Verification: OK" in done.stdout + done.stderr, done.stderr


def test_while_no_authority_answers_documents_wait_and_are_stamped_when_one_does(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """Sealed at once; nothing is lost, nothing is sent; an alarm, which goes by itself."""
    files, made = issued
    dead = f"http://127.0.0.1:{certomancer.free_port()}/tsa"

    async def main() -> None:
        async with stamping(tmp_path, files, made, dead) as (here, worker):
            document = await here.claim(drawn["foto.jpg"])
            sealed = await here.sealer.seal(document, here.key)

            again = await here.sealer.stamp(sealed, here.key)

            assert (again.state, again.step, again.tries) == (State.SEALED, "", 0)
            assert [alarm.code for alarm in here.alarms.now()] == ["timestamp-unavailable"]
            assert "127.0.0.1: ClientConnectorError" in here.alarms.now()[0].detail
            stamper = here.stamper
            assert await stamper.due(2) == []  # not again at once
            stamper._authority = TimeStamps(
                (dead, made.tsa_url), lambda: certificate.load_pem(made.chain), worker, now
            )
            sealed = await here.spool(Spool.document, sealed.id)
            done = await here.sealer.stamp(sealed, here.key)
            assert (done.state, done.level) == (State.FROZEN, "B-T")
            assert here.alarms.now() == ()

    asyncio.run(main())


@pytest.mark.parametrize("policy", ["deliver", "hold"])
def test_a_document_that_waited_too_long_is_delivered_or_held(
    tmp_path: Path,
    issued: tuple[IssuedFiles, Authority],
    drawn: dict[str, Path],
    policy: str,
) -> None:
    """By its profile: as B-B with a remark, or not at all; either way somebody is told."""
    files, made = issued
    dead = f"http://127.0.0.1:{certomancer.free_port()}/tsa"
    profile = f'{LEVEL}on_no_timestamp = "{policy}"\ntimestamp_wait_hours = 1\n'

    async def main() -> None:
        async with stamping(tmp_path, files, made, dead, profile=profile) as (here, _):
            document = await here.claim(drawn["foto.jpg"])
            sealed = await here.sealer.seal(document, here.key)
            sealed = await here.sealer.stamp(sealed, here.key)
            stamper = here.stamper
            assert not stamper.gives_up(sealed)
            stamper._clock = lambda: now() + timedelta(hours=2)

            due = await stamper.due(2)

            codes = {alarm.code for alarm in here.alarms.now()} - {"timestamp-unavailable"}
            if policy == "hold":
                assert (due, codes) == ([], {"timestamp-overdue"})
                assert not stamper.gives_up(sealed)
                return
            assert ([one.id for one in due], codes) == ([sealed.id], {"timestamp-given-up"})
            assert stamper.gives_up(sealed)
            done = await here.sealer.give_up(sealed, here.key)
            assert (done.state, done.level, done.stamp) == (State.FROZEN, "B-B", "given-up")
            assert "level-not-reached" in done.findings
            manifest = json.loads((here.sealer.folder(done) / "manifest.json").read_text())
            assert manifest["level"] == "B-B"
            assert "level-not-reached" in manifest["findings"]
            line = json.loads((await here.spool(Spool.lines, done.id))[-1])
            assert (line["event"], line["detail"]["level"]) == ("freeze", "given-up")

    asyncio.run(main())


def test_a_crash_around_the_commit_leaves_the_committed_file(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """Before it the new file is nobody's and goes; after it, it is found under its digest."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            document = await here.claim(drawn["foto.jpg"])
            sealed = await here.sealer.seal(document, here.key)
            folder = here.sealer.folder(sealed)
            (folder / STAMPED).write_bytes(b"half of one")
            settle(folder, sealed)
            assert not (folder / STAMPED).exists()
            plain = (folder / "sealed.pdf").read_bytes()
            done = await here.sealer.stamp(sealed, here.key)
            # As if the rename had not happened yet.
            stamped = (folder / "sealed.pdf").read_bytes()
            (folder / STAMPED).write_bytes(stamped)
            (folder / "sealed.pdf").write_bytes(plain)
            settle(folder, done)
            assert (folder / "sealed.pdf").read_bytes() == stamped
            assert not (folder / STAMPED).exists()
            # It had happened, and something else lies there.
            (folder / STAMPED).write_bytes(plain)
            settle(folder, done)
            assert (folder / "sealed.pdf").read_bytes() == stamped
            assert not (folder / STAMPED).exists()

    asyncio.run(main())


def test_the_ledgers_files_know_of_the_time_stamp_before_the_sealed_file_goes(
    tmp_path: Path,
    issued: tuple[IssuedFiles, Authority],
    drawn: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A database that is made again from them must not take the stamped file for damage."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            sealed = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
            ledger = here.sealer.folder(sealed).parents[4] / "ledger"
            seen: list[str] = []

            def settling(folder: Path, document: Document) -> None:
                if document.state is State.STAMPED:
                    seen.extend(json.loads(line)["event"] for line, _ in entries(ledger))
                settle(folder, document)

            monkeypatch.setattr(stamping_stage, "settle", settling)
            await here.sealer.stamp(sealed, here.key)
            assert seen[-1] == "stamp"

    asyncio.run(main())


def test_a_sealed_file_that_was_changed_is_held_and_not_stamped(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """A token for it would say that it was so at that time."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            document = await here.claim(drawn["foto.jpg"])
            sealed = await here.sealer.seal(document, here.key)
            path = here.sealer.folder(sealed) / "sealed.pdf"
            held = bytearray(path.read_bytes())
            held[len(held) // 2] ^= 1
            path.write_bytes(held)

            held_back = await here.sealer.stamp(sealed, here.key)

            assert (held_back.state, held_back.code) == (State.HELD, "own-copy-damaged")

    asyncio.run(main())


def test_b_lt_with_the_evidence_at_hand_and_b_t_without(
    tmp_path: Path, drawn: dict[str, Path]
) -> None:
    """The evidence stands in the first revision; missing, the note says so, and the manifest."""
    files, made = certomancer.token_and_authority(tmp_path / "pki")
    made.start()
    folder = tmp_path / "revocation"
    folder.mkdir()

    async def main() -> None:
        worker = Worker(
            "daemon.notary",
            place=tmp_path,
            limits=notary.LIMITS,
            sandbox=Sandbox(read=(), apart=()),
        )
        stamps = TimeStamps((made.tsa_url,), lambda: certificate.load_pem(made.chain), worker, now)
        held: list[Proofs] = []
        root = tmp_path / "box"
        root.mkdir()
        async with sealing(
            root,
            files,
            profile='level = "B-LT"\n',
            seal=f'timestamp_urls = ["{made.tsa_url}"]\ntimestamp_chain = "{made.chain}"\n',
            authority=stamps,
            proofs=lambda: held[0].store(),  # noqa: PLW0108 (it is made below)
        ) as here:
            revocations = Revocations(folder, worker, now)
            here.key.revocations = revocations
            held.append(Proofs(here.config, here.key, stamps, revocations, here.alarms, now))
            assert await here.key.usable(), here.key.problems
            without = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            await held[0].refresh()
            assert here.alarms.now() == ()
            sealed = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
            # From now on nothing more can be learnt, and nothing needs to be.
            done = await here.sealer.stamp(sealed, here.key)
            late = await here.sealer.stamp(without, here.key)
            made.stop()

            assert (done.state, done.level, done.findings) == (State.FROZEN, "B-LT", ())
            assert (late.state, late.level) == (State.FROZEN, "B-T")
            assert late.findings == ("level-not-reached",)
            for document, level in ((done, "B-LT"), (late, "B-T")):
                held_in = here.sealer.folder(document)
                manifest = json.loads((held_in / "manifest.json").read_text())
                assert manifest["level"] == level
                assert f"<level>{level}</level>" in (held_in / "note.xml").read_text()
            await worker.stop()

    try:
        asyncio.run(main())
    finally:
        made.stop()


def test_a_token_that_comes_when_the_evidence_has_ended_makes_it_b_t(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """As after days without an authority: what it says of the time before proves nothing of that time."""
    files, made = issued

    async def main() -> None:
        profile = 'level = "B-LT"\n'
        async with stamping(tmp_path, files, made, profile=profile) as (here, _):
            levels = []
            authority = here.stamper._authority
            assert isinstance(authority, TimeStamps)
            await authority.token(bytes(32))
            certs = authority.chain
            for left in (timedelta(hours=1), timedelta(hours=-1)):
                here.sealer._proofs = partial(Store, certs=certs, until=now() + left)
                sealed = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
                done = await here.sealer.stamp(sealed, here.key)
                levels.append((done.level, done.findings))
            assert levels[0][0] == "B-LT"
            assert levels[1][0] == "B-T"
            assert "level-not-reached" in levels[1][1]

    asyncio.run(main())


def test_another_authority_than_the_evidence_is_about_makes_it_b_t(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """The file says what it has: its own evidence proves nothing about this authority."""
    files, made = issued

    async def main() -> None:
        store = Store(certs=(b"another",))
        profile = 'level = "B-LT"\n'
        async with stamping(tmp_path, files, made, profile=profile) as (here, _):
            here.sealer._proofs = lambda: store
            sealed = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            done = await here.sealer.stamp(sealed, here.key)

            assert (done.level, done.findings) == ("B-T", ("level-not-reached",))

    asyncio.run(main())


def test_a_token_that_is_too_large_is_told_and_the_next_seals_have_room_for_it(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """Nothing is written that does not fit; the document waits, and what comes then is stamped."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            assert here.stamper.token_bytes >= 8192
            here.stamper.token_bytes = 0
            template = here.key.template
            # As large as a gap of the usual size holds without any token.
            small = template.max_bytes + 100
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("daemon.pagetasks.RESERVE", small)
                first = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
                waits = await here.sealer.stamp(first, here.key)
                assert (waits.state, waits.step) == (State.SEALED, "")
                assert [alarm.code for alarm in here.alarms.now()] == ["timestamp-too-large"]
                assert (
                    durable.digest_of(here.sealer.folder(first) / "sealed.pdf")[0] == first.sealed
                )

                second = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
                done = await here.sealer.stamp(second, here.key)
                assert (done.state, done.level) == (State.FROZEN, "B-T")
                assert here.alarms.now() == ()

    asyncio.run(main())


def test_a_cms_that_no_gap_holds_stops_before_anything_is_signed() -> None:
    """The chain is the configuration's; no document is to blame."""
    assert reserve_for(5000, 8192) == 16384
    assert reserve_for(9000, 8192) == 32000
    assert reserve_for(31000, 9000) == 32000
    with pytest.raises(TransientError, match="template-too-large"):
        reserve_for(32001, 0)


def test_a_held_document_is_released_also_where_the_rename_was_outstanding(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """Killed between commit and rename, and held before it was looked at again."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            sealed = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            folder = here.sealer.folder(sealed)
            plain = (folder / "sealed.pdf").read_bytes()
            await here.spool(Spool.begin, sealed, "stamp", now())
            stamped = await here.stamper.stamp(sealed)
            (folder / "sealed.pdf").rename(folder / STAMPED)
            (folder / "sealed.pdf").write_bytes(plain)
            held = await here.spool(Spool.set_aside, stamped, "crashed-here", "", now())
            assert held.state is State.HELD
            commands = Commands(here.config, here.spool, Parts(here.config), cast("Any", None), now)

            assert await commands.table()["release"]({"id": held.id}, "uid 7") == ["document"]

            document = await here.spool(Spool.document, held.id)
            done = await here.sealer.freeze(document, here.key)
            assert (done.state, done.level) == (State.FROZEN, "B-T")
            assert durable.digest_of(folder / "sealed.pdf")[0] == done.sealed

    asyncio.run(main())


def test_time_stamps_that_nobody_is_configured_for_any_more_are_given_up_or_told(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """The addresses were taken out while documents waited: no busy loop, no silence."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            sealed = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            here.stamper._authority = None
            waits = await here.sealer.stamp(sealed, here.key)
            assert waits.state is State.SEALED
            assert [alarm.code for alarm in here.alarms.now()] == ["timestamp-unavailable"]
            assert await here.stamper.due(2) == []
            here.stamper._clock = lambda: now() + timedelta(hours=73)
            assert [one.id for one in await here.stamper.due(2)] == [sealed.id]
            assert here.stamper.gives_up(waits)

    asyncio.run(main())


def test_i8_one_document_that_cannot_be_stamped_is_in_nobodys_way(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """Its gap is too small, say: while the stamper pauses, another one is tried each time."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            scans = [await here.claim(drawn["foto.jpg"]) for _ in range(3)]
            sealed = [await here.sealer.seal(scan, here.key) for scan in scans]
            here.stamper._failed(TransientError("timestamp-too-large", "of the first"))
            tried = []
            for _ in range(3):
                here.stamper._again_at = 0.0
                (one,) = await here.stamper.due(2)
                tried.append(one.id)
            assert sorted(tried) == sorted(one.id for one in sealed)

    asyncio.run(main())


def test_the_alarms_go_also_when_nothing_waits_any_more(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority]
) -> None:
    """Everything was given up, the authority is back: it is asked about nothing."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            here.stamper._failed(TransientError("timestamp-unavailable", "was away"))
            assert await here.stamper.due(2) == []
            assert here.alarms.now()  # not before the pause is over
            here.stamper._again_at = 0.0
            assert await here.stamper.due(2) == []
            assert here.alarms.now() == ()

    asyncio.run(main())


def test_a_sealed_file_that_is_gone_holds_its_document_and_nothing_else(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path]
) -> None:
    """It would have ended the service, with everything that was in work."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            sealed = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            (here.sealer.folder(sealed) / "sealed.pdf").unlink()
            held = await here.sealer.stamp(sealed, here.key)
            assert (held.state, held.code) == (State.HELD, "own-copy-damaged")

    asyncio.run(main())


def test_a_time_stamp_of_another_ca_is_good_where_it_is_trusted_for_that(
    tmp_path: Path,
    issued: tuple[IssuedFiles, Authority],
    seal_token: TokenFiles,
    drawn: dict[str, Path],
) -> None:
    """`[seal] timestamp_chain` is trusted for time stamps, and for no seal."""
    _, made = issued

    async def main() -> None:
        async with stamping(tmp_path, cast("Any", seal_token), made) as (here, _):
            sealed = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            done = await here.sealer.stamp(sealed, here.key)
            file = here.sealer.folder(done) / "sealed.pdf"
            worker = Worker("daemon.verify", place=tmp_path, limits=verify.LIMITS)
            ours = certificate.load_pem(seal_token.ca)
            theirs = certificate.load_pem(made.chain)
            try:
                good = await verify.verify(file, worker, ours, theirs)
                alone = await verify.verify(file, worker, ours)
                swapped = await verify.verify(file, worker, theirs, ours)
            finally:
                await worker.stop()
            assert good.good
            assert good.seals[0].level == "B-T"
            assert good.seals[0].proven_at
            assert not alone.good
            assert not swapped.good
            assert not swapped.seals[0].trusted
            file.unlink()  # the court trusts one CA for all that is in a file

    asyncio.run(main())
