"""What speaks against sealing with a certificate: looked at before each turn, with a real token."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from contrib.demo.token import PublicKey, make_token
from daemon import cms
from daemon.certificate import load_pem
from daemon.chain import Revocation
from daemon.document import Digest, Document, Event, State
from daemon.errors import TransientError
from daemon.key import Key
from daemon.sealer import Sealer
from daemon.spool import Spool
from tests.certificates import QUALIFIED, authority, encoded, qc_statements, seal, write
from tests.contract.test_hsm import PIN, make_key
from tests.court import docket
from tests.sealing import Sealing, sealing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.sections import HsmSection

START = datetime.now(UTC)
ROOT = authority("Wurzel", START)
ISSUING = authority("Aussteller", START, ROOT)
CHAIN = (ISSUING.der, ROOT.der)
CODES = {
    *("certificate-expired", "certificate-not-yet-valid", "certificate-usage"),
    *("certificate-mismatch", "certificate-revoked", "chain-incomplete", "chain-expired"),
}


class Bench:
    """A key on a real token, with certificates that a test makes, and a clock that it moves."""

    def __init__(self, here: Sealing, public: PublicKey, place: Path) -> None:
        self.here = here
        self.public = public
        self.place = place
        self.now = datetime.now(UTC)
        self.install()
        hsm = replace(
            here.config.hsm, certificate=str(place / "seal.pem"), chain=str(place / "chain.pem")
        )
        self.config = replace(here.config, hsm=hsm)
        self.key = self.fresh()

    def install(self, *chain: bytes, **seal_options: Any) -> bytes:
        """Make another certificate for the key and write it, with its chain."""
        made = seal(self.public, START, ISSUING, **seal_options)
        write(self.place / "seal.pem", made)
        write(self.place / "chain.pem", *(chain or CHAIN))
        docket.trust(*(chain or CHAIN))
        return made

    def fresh(self, **hsm: Any) -> Key:
        """Return a key as after a restart."""
        self.config = replace(self.config, hsm=replace(self.config.hsm, **hsm))
        self.here.token._tried_at = None
        for alarm in self.here.alarms.now():
            self.here.alarms.clear(alarm.code, alarm.instance)
        return Key(
            self.config, self.here.token, self.here.config.work_out, self.here.alarms, self.clock
        )

    def clock(self) -> datetime:
        return self.now

    async def trouble(self) -> None:
        """Give the token's process up, and let the next one come at once."""
        await self.here.token.close()
        self.here.token._tried_at = None

    async def again(self, **hsm: Any) -> bool:
        """Ask a fresh key whether it can be used."""
        await self.here.token.close()
        self.key = self.fresh(**hsm)
        return await self.key.usable()

    def alarms(self) -> dict[str, str]:
        """Return what is raised, with its detail."""
        return {alarm.code: alarm.detail for alarm in self.here.alarms.now()}


def run(
    root: Path,
    files: TokenFiles,
    work: Callable[[Bench], Awaitable[None]],
    *,
    profile: str = "",
    seal: str = "",
) -> None:
    """Run *work* on a bench of its own."""
    public = x509.load_pem_x509_certificate(files.certificate.read_bytes()).public_key()
    assert isinstance(public, PublicKey)

    async def main() -> None:
        async with sealing(root, files, profile=profile, seal=seal) as here:
            await work(Bench(here, public, root))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("chain", "options", "code"),
    [
        ((), {"days": (-10, -1)}, "certificate-expired"),
        ((), {"days": (1, 10)}, "certificate-not-yet-valid"),
        ((), {"usage": "key_encipherment"}, "certificate-usage"),
        ((ISSUING.der,), {}, "chain-incomplete"),
        (
            (authority("Aussteller", START, ROOT, days=(-9, -1), key=ISSUING.key).der, ROOT.der),
            {},
            "chain-expired",
        ),
    ],
)
def test_nothing_is_sealed_and_the_alarm_says_why(
    tmp_path: Path,
    seal_token: TokenFiles,
    chain: tuple[bytes, ...],
    options: dict[str, Any],
    code: str,
) -> None:
    """Each by its code; with a good certificate it goes on."""

    async def work(bench: Bench) -> None:
        bench.install(*chain, **options)
        assert not await bench.again()
        assert CODES & bench.alarms().keys() == {code}
        assert bench.key.problems == (code,)

        bench.install()
        assert await bench.again()
        assert not CODES & bench.alarms().keys()

    run(tmp_path, seal_token, work)


