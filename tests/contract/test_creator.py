"""Who scanned, in the note of a sealed file: from whom it is known, and what happens if from nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from daemon.document import State
from daemon.spool import Spool
from daemon.transfernote import NAMESPACE
from tests.sealing import Sealing, now, sealing

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.document import Described, Document

ORGANISATION = "Stadt Musterstadt, Marktamt"


def creator_of(here: Sealing, document: Document) -> tuple[str | None, str | None]:
    """Who scanned, and what says so, in note.xml."""
    note = ET.parse(here.sealer.folder(document) / "note.xml").getroot()  # noqa: S314 (our own)
    field = f"{{{NAMESPACE}}}creator"
    return note.findtext(field), note.findtext(f"{field}_source")


async def described(here: Sealing, document: Document, said: Described) -> Document:
    """Let the document be described as the intake would have."""
    await here.spool(Spool.await_operator, document, now())
    waiting = await here.spool(Spool.document, document.id)
    return await here.spool(Spool.describe, waiting, said, None, None, 60.0, now())


def test_what_came_with_the_scan_counts_before_the_log_in_and_that_before_the_folder(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Three documents of one hot folder, each with the nearest source."""

    async def main() -> None:
        async with sealing(tmp_path, seal_token) as here:
            assert await here.key.usable()
            first = await here.claim(drawn["foto.jpg"])
            assert creator_of(here, await here.sealer.seal(first, here.key)) == (
                "K 17",
                "hotfolder",
            )

            await here.spool(Spool.begin_shift, "post", "m.muster", "uid 7", now())
            second = await here.claim(drawn["foto.jpg"])
            assert creator_of(here, await here.sealer.seal(second, here.key)) == (
                "m.muster",
                "shift",
            )

            third = await here.claim(drawn["foto.jpg"])
            said = replace(third.described, operator="k.kluge", source="sidecar")
            third = await described(here, third, said)
            assert creator_of(here, await here.sealer.seal(third, here.key)) == (
                "k.kluge",
                "sidecar",
            )

    asyncio.run(main())


@pytest.mark.parametrize("said", ["", ORGANISATION, f" {ORGANISATION.lower()} "])
def test_a_document_that_names_nobody_waits_and_is_sealed_once_it_does(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], said: str
) -> None:
    """The organisation alone is nobody (A.NB.4); nothing of it is begun, no token is asked."""

    async def main() -> None:
        async with sealing(tmp_path, seal_token, operator=said) as here:
            document = await here.claim(drawn["foto.jpg"])

            waiting = await here.sealer.seal(document, here.key)

            assert (waiting.state, waiting.code, waiting.step) == (State.WAITING, "operator", "")
            assert here.token.facts is None
            named = await here.spool(Spool.name_operator, waiting, "m.muster", "uid 7", now())
            assert await here.key.usable()
            done = await here.sealer.seal(named, here.key)
            assert done.state is State.FROZEN
            assert creator_of(here, done) == ("m.muster", "person")

    asyncio.run(main())


def test_a_profile_may_refuse_what_names_nobody(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """With a copy for the person at the scanner, who knows best."""

    async def main() -> None:
        profile = 'operator = "refuse"\n'
        async with sealing(tmp_path, seal_token, profile=profile, operator="") as here:
            document = await here.claim(drawn["foto.jpg"])

            refused = await here.sealer.seal(document, here.key)

            assert (refused.state, refused.code) == (State.REFUSED, "operator-missing")

    asyncio.run(main())
