"""The transfer note where people read it: by a command, and without names on the page."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

from aiohttp.test_utils import TestClient, TestServer

from daemon import status
from daemon.commands import Commands
from daemon.control import Control
from daemon.lookout import Lookout
from daemon.parts import Parts
from daemon.recheck import Recheck
from daemon.spool import Spool
from daemon.web import PageContext, build, metrics
from tests.sealing import Sealing, now, sealing
from tests.watched import names_nobody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.document import Document


def run(root: Path, files: TokenFiles, work: Callable[[Sealing], Awaitable[None]]) -> None:
    async def main() -> None:
        async with sealing(root, files) as here:
            assert await here.key.usable()
            await work(here)

    asyncio.run(main())


async def sealed_by(here: Sealing, source: Path, operator: str) -> Document:
    """Seal a scan of which its sidecar says who, in which batch and which number."""
    claimed = await here.claim(source)
    said = {"operator": operator, "source": "sidecar", "batch": "Stapel 9", "number": "AZ-4711"}
    described = replace(claimed.described, **said)  # type: ignore[arg-type]
    return await here.sealer.seal(replace(claimed, described=described), here.key)


@contextlib.asynccontextmanager
async def answering(here: Sealing) -> AsyncIterator[Lookout]:
    """Answer commands as the service does."""
    parts = Parts(here.config)
    parts.recheck_stage = Recheck(here.config, here.spool, here.alarms, now)
    lookout = Lookout(here.config, here.alarms, parts, now, readable=True)
    commands = Commands(here.config, here.spool, parts, lookout, now)
    running = asyncio.create_task(Control(here.config.socket, commands.table()).run())
    while not here.config.socket.exists():
        assert not running.done()
        await asyncio.sleep(0)
    try:
        yield lookout
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        lookout.close()


async def note(root: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "daemon", "note", *arguments]
    command += ["--config", str(root / "scanseal.toml")]
    done: Any = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_says_the_note_in_words(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """For the one who asks with the reference in hand: all of it, in the box's language."""

    async def work(here: Sealing) -> None:
        document = await sealed_by(here, drawn["foto.jpg"], "Erika Beispiel")
        waiting = await here.claim(drawn["foto.jpg"])
        async with answering(here):
            code, german = await note(tmp_path, document.id[-8:])
            assert code == 0
            for said in ("a) Ersteller", "Erika Beispiel", "die Begleitdatei", "AZ-4711", "f) Ver"):
                assert said in german
            _, english = await note(tmp_path, document.id, "--language", "en")
            assert "a) Creator of the scan product" in english
            xml = (here.sealer.folder(document) / "note.xml").read_text()
            assert await note(tmp_path, document.id, "--xml") == (0, xml)
            code, refused = await note(tmp_path, waiting.id)
            assert (code, refused[:8]) == (1, "no-note:")
            (here.sealer.folder(document) / "note.xml").write_text(xml.replace("Erika", "Erich"))
            code, damaged = await note(tmp_path, document.id)
            assert (code, damaged[:17]) == (1, "own-copy-damaged:")
            assert "Erich" not in damaged
        code, stopped = await note(tmp_path, document.id)
        assert (code, stopped[:12]) == (1, "not-running:")

    run(tmp_path, seal_token, work)


def test_the_page_shows_the_note_without_names(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """I9: nobody logs in there, so it says that somebody is named and not who."""

    async def work(here: Sealing) -> None:
        document = await sealed_by(here, drawn["foto.jpg"], "Erika Beispiel")
        async with answering(here) as lookout:
            context = PageContext(
                snapshot=lookout.snapshot,
                database=here.config.state_dir / "spool.db",
                language="de",
                timezone="Europe/Berlin",
                listen="127.0.0.1:0",
            )
            async with TestClient(TestServer(build(context))) as client:

                async def page() -> str:
                    headers = {"Host": "127.0.0.1:0"}
                    path = f"/documents/{document.id}?lang=de"
                    async with client.get(path, headers=headers) as answer:
                        assert answer.status == 200
                        return await answer.text()

                html = await page()
                assert "a) Ersteller des Scanprodukts" in html
                assert "benannt" in html
                assert "Scankonzept Test 1.0" in html
                for personal in ("Erika", "Stapel 9", "AZ-4711", "Begleitdatei", "foto"):
                    assert personal not in html
                assert names_nobody(html)
                path = here.sealer.folder(document) / "note.xml"
                path.write_bytes(path.read_bytes().replace(b"Erika", b"Erich"))
                html = await page()
                assert "own-copy-damaged" in html
                assert "Ersteller" not in html

    run(tmp_path, seal_token, work)


def test_page_and_metrics_say_what_the_nightly_sample_came_to(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Central IT sees that the disks are read, and that nothing was bad."""

    async def work(here: Sealing) -> None:
        document = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
        async with answering(here) as lookout:
            snapshot = await lookout.snapshot()
            assert status.as_json(snapshot)["recheck"] == {"at": None, "checked": 0, "bad": 0}
        await here.spool(Spool.recheck_begun, "2026-11-22", now())
        await here.spool(Spool.rechecked, document.id, "note.xml: changed", now())
        parts = Parts(here.config)
        parts.recheck_stage = Recheck(here.config, here.spool, here.alarms, now)
        await parts.recheck_stage.resume()
        lookout = Lookout(here.config, here.alarms, parts, now, readable=True)
        snapshot = await lookout.snapshot()
        lookout.close()

        assert status.as_json(snapshot)["recheck"] == {"at": ANY, "checked": 1, "bad": 1}
        assert "\nscanseal_stored_damaged 1\n" in metrics.text(snapshot)
        assert "\nscanseal_rechecked_documents 1\n" in metrics.text(snapshot)
        assert "\nscanseal_last_recheck_seconds 1" in metrics.text(snapshot)

    run(tmp_path, seal_token, work)