def test_a_chain_that_was_mended_counts_at_the_next_turn(
    tmp_path: Path, seal_token: TokenFiles
) -> None:
    """The file is read before each turn: nobody has to restart anything, and it stands in seals."""

    async def work(bench: Bench) -> None:
        assert await bench.key.usable()
        write(bench.place / "chain.pem", ISSUING.der)
        assert not await bench.key.usable()
        assert set(bench.key.problems) == {"chain-incomplete"}

        write(bench.place / "chain.pem", *CHAIN)
        assert await bench.key.usable()
        assert set(bench.key.template.chain) == set(CHAIN)

    run(tmp_path, seal_token, work)


def test_nothing_but_the_chain_goes_into_the_seal(tmp_path: Path, seal_token: TokenFiles) -> None:
    """Beside it in the file stand others, as while the CA changes: they say nothing about it."""

    async def work(bench: Bench) -> None:
        other = authority("Andere", START, None)
        bench.install(other.der, *CHAIN)
        assert await bench.again()
        assert set(bench.key.template.chain) == set(CHAIN)
        bench.install(*CHAIN, other.der)
        assert await bench.key.usable()
        assert set(bench.key.template.chain) == set(CHAIN)

    run(tmp_path, seal_token, work)


def test_a_renewed_ca_takes_over_when_the_old_one_ends(
    tmp_path: Path, seal_token: TokenFiles
) -> None:
    """Both lie in the file beforehand; nobody has to come on the day."""

    async def work(bench: Bench) -> None:
        old = authority("Aussteller", START, ROOT, days=(-9, 20), key=ISSUING.key)
        new = authority("Aussteller", START, ROOT, days=(10, 3000), key=ISSUING.key)
        bench.install(old.der, new.der, ROOT.der)
        assert await bench.again()
        bench.now = START + timedelta(days=21)
        assert await bench.key.usable()

    run(tmp_path, seal_token, work)


def test_a_certificate_that_ends_in_the_middle_of_a_turn_seals_nothing_more(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """A turn can last for hours; a seal that was made a second too late is invalid for ever."""

    async def work(bench: Bench) -> None:
        bench.install(days=(-1, 1))
        assert await bench.again()
        document = await bench.here.claim(drawn["foto.jpg"])
        late = Sealer(
            bench.config,
            "box",
            bench.here.spool,
            bench.here.sealer._pages,
            lambda: START + timedelta(days=1, seconds=1),
            bench.here.stamper,
        )
        with pytest.raises(TransientError, match="certificate-expired"):
            await late.seal(document, bench.key)
        document = await bench.here.spool(Spool.document, document.id)
        assert (document.state, document.step, document.tries) == (State.CLAIMED, "", 0)

    run(tmp_path, seal_token, work)


class Known:
    """A lookup that knows of one revocation."""

    def __init__(self, certificate: bytes, status: Revocation) -> None:
        self.revoked = certificate
        self.status_of_it = status

    def status(self, certificate: bytes) -> Revocation:
        return self.status_of_it if certificate == self.revoked else Revocation(word="good")


@pytest.mark.parametrize("issuer", [False, True], ids=["seal", "issuer"])
def test_a_revocation_stops_sealing_and_says_how_many_were_sealed_since(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], *, issuer: bool
) -> None:
    """Intake goes on; the alarm has the command that lists them."""

    async def work(bench: Bench) -> None:
        assert await bench.key.usable()
        before = datetime.now(UTC)
        sealer, spool = bench.here.sealer, bench.here.spool
        sealed = await sealer.seal(await bench.here.claim(drawn["foto.jpg"]), bench.key)
        assert sealed.state is State.FROZEN

        async def count_since(certificate: bytes, since: datetime) -> int:
            assert x509.load_der_x509_certificate(certificate).public_key() == bench.public
            found = await spool(Spool.sealed_since, since, ("", ""), 10)
            return len(found)

        bench.key.count_since = count_since
        revoked = encoded(ISSUING.certificate) if issuer else bench.key.template.certificate
        known = Known(revoked, Revocation(word="revoked", at=before, reason="keyCompromise"))
        bench.key.revocations = known
        assert not await bench.key.usable()
        assert bench.key.problems == ("certificate-revoked",)
        detail = bench.alarms()["certificate-revoked"]
        assert "keyCompromise: 1 (scanseal sealed-since 20" in detail

        for nothing in (Revocation(word="good"), Revocation(word="unknown")):
            known.status_of_it = nothing
            assert await bench.key.usable()
            assert not CODES & bench.alarms().keys()

    run(tmp_path, seal_token, work)


