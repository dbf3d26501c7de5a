"""What people may ask of the running service, and what happens then."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from daemon import certificate, csr, durable, newcertificate, status, stored
from daemon.arrived import Arrived
from daemon.arrived import since as arrived_since
from daemon.config import load
from daemon.document import Digest, State, folder_of, utc_time
from daemon.errors import PersonNeeded, TransientError
from daemon.formats import Formats
from daemon.slip import NoSlip, slip_of
from daemon.spool import Spool
from daemon.stamping import settle
from daemon.transfernote import names_a_person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from daemon.config import Config
    from daemon.control import Command
    from daemon.document import Document
    from daemon.hsm import KeyFacts
    from daemon.lookout import Lookout
    from daemon.parts import Parts
    from daemon.sections import HsmSection
    from daemon.spool import SpoolThread

MAX_REASON = 1000
SEALED_PAGE = 500
"""So many documents one answer of `sealed-since` has; an empty one is the last."""
FIXED = ("module", "token", "pin")
"""What of [hsm] only a restart changes: the process that is logged in belongs to it."""
COUNTER = re.compile(r"[0-9]{1,12}")
ABOUT_STATES = frozenset(
    {"nothing-to-release", "not-refused", "not-a-successor", "operator-not-asked"}
)


class Commands:
    """The commands of the control socket."""

    def __init__(
        self,
        config: Config,
        spool: SpoolThread,
        parts: Parts,
        lookout: Lookout,
        clock: Callable[[], datetime],
    ) -> None:
        """Offer them once everything else is built."""
        self._config = config
        self._spool = spool
        self._parts = parts
        self._lookout = lookout
        self._clock = clock

    def table(self) -> dict[str, Command]:
        """Return each command by its name on the socket."""
        return {
            "status": status_of(self._lookout),
            "release": self._release,
            "discard": self._discard,
            "waive": self._waive,
            "prove": self._prove,
            "supersede": self._supersede,
            "explain": self._explain,
            "note": self._note,
            "arrived": Arrived(self._config, self._parts, self._clock).answer,
            "sealed-since": self._sealed_since,
            "hsm-retry-login": self._retry_login,
            "hsm-csr": self._csr,
            "hsm-import-cert": self._import_certificate,
            "hsm-reload": self._reload,
            "clock-accept": self._clock_accept,
            "shift": self._shift,
            "operator": self._operator,
        }

    async def _sealed_since(self, arguments: Mapping[str, Any], _: str) -> list[dict[str, Any]]:
        """Return what was sealed at a moment or later, a page at a time, the oldest first."""
        text, behind = str(arguments.get("since", "")), arguments.get("after", ["", ""])
        try:
            at = utc_time(text)
        except ValueError:
            at = arrived_since(text, self._clock(), ZoneInfo(self._config.box.timezone))
        if not isinstance(behind, list) or [type(one) for one in behind] != [str, str]:
            raise PersonNeeded("bad-request", "after: a time and an id")
        after = (behind[0], behind[1])
        found = await self._spool(Spool.sealed_since, at, after, SEALED_PAGE)
        return [asdict(one) for one in found]

    async def _release(self, arguments: Mapping[str, Any], person: str) -> list[str]:
        document = await self._spool(Spool.named, str(arguments.get("id")))
        if document.state is State.HELD:
            folder = folder_of(self._config.documents, document.id)
            # A kill may have come between its time stamp's commit and the rename.
            await asyncio.to_thread(settle, folder, document)
            try:
                digest, _ = await asyncio.to_thread(durable.digest_of, folder / "sealed.pdf")
            except FileNotFoundError:
                digest = None
            if digest is None or digest != document.sealed:
                raise PersonNeeded(
                    "own-copy-damaged", f"{document.id}: sealed.pdf is not as it was committed"
                )
        with self._in_words(document):
            released = await self._spool(Spool.release, document.id, person, self._clock())
        if self._parts.turns is not None:
            self._parts.turns.wake()
        if self._parts.sync is not None:
            self._parts.sync.wake()
        self._see_to_the_copies()
        return list(released)

    async def _note(self, arguments: Mapping[str, Any], _person: str) -> dict[str, str]:
        named = await self._spool(Spool.named, str(arguments.get("id")))
        held = await asyncio.to_thread(stored.note, self._config.documents, named)
        return {"id": named.id, "xml": held.decode()}

    async def _discard(self, arguments: Mapping[str, Any], person: str) -> dict[str, str]:
        reason = str(arguments.get("reason", "")).strip()
        if not reason or len(reason) > MAX_REASON:
            raise PersonNeeded("reason-missing", f"--reason: 1 - {MAX_REASON}")
        named = await self._spool(Spool.named, str(arguments.get("id")))
        with self._in_words(named):
            await self._spool(Spool.discard, named.id, person, reason, self._clock())
        self._see_to_the_copies()
        return {"id": named.id}

    async def _waive(self, arguments: Mapping[str, Any], person: str) -> dict[str, str]:
        reason = str(arguments.get("reason", "")).strip()
        if not reason or len(reason) > MAX_REASON:
            raise PersonNeeded("reason-missing", f"--reason: 1 - {MAX_REASON}")
        named = await self._spool(Spool.named, str(arguments.get("id")))
        target = str(arguments.get("target", ""))
        followers = tuple(one.name for one in self._config.targets if one.after == target)
        await self._spool(Spool.waive, named.id, target, person, reason, self._clock(), followers)
        if self._parts.sync is not None:
            self._parts.sync.wake()
        return {"id": named.id, "target": target}

    async def _prove(self, arguments: Mapping[str, Any], _person: str) -> dict[str, Any]:
        named = await self._spool(Spool.named, str(arguments.get("id")))
        assert self._parts.proving is not None
        said = await self._parts.proving.prove(named.id)
        return {"id": named.id, "targets": [one.as_json() for one in said]}

    async def _explain(self, arguments: Mapping[str, Any], person: str) -> dict[str, int]:
        reason = str(arguments.get("reason", "")).strip()
        if not reason or len(reason) > MAX_REASON:
            raise PersonNeeded("reason-missing", f"--reason: 1 - {MAX_REASON}")
        number = str(arguments.get("number", ""))
        if not COUNTER.fullmatch(number):
            raise PersonNeeded("not-missing", repr(number))
        subfolder = arguments.get("subfolder")
        closed = await self._spool(
            Spool.explain,
            str(arguments.get("hotfolder")),
            int(number),
            None if subfolder is None else str(subfolder),
            person,
            reason,
            self._clock(),
        )
        return {"closed": closed}

    async def _supersede(self, arguments: Mapping[str, Any], person: str) -> dict[str, str]:
        old = await self._spool(Spool.named, str(arguments.get("old")))
        new = await self._spool(Spool.named, str(arguments.get("new")))
        with self._in_words(old, new):
            await self._spool(Spool.supersede, old.id, new.id, person, self._clock())
        self._see_to_the_copies()
        return {"old": old.id, "new": new.id}

    @contextlib.contextmanager
    def _in_words(self, *documents: Document) -> Iterator[None]:
        """Say in the box's language in which state the documents of a refusal are."""
        try:
            yield
        except PersonNeeded as exc:
            if exc.code not in ABOUT_STATES:
                raise
            formats = Formats(self._config.box.language, self._config.box.timezone, self._clock())
            said = [f"{d.id} ({formats.word(f'document_{d.state}')})" for d in documents]
            raise PersonNeeded(exc.code, ", ".join(said)) from None

    def _see_to_the_copies(self) -> None:
        """Let what lies in `rejected` follow at once."""
        for intake in self._parts.intakes:
            intake.copies_due()

    async def _retry_login(self, _: Mapping[str, Any], person: str) -> dict[str, str]:
        keeper = self._parts.token_keeper
        assert keeper is not None
        await keeper.permit(person)
        with contextlib.suppress(TransientError):  # the state says what it is
            await keeper.ensure()
        if self._parts.turns is not None:
            self._parts.turns.wake()
        return {"state": keeper.state.name, "code": keeper.state.code}

    async def _shift(self, arguments: Mapping[str, Any], person: str) -> dict[str, str]:
        hotfolder = self._hotfolder(arguments)
        operator = self._name(arguments) if arguments.get("operator") else ""
        await self._spool(Spool.begin_shift, hotfolder, operator, person, self._clock())
        return {"hotfolder": hotfolder, "operator": operator}

    async def _operator(self, arguments: Mapping[str, Any], person: str) -> dict[str, int]:
        operator = self._name(arguments)
        if arguments.get("id"):
            named = [await self._spool(Spool.named, str(arguments["id"]))]
        else:
            hotfolder = self._hotfolder(arguments)
            ids = await self._spool(Spool.waiting_for, "operator", hotfolder)
            named = [await self._spool(Spool.document, one) for one in ids]
        done = 0
        for document in named:
            try:
                with self._in_words(document):
                    await self._spool(
                        Spool.name_operator, document, operator, person, self._clock()
                    )
            except PersonNeeded:
                if arguments.get("id"):
                    raise
                continue  # of all that wait, somebody else has named this one meanwhile
            done += 1
        if self._parts.turns is not None:
            self._parts.turns.wake()
        self._see_to_the_copies()
        return {"documents": done}

    def _hotfolder(self, arguments: Mapping[str, Any]) -> str:
        wanted = str(arguments.get("hotfolder"))
        if wanted not in {section.name for section in self._config.hotfolders}:
            raise PersonNeeded("unknown-hotfolder", repr(wanted))
        return wanted

    def _name(self, arguments: Mapping[str, Any]) -> str:
        """Return who scanned, as it may stand in a transfer note."""
        try:
            operator = slip_of({"operator": str(arguments.get("operator", ""))}).operator
        except NoSlip:
            operator = ""
        if not names_a_person(operator, self._config.box.organisation):
            raise PersonNeeded("operator-unusable", repr(str(arguments.get("operator", ""))))
        return operator

    async def _csr(self, arguments: Mapping[str, Any], person: str) -> dict[str, str]:
        keeper = self._parts.token_keeper
        assert keeper is not None
        subject = csr.subject(str(arguments.get("subject", "")))
        label = str(arguments.get("key") or self._hsm.key)
        found: list[tuple[KeyFacts, str]] = []

        def made(key: KeyFacts, scheme: str) -> bytes:
            found.append((key, scheme))
            return csr.to_be_signed(subject, bytes.fromhex(key.public))

        signed, signature = await keeper.sign_once(label, made)
        ((key, scheme),) = found
        request = csr.request(signed, scheme, signature)
        public = str(Digest.of(bytes.fromhex(key.public)))
        await self._spool(Spool.requested, public, person, self._clock())
        return {"pem": request, "key": label, "public_key_sha256": public}

    async def _import_certificate(
        self, arguments: Mapping[str, Any], person: str
    ) -> dict[str, Any]:
        keeper = self._parts.token_keeper
        assert keeper is not None
        try:
            file = bytes.fromhex(str(arguments.get("file")))
        except ValueError:
            raise PersonNeeded("bad-request", "file: hex") from None
        chain = certificate.load_pem(Path(self._hsm.chain))
        new = newcertificate.checked(file, chain, self._clock())
        label = str(arguments.get("key") or self._hsm.key)
        await keeper.import_certificate(
            label, new.parts(), lambda key: new.belongs(bytes.fromhex(key.public))
        )
        digest = str(Digest.of(new.der))
        await self._spool(Spool.imported, digest, person, self._clock())
        if self._parts.turns is not None:
            self._parts.turns.wake()
        in_use = label == self._hsm.key and not self._hsm.certificate
        return {"key": label, "certificate_sha256": digest, "in_use": in_use}

    async def _reload(self, _: Mapping[str, Any], person: str) -> dict[str, Any]:
        key = self._parts.key
        assert key is not None
        wanted = (await asyncio.to_thread(load, self._config.path)).hsm
        running = self._config.hsm
        fixed = [f"[hsm] {one}" for one in FIXED if getattr(wanted, one) != getattr(running, one)]
        if fixed:
            raise PersonNeeded("restart-needed", ", ".join(fixed))

        async def recorded(before: bytes, after: bytes) -> None:
            digests = (str(Digest.of(before)) if before else "", str(Digest.of(after)))
            await self._spool(Spool.key_changed, *digests, person, self._clock())

        done = await key.reload(wanted, recorded)
        if self._parts.turns is not None:
            self._parts.turns.wake()
        return {
            "changed": done.changed,
            "key": wanted.key,
            "certificate_sha256": str(Digest.of(done.certificate)) if done.certificate else "",
            "problems": [{"code": code, "detail": said} for code, said in done.problems.items()],
        }

    @property
    def _hsm(self) -> HsmSection:
        """The section that is in force: `hsm-reload` may have read another one."""
        return self._parts.key.section if self._parts.key is not None else self._config.hsm

    async def _clock_accept(self, _: Mapping[str, Any], person: str) -> dict[str, str]:
        gate = self._parts.clock_gate
        assert gate is not None
        accepted = await gate.accept(person)
        if self._parts.turns is not None:
            self._parts.turns.wake()
        return accepted


def status_of(lookout: Lookout) -> Command:
    """Return the command that answers with the snapshot."""

    async def answer(_arguments: Mapping[str, Any], _person: str) -> dict[str, Any]:
        return status.as_json(await lookout.snapshot())

    return answer
