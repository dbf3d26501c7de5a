"""The service: builds everything, runs it, and stops it so that nothing is in doubt.

    run ─┬─ intake (per hot folder) ──▶ spool ──▶ turns/sealer ──▶ spool ──▶ sync
         ├─ ledger files, spare workers, systemd's watchdog
         └─ page, MQTT, control socket: they only look, or ask a stage

A stage that ends with something that was not foreseen ends the process: the next
start continues. A damaged database is looked at and shown, never worked with.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import certificate, clock, durable, hsm, notary, sandbox
from daemon.alarms import Alarms
from daemon.book import Book
from daemon.clockgate import ClockGate
from daemon.commands import Commands, status_of
from daemon.control import Control
from daemon.document import Digest, folder_of
from daemon.errors import ConfigError, CorruptionError
from daemon.forgetting import Forgetting
from daemon.hotfolder import HotFolderStage
from daemon.intake.origin import clear_temporaries
from daemon.intake.recovery import explain, recover
from daemon.key import Key
from daemon.lock import alone
from daemon.lookout import Lookout
from daemon.mqtt import Publisher
from daemon.notify import Beats, Systemd
from daemon.parts import Parts
from daemon.proofs import Proofs
from daemon.proving import Proving
from daemon.recheck import Recheck
from daemon.records import journal
from daemon.revocation import Revocations
from daemon.sealer import Sealer
from daemon.segments import SegmentsStage
from daemon.soundness import look_through
from daemon.spool import Spool, SpoolThread, open_spool
from daemon.stamping import Stamper
from daemon.sync import Sync
from daemon.targets import kinds
from daemon.terms import agreed
from daemon.timestamp import TimeStamps
from daemon.token import Token
from daemon.turns import Turns
from daemon.web import PageContext, start
from daemon.workers import Limits, Worker, Workers

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from daemon.config import Config
    from daemon.control import Command

    Stage = tuple[str, Coroutine[None, None, None]]

log = logging.getLogger("service")

PAGE_WORKERS = 2
EXPORT_SECONDS = 1.0
"""The ledger's files follow the database in groups of this much time."""
EXPLAIN_SECONDS = 3600.0
"""So often is looked which days' folders the next start need not list."""
SPARE_SECONDS = 60.0
"""So long a second page worker may have nothing to do before it is let go."""
PAGE_RETRY_SECONDS = 10.0
FULL = "disk-full"
REFUSALS = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EROFS: "disk-read-only"}
"""What a disk of ours says that takes nothing now, and will again once a person has seen to it."""
FULL_RETRY_SECONDS = 10.0
"""So often such a disk is looked at again; threads of what was given up have ended by then."""
ROOM = 16 << 20
"""Less than this is no room: the database's log alone takes 4 MB."""
OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY")
"""What systemd told this process, and no process below it has to know."""


def now() -> datetime:
    """Return the time of the box: the only place where a stage's clock comes from."""
    return datetime.now(UTC)