def test_the_expiry_is_told_three_times_and_not_each_day(
    tmp_path: Path, seal_token: TokenFiles
) -> None:
    """At 90, 30 and 7 days: who listens to MQTT hears of each once."""

    async def work(bench: Bench) -> None:
        bench.install(days=(-1, 100))
        assert await bench.again()
        changes: list[str] = []
        alarms = bench.here.alarms
        alarms.changed = lambda: changes.append(bench.alarms().get("certificate-expiring", ""))
        for day in range(102):
            bench.now = START + timedelta(days=day, seconds=30)
            assert await bench.key.usable() == (day < 100)

        until = f"{START + timedelta(days=100):%Y-%m-%d}"
        told = list(dict.fromkeys(one for one in changes if one))
        assert told == [f"< 90 d: {until}", f"< 30 d: {until}", f"< 7 d: {until}"]
        assert bench.alarms().keys() & {"certificate-expiring", "certificate-expired"} == {
            "certificate-expired"
        }

    run(tmp_path, seal_token, work)


def test_a_ca_that_expires_first_is_told_of_in_time(tmp_path: Path, seal_token: TokenFiles) -> None:
    """Then nothing can be sealed either."""

    async def work(bench: Bench) -> None:
        short = authority("Aussteller", START, ROOT, days=(-1, 5), key=ISSUING.key)
        bench.install(short.der, ROOT.der)
        assert await bench.again()
        assert bench.alarms()["certificate-expiring"].startswith("< 7 d: ")

    run(tmp_path, seal_token, work)


def test_an_algorithm_that_ages_is_told_of_and_stops_nothing(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """A year before, and after: sealing goes on, and each note says it (decision 0014)."""

    async def work(bench: Bench) -> None:
        bench.install(days=(-1, 9000))
        renewed = [authority(n, START, i, days=(-1, 9000), key=k).der for n, i, k in _renewed()]
        write(bench.place / "chain.pem", *renewed)
        docket.trust(*renewed)
        for year, code in ((2030, ""), (2031, "algorithm-expiring"), (2032, "algorithm-expired")):
            bench.now = datetime(year, 6, 1, tzinfo=UTC)
            assert await bench.again()
            assert {c for c in bench.alarms() if c.startswith("algorithm-")} == {code} - {""}
        sealer = Sealer(
            bench.config,
            "box",
            bench.here.spool,
            bench.here.sealer._pages,
            bench.clock,
            bench.here.stamper,
        )
        document = await sealer.seal(await bench.here.claim(drawn["foto.jpg"]), bench.key)
        assert document.state is State.FROZEN
        assert "algorithm-not-recommended" in document.findings

    run(tmp_path, seal_token, work)


def _renewed() -> list[tuple[str, Any, Any]]:
    return [("Aussteller", ROOT, ISSUING.key), ("Wurzel", None, ROOT.key)]


def test_a_legacy_padding_stands_in_the_note(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """It was the administrator's choice; whoever reads the note knows it."""

    async def work(bench: Bench) -> None:
        assert await bench.key.usable()
        assert bench.key.advice is not None
        assert bench.key.advice.remarks == ("padding-legacy",)
        claimed = await bench.here.claim(drawn["foto.jpg"])
        document = await bench.here.sealer.seal(claimed, bench.key)
        assert "padding-legacy" in document.findings

    run(tmp_path, seal_token, work, seal='padding = "pkcs1v15"')


# -- the quality of the seal that a profile asks for ----------------------------------------


def note_of(bench: Bench, document: Document) -> str:
    return (bench.here.sealer.folder(document) / "note.xml").read_text(encoding="utf-8")


def test_a_document_waits_for_a_qualified_certificate_and_goes_on_with_it(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """WAITING with its reason; another key resumes it, in a transaction of the spool."""

    async def work(bench: Bench) -> None:
        sealer, spool = bench.here.sealer, bench.here.spool
        assert await bench.key.usable()
        document = await sealer.seal(await bench.here.claim(drawn["foto.jpg"]), bench.key)
        assert (document.state, document.code) == (State.WAITING, "seal-quality")
        assert await sealer.resume(bench.key) == 1
        for wrong in (qc_statements("1", types=("1",)), qc_statements("4", types=("2",))):
            bench.install(more=[wrong])
            assert await bench.again()
            assert await sealer.resume(bench.key) == 1

        bench.install(more=[QUALIFIED])
        assert await bench.again()
        assert await sealer.resume(bench.key) == 0
        document = await spool(Spool.document, document.id)
        assert (document.state, document.code) == (State.CLAIMED, "")
        document = await sealer.seal(document, bench.key)
        assert document.state is State.FROZEN
        note = note_of(bench, document)
        assert "qualified according to the certificate; trusted list not checked" in note
        assert "<seal_quality />" in note
        events = await spool(Spool.lines, document.id)
        assert sum(f'"event":"{Event.WAIT}"' in line for line in events) == 1
        assert sum(f'"event":"{Event.RESUME}"' in line for line in events) == 1

    run(tmp_path, seal_token, work, profile='integrity = "high"')


def test_a_reason_lets_an_advanced_seal_be_made_and_stands_in_the_note(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Whoever reads the note later knows who decided what; with a qualified one it is not needed."""

    async def work(bench: Bench) -> None:
        sealer = bench.here.sealer
        assert await bench.key.usable()
        document = await sealer.seal(await bench.here.claim(drawn["foto.jpg"]), bench.key)
        assert document.state is State.FROZEN
        note = note_of(bench, document)
        assert "<seal_quality>Beschluss 12/2026</seal_quality>" in note
        assert "; not qualified according to the certificate" in note

        bench.install(more=[QUALIFIED])
        assert await bench.again()
        document = await sealer.seal(await bench.here.claim(drawn["fax.tif"]), bench.key)
        assert "<seal_quality />" in note_of(bench, document)

    run(
        tmp_path,
        seal_token,
        work,
        profile='integrity = "high"\naccept_advanced = "Beschluss 12/2026"',
    )


def test_a_list_decides_where_one_is_given(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """A certificate that calls itself qualified, of a CA that is not in the list, is not enough."""

    async def work(bench: Bench) -> None:
        bench.install(more=[QUALIFIED])
        listed = tmp_path / "listed.pem"
        write(listed, authority("Jemand", START).der)
        assert await bench.again(trusted_list=str(listed))
        assert bench.key.qualified() == "qualified-not-listed"
        document = await bench.here.sealer.seal(
            await bench.here.claim(drawn["foto.jpg"]), bench.key
        )
        assert (document.state, document.code) == (State.WAITING, "seal-quality")

        write(listed, authority("Jemand", START).der, ISSUING.der)
        assert await bench.key.usable()
        assert bench.key.qualified() == "qualified-listed"
        assert await bench.here.sealer.resume(bench.key) == 0

        listed.unlink()
        assert not await bench.key.usable()
        assert bench.key.problems == ("certificate-unreadable",)

    run(tmp_path, seal_token, work, profile='integrity = "high"')


def test_a_certificate_that_is_exchanged_in_between_makes_no_seal_of_less_quality(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """It was good enough when the document was begun, and is not when it is sealed."""

    class Exchanged:
        """A key that calls the present certificate qualified, and the template's not."""

        def __init__(self, real: Key) -> None:
            self.template = real.template
            self.environment = real.environment
            self.sign = real.sign

        def qualified(self, certificate: bytes = b"") -> str:
            return "not-qualified" if certificate else "qualified-listed"

    async def work(bench: Bench) -> None:
        assert await bench.key.usable()
        document = await bench.here.claim(drawn["foto.jpg"])
        with pytest.raises(TransientError, match="seal-quality"):
            await bench.here.sealer.seal(document, Exchanged(bench.key))
        document = await bench.here.spool(Spool.document, document.id)
        assert (document.state, document.step, document.tries) == (State.CLAIMED, "", 0)

    run(tmp_path, seal_token, work, profile='integrity = "high"')


# -- another key, or another certificate, without a stop -------------------------------------


def run_with_two(root: Path, work: Callable[[Bench, HsmSection], Awaitable[None]]) -> None:
    """Run *work* on a token of its own that has a second key, with a good certificate for it."""
    files = make_token(root / "own", pin=PIN, key="p256")
    make_key(files, "next", number=7, curve="06052b81040022")

    async def both(bench: Bench) -> None:
        assert await bench.key.usable()
        _, facts = await bench.here.token.look("next")
        public = serialization.load_der_public_key(bytes.fromhex(facts.public))
        assert isinstance(public, PublicKey)
        write(root / "next.pem", seal(public, START, ISSUING))
        section = replace(bench.config.hsm, key="next", certificate=str(root / "next.pem"))
        await work(bench, section)

    run(root, files, both)


async def nothing_recorded(_before: bytes, _after: bytes) -> None:
    raise AssertionError("there is no change to record")


def recording(lines: list[tuple[bytes, bytes]]) -> Callable[[bytes, bytes], Awaitable[None]]:
    async def recorded(before: bytes, after: bytes) -> None:
        lines.append((before, after))

    return recorded


def test_what_was_begun_with_the_old_key_is_signed_by_the_old_key(tmp_path: Path) -> None:
    """Whatever comes between: a template and a signature are always of one key."""

    async def work(bench: Bench, section: HsmSection) -> None:
        old, lines = bench.key.template, list[tuple[bytes, bytes]]()
        begun = cms.signed_attributes(old, bytes(32))
        waiting = asyncio.create_task(bench.key.sign(begun, old))
        done = await bench.key.reload(section, recording(lines))
        new = bench.key.template
        assert (done.changed, done.problems) == ("certificate", {})
        assert lines == [(old.certificate, new.certificate)]
        assert old.scheme == new.scheme == "ecdsa-sha256"
        cms.assemble(old, begun, await waiting)
        for template in (old, new, old, new):  # `assemble` verifies
            attributes = cms.signed_attributes(template, bytes(32))
            cms.assemble(template, attributes, await bench.key.sign(attributes, template))
        assert await bench.key.usable()
        # Trouble in between: what comes back is the new key, and the old one signs still.
        await bench.trouble()
        assert await bench.key.usable()
        assert bench.key.template is new
        attributes = cms.signed_attributes(old, bytes(32))
        cms.assemble(old, attributes, await bench.key.sign(attributes, old))

    run_with_two(tmp_path, work)


def test_a_document_in_work_keeps_its_key(tmp_path: Path, drawn: dict[str, Path]) -> None:
    """The change comes while it is being sealed: its seal is the old key's, its manifest the new."""

    class Changing:
        """A key that is changed in the moment in which the first signature is asked for."""

        def __init__(self, real: Key, section: HsmSection) -> None:
            self._real = real
            self._section = section
            self.changed = ""

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        async def sign(self, attributes: bytes, template: cms.Template) -> bytes:
            if not self.changed:
                self.changed = (await self._real.reload(self._section, recording([]))).changed
            return await self._real.sign(attributes, template)

    async def work(bench: Bench, section: HsmSection) -> None:
        old, changing = bench.key.template, Changing(bench.key, section)
        claimed = await bench.here.claim(drawn["foto.jpg"])
        document = await bench.here.sealer.seal(claimed, changing)
        folder = bench.here.sealer.folder(document)
        assert changing.changed == "certificate"
        assert document.state is State.FROZEN
        lines = [json.loads(line) for line in await bench.here.spool(Spool.lines, document.id)]
        (sealed,) = [line["detail"] for line in lines if line["event"] == "seal"]
        assert sealed["certificate_sha256"] == str(Digest.of(old.certificate))
        manifest = cms.certificates((folder / "manifest.p7s").read_bytes())
        assert bench.key.template.certificate in manifest
        assert old.certificate not in manifest

    run_with_two(tmp_path, work)


def test_a_revoked_certificate_does_not_take_over(tmp_path: Path) -> None:
    """Its issuer is asked before anything is switched; the present key goes on."""

    async def work(bench: Bench, section: HsmSection) -> None:
        old = bench.key.template
        (new,) = load_pem(tmp_path / "next.pem")
        revoked = Revocation(word="revoked", at=START, reason="unspecified")

        async def ask(chains: Sequence[Sequence[bytes]]) -> None:
            assert chains == [(new, *CHAIN)]
            bench.key.revocations = Known(new, revoked)

        bench.key.ask = ask
        done = await bench.key.reload(section, nothing_recorded)
        assert set(done.problems) == {"certificate-revoked"}
        assert await bench.key.usable()
        assert bench.key.template is old

    run_with_two(tmp_path, work)


def test_a_file_that_was_overwritten_waits_for_the_reload(tmp_path: Path) -> None:
    """A bad one stops nothing: also after the token had to be opened again."""

    async def work(bench: Bench, _: HsmSection) -> None:
        old = bench.key.template
        bench.install(days=(-10, -1))
        await bench.trouble()
        assert await bench.key.usable()
        assert bench.key.template is old
        done = await bench.key.reload(bench.config.hsm, nothing_recorded)
        assert set(done.problems) == {"certificate-expired"}
        assert await bench.key.usable()

        renewed, lines = bench.install(), list[tuple[bytes, bytes]]()
        done = await bench.key.reload(bench.config.hsm, recording(lines))
        assert (done.changed, lines) == ("certificate", [(old.certificate, renewed)])
        assert (await bench.key.reload(bench.config.hsm, nothing_recorded)).changed == ""

    run_with_two(tmp_path, work)


def test_another_token_is_a_restart(tmp_path: Path) -> None:
    """The serial number of the one that is open may be written down; another one may not."""

    async def work(bench: Bench, section: HsmSection) -> None:
        other = replace(section, serial="0815")
        done = await bench.key.reload(other, nothing_recorded)
        assert set(done.problems) == {"restart-needed"}
        assert bench.here.token.facts is not None
        same = replace(bench.config.hsm, serial=bench.here.token.facts.serial)
        assert (await bench.key.reload(same, nothing_recorded)).changed == ""
        assert bench.key.section == same

    run_with_two(tmp_path, work)