class Service:
    """One running service on one state_dir."""

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        """Nothing is opened yet; *environment* is the one that systemd or a person gave."""
        self._config = config
        self._systemd = Systemd(environment)
        self._credentials = environment.get("CREDENTIALS_DIRECTORY")
        self._pin = config.pin_file(self._credentials)
        self._vendor = {k: v for k, v in environment.items() if k not in OURS}
        self._alarms = Alarms(now)
        self._beats = Beats()
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT and return the exit code; raise what ended it otherwise."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        with alone(self._config.state_dir):
            waited = False
            while not (waited and self._stopping.is_set()):
                try:
                    await self._open_and_work(after_wait=waited)
                    break
                except CorruptionError as exc:  # also one that shows only when that page is read
                    log.critical("damaged code=%s", exc.code)
                    await self._only_show(exc.code, str(exc.args[0]), ())
                    return os.EX_IOERR
                except (OSError, sqlite3.Error) as exc:
                    code = self._takes_nothing(exc)
                    if not code:
                        raise
                    waited = True
                    log.critical(code, exc_info=exc)
                    await self._only_show(code, "", (("room", self._room()),))
                    self._alarms.clear(code)
        return os.EX_OK

    async def _open_and_work(self, *, after_wait: bool) -> None:
        config = self._config
        _make_places(config)
        spool = await open_spool(config.state_dir, new=True)
        try:
            for document_id in await spool(Spool.in_step):
                # Before the steps are taken back: after a kill here they are still known.
                folder = folder_of(config.documents, document_id)
                await asyncio.to_thread(clear_temporaries, folder)
            if after_wait:  # no document's fault, so no end that counts
                await spool(Spool.stopped, now())
            await self._work(spool)
        finally:
            await spool.close()

    def _takes_nothing(self, exc: OSError | sqlite3.Error) -> str:
        """Return why the state_dir's disk takes nothing now, as a code; "" if it is something else."""
        if _is_full(exc):
            return FULL
        # SQLite says of many calls no more than that they failed: the disk is asked.
        return REFUSALS.get(durable.refusal(self._config.state_dir / "work"), "")

    async def _room(self) -> None:
        """Return once there is room again to work in, also for one more file."""
        state_dir = self._config.state_dir
        while True:
            await asyncio.sleep(FULL_RETRY_SECONDS)
            taken = durable.refusal(state_dir / "work") not in REFUSALS
            if taken and durable.free_bytes(state_dir) >= ROOM:
                return

    async def _only_show(self, code: str, detail: str, stages: Sequence[Stage]) -> None:
        """Say what is wrong, on page and MQTT, until stopped or a stage ends; touch nothing."""
        self._alarms.raise_(code, detail=detail)
        self._beats = Beats()  # of stages that do not run any more
        parts = Parts(self._config)
        lookout = Lookout(self._config, self._alarms, parts, now, readable=False)
        box_id = journal.box_id(self._config.state_dir / "ledger")
        control = self._listen({"status": status_of(lookout)})
        await self._together(parts, lookout, box_id, control, stages)

    async def _work(self, spool: SpoolThread) -> None:
        config = self._config
        unclean = bool(await spool(Spool.meta, "running"))
        await self._take_up(spool)
        box_id = await spool(Spool.box_id)
        parts = Parts(config)
        parts.pages = pages = Workers(page_workers(config))
        parts.token_keeper = token = self._token(spool)
        parts.key = key = Key(config, token, config.work_out, self._alarms, now)
        clerk = self._notary()
        authority = self._authority(clerk)
        key.revocations = revocations = Revocations(config.revocation, clerk, now)
        proofs = Proofs(config, key, authority, revocations, self._alarms, now)
        stamper = Stamper(config, spool, authority, self._alarms, now)

        async def count_since(certificate: bytes, since: datetime) -> int:
            return await spool(Spool.count_sealed_since, since, Digest.of(certificate))

        key.count_since = count_since
        key.ask = revocations.refresh
        sealer = Sealer(config, box_id, spool, pages, now, stamper, proofs.store)
        parts.clock_gate = ClockGate(spool, self._alarms, now, config.box.clock)
        parts.turns = Turns(spool, sealer, key, self._alarms, parts.clock_gate, stamper)
        targets = kinds.built(config, self._credentials, now)
        terms = agreed(config, now())
        parts.sync = Sync(spool, config.documents, targets, self._alarms, now, terms=terms)
        parts.proving = Proving(config.documents, spool, targets, now, terms, found=parts.sync.wake)
        parts.sync.filed = parts.proving.filed
        parts.intakes = tuple(
            HotFolderStage(section, config, spool, self._alarms, now, pages=pages)
            for section in config.hotfolders
        )
        lookout = Lookout(config, self._alarms, parts, now, readable=True)
        commands = Commands(config, spool, parts, lookout, now)
        stages = self._connected(parts.turns, parts.sync, parts.intakes)
        stages.append(("ledger", self._export(spool, parts)))
        segments = SegmentsStage(
            config.state_dir / "ledger",
            *(spool, key, targets, self._alarms, now, parts.turns.may_seal),
            keep=timedelta(days=max(one.retain_days for one in config.profiles.values())),
        )
        segments.beat = self._beats.of("segments")
        stages.append(("segments", segments.run()))
        # Without a beat: how long servers out there take is no silence of ours.
        stages.append(("proofs", proofs.run()))
        forgetting = Forgetting(
            config.profiles,
            config.documents,
            *(spool, targets, self._alarms, now, parts.clock_gate.check, parts.proving),
        )
        # Likewise: a target may take long over what it is asked.
        stages.append(("forgetting", forgetting.run()))
        stages.append(("proving", parts.proving.run()))
        parts.recheck_stage = Recheck(config, spool, self._alarms, now)
        parts.recheck_stage.busy = parts.turns.busy
        stages.append(("recheck", parts.recheck_stage.run()))
        stages += [
            ("days", self._explain_days(spool)),
            ("soundness", self._look_through(unclean=unclean)),
        ]
        try:
            control = Control(config.socket, commands.table()).run()
            await self._together(parts, lookout, box_id, control, stages)
        finally:
            await token.close()
            await pages.stop()
            await clerk.stop()
            await asyncio.gather(*(target.close() for target in targets.values()))
        # Only now: a stage that failed has gone up, and its end is an unclean one.
        await spool(Spool.stopped, now())

    async def _take_up(self, spool: SpoolThread) -> None:
        """Go on from the last end; ConfigError if something on its way is configured no longer."""
        config = self._config
        if missing := sorted(await spool(Spool.open_targets) - {t.name for t in config.targets}):
            raise ConfigError(tuple(f"[[target]] {name}: has open deliveries" for name in missing))
        await spool(Spool.reorder, {one.name: one.after for one in config.targets}, now())
        for document_id in await spool(Spool.started, clock.boot_id(), now()):
            log.warning("unclean-end document=%s", document_id)
        await recover(config, spool, self._alarms, now)
        if missing := sorted(await spool(Spool.open_profiles) - config.profiles.keys()):
            raise ConfigError(tuple(f"[profile.{name}] has documents to seal" for name in missing))
        folders = {section.name for section in config.hotfolders}
        if missing := sorted(await spool(Spool.waiting_hotfolders) - folders):
            raise ConfigError(
                tuple(f"[[hotfolder]] {name}: documents wait for what it knows" for name in missing)
            )

    def _connected(
        self, turns: Turns, sync: Sync, intakes: Sequence[HotFolderStage]
    ) -> list[Stage]:
        """Let the stages wake each other: hints only, each looks by itself as well."""

        def copies_due() -> None:
            for intake in intakes:
                intake.copies_due()

        turns.frozen = sync.frozen
        turns.refused = copies_due
        turns.beat = self._beats.of("sealer")
        sync.beat = self._beats.of("sync")
        stages: list[Stage] = [("sealer", turns.run()), ("sync", sync.run())]
        for number, intake in enumerate(intakes):
            intake.claimed = turns.wake
            intake.beat = self._beats.of(f"intake-{number}")
            stages.append((f"intake-{number}", intake.run()))
        return stages

    async def _together(
        self,
        parts: Parts,
        lookout: Lookout,
        box_id: str,
        control: Coroutine[None, None, None],
        stages: Sequence[Stage],
    ) -> None:
        """Run stages and views until a stop is asked for, or one of them fails."""
        work: list[Stage] = [*stages, ("control", control)]
        if self._config.mqtt is not None:
            parts.publisher = Publisher(
                self._config.mqtt,
                box=self._config.box.name,
                box_id=box_id or self._config.box.name,
                snapshot=lookout.snapshot,
            )
            self._alarms.changed = parts.publisher.changed
            work.append(("mqtt", parts.publisher.run()))
        if self._config.web is not None:
            work.append(("page", self._serve(lookout)))
        work.append(("watchdog", self._watch()))
        running = [asyncio.create_task(stage, name=name) for name, stage in work]
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait({*running, stop}, return_when=asyncio.FIRST_COMPLETED)
            self._systemd.send("STOPPING=1")
        finally:
            for task in (*running, stop):
                task.cancel()
            results = await asyncio.gather(*running, return_exceptions=True)
            lookout.close()
        for task, result in zip(running, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                log.critical("stage-failed stage=%s", task.get_name(), exc_info=result)
                raise result

    async def _listen(self, commands: Mapping[str, Command]) -> None:
        """Answer on the socket; while none can be made, page and MQTT have to do."""
        while True:
            try:
                await Control(self._config.socket, commands).run()
            except OSError as exc:
                if exc.errno not in REFUSALS:
                    raise
                log.warning("no-socket code=%s", REFUSALS[exc.errno])
            await asyncio.sleep(FULL_RETRY_SECONDS)

    async def _export(self, spool: SpoolThread, parts: Parts) -> None:
        """Keep the ledger's files up, and look after the page workers: what is due now and then."""
        beat = self._beats.of("ledger")
        offered = frozenset(sandbox.offered().missing)
        while True:
            if await spool(Spool.export_ledger) and parts.publisher is not None:
                parts.publisher.changed()
            if parts.pages is not None:
                await parts.pages.let_go(SPARE_SECONDS)
                # What a worker says of itself, and before the first one what it could say.
                missing = offered if parts.pages.missing is None else parts.pages.missing
                self._show_walls(missing)
            beat()
            await asyncio.sleep(EXPORT_SECONDS)

    async def _explain_days(self, spool: SpoolThread) -> None:
        """Look now and then which days the next start need not list."""
        while True:
            await asyncio.sleep(EXPLAIN_SECONDS)
            await explain(self._config.documents, spool, now())

    def _show_walls(self, missing: frozenset[str]) -> None:
        """Say on page and MQTT what the kernel lacks for the page workers' sandbox."""
        if missing:
            self._alarms.raise_("sandbox-missing", detail=", ".join(sorted(missing)))
        else:
            self._alarms.clear("sandbox-missing")

    async def _look_through(self, *, unclean: bool) -> None:
        """Look once whether the database came through whole; a stage that ends would end all."""
        if unclean:
            await look_through(self._config.state_dir / "spool.db")
            log.info("database-sound")
        await asyncio.Event().wait()

    async def _watch(self) -> None:
        """Feed systemd's watchdog while every stage gets on."""
        self._systemd.send("READY=1", "STATUS=sealing")
        while True:
            silent = self._beats.silent()
            if silent:
                log.error("silent stages=%s", ",".join(silent))
            else:
                self._systemd.send("WATCHDOG=1")
            await asyncio.sleep((self._systemd.watchdog_seconds or 60.0) / 4)

    async def _serve(self, lookout: Lookout) -> None:
        """Serve the page until cancelled; an address that is taken is an alarm, not an end."""
        section = self._config.web
        assert section is not None
        context = PageContext(
            snapshot=lookout.snapshot,
            database=self._config.state_dir / "spool.db",
            language=self._config.box.language,
            timezone=self._config.box.timezone,
            listen=section.listen,
        )
        while True:
            try:
                stop = await start(context)
            except OSError as exc:
                self._alarms.raise_("page-unavailable", section.listen, os.strerror(exc.errno or 0))
                await asyncio.sleep(PAGE_RETRY_SECONDS)
                continue
            self._alarms.clear("page-unavailable", section.listen)
            try:
                await asyncio.Event().wait()
            finally:
                await stop()

    def _token(self, spool: SpoolThread) -> Token:
        section = self._config.hsm
        settings = hsm_settings(self._config, self._pin)
        place = self._config.state_dir / "work"
        first, *others = (
            hsm.Hsm(hsm.hsm_worker(place, self._vendor), settings) for _ in range(section.sessions)
        )
        seal = self._config.seal
        return Token(
            first,
            Book(spool),
            others=others,
            padding=seal.padding,
            digest=seal.digest,
            quiet_seconds=section.keep_alive_seconds,
            now=now,
        )

    def _notary(self) -> Worker:
        """Return the worker that reads what the network answered; started by the first answer."""
        walls = sandbox.Sandbox(read=(), apart=(str(self._config.state_dir),))
        place = self._config.work_out
        return Worker("daemon.notary", place=place, limits=notary.LIMITS, sandbox=walls)

    def _authority(self, worker: Worker) -> TimeStamps | None:
        section = self._config.seal
        if not section.timestamp_urls:
            return None
        chain = Path(section.timestamp_chain)
        return TimeStamps(section.timestamp_urls, lambda: certificate.load_pem(chain), worker, now)


def hsm_settings(config: Config, pin: Path) -> hsm.HsmSettings:
    """Return what the token's process is told."""
    section = config.hsm
    return hsm.HsmSettings(
        module=section.module,
        token=section.token,
        key=section.key,
        pin=pin,
        serial=section.serial,
        timeout_seconds=section.timeout_seconds,
    )


def _make_places(config: Config) -> None:
    for path in (
        config.documents,
        config.state_dir / "ledger",
        config.work_in,
        config.work_out,
        config.revocation,
    ):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.sync_folder(config.state_dir)


def page_workers(config: Config) -> list[Worker]:
    """Return the page workers of this configuration, each in its sandbox; none is started."""
    limits = Limits(memory_mb=config.limits.memory_mb, file_mb=config.limits.max_output_mb)
    places = [config.state_dir, config.path, config.pin_file("/run/credentials")]
    places += [Path(place) for h in config.hotfolders for place in (h.path, h.rejected)]
    places += [Path(share.path) for share in config.shares]
    walls = sandbox.Sandbox(
        read=(str(config.work_in),),
        write=(str(config.work_out),),
        apart=tuple(map(str, places)),
    )
    return [
        Worker("daemon.prepare", place=config.work_out, limits=limits, sandbox=walls)
        for _ in range(PAGE_WORKERS)
    ]


def _is_full(exc: OSError | sqlite3.Error) -> bool:
    """Return whether the state_dir's disk has no room left: it may have again, so we stay up."""
    if isinstance(exc, sqlite3.Error):
        return getattr(exc, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    return REFUSALS.get(exc.errno or 0) == FULL
