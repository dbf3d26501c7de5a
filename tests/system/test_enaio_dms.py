"""The whole box with enaio as its DMS (a fake of it), and a service that is killed while it stores."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from daemon.document import State
from tests.contract.enaio_fake import PARENT, PASSWORD, TYPE, USER, Enaio, Stored, made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

    from tests.system.box import Box


def filed_in(box: Box, enaio: Enaio) -> None:
    """Configure enaio as the DMS of *box*; the archive comes first, and its name goes along."""
    secret = box.root / "password"
    secret.write_text(PASSWORD)
    table = (
        f'kind = "enaio"\nrole = "dms"\nurl = "{enaio.url}"\nuser = "{USER}"\n'
        f'password = "file:{secret}"\nobject_type = "{TYPE}"\nparent = "{PARENT}"\n'
        'id_field = "ScanId"\nafter = "archive"\n'
        'fields = { Betreff = "profile", Pruefsumme = "sealed_sha256", Archiv = "archive_id" }\n'
    )
    folder = f'kind = "folder"\nrole = "dms"\npath = "{box.root}/dms"\n'
    text = box.config.read_text()
    assert folder in text
    box.config.write_text(text.replace(folder, table))


def test_a_scan_is_in_enaio_once_though_the_service_is_killed_when_it_is_stored(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """The object is there, nobody has heard of it: the next start asks, and does not insert again."""
    box = make_box()

    async def stored_and_killed(one: Stored) -> web.StreamResponse:
        number = enaio.store(one)
        enaio.insert = None
        assert box.process is not None
        os.killpg(box.process.pid, signal.SIGKILL)
        return made(number, one)

    with Enaio() as enaio:
        enaio.insert = stored_and_killed
        filed_in(box, enaio)
        box.start()
        box.drop(drawn["brief.pdf"])
        assert box.process is not None
        assert box.process.wait(60) == -signal.SIGKILL
        box.start()
        box.wait(box.at_rest(1), "filed")
        (document,) = box.documents()
        proofs = json.loads(box.command("prove", document.id, "--json").stdout)
        assert enaio.posts() == 1
        lines = box.reader().lines(document.id)
        assert box.command("selftest", "--target", "dms").returncode == 0
        assert (len(box.documents()), box.reader().lines(document.id)) == (1, lines)

    assert document.state is State.FILED, box.log()
    (number,) = enaio.holding(f"{document.id}/sealed.pdf")
    one = enaio.objects[number]
    sealed = box.folder(document) / "sealed.pdf"
    assert one.content == sealed.read_bytes()
    assert one.properties == {
        "system:objectTypeId": TYPE,
        "system:parentId": PARENT,
        "ScanId": f"{document.id}/sealed.pdf",
        "Betreff": "post",
        "Pruefsumme": str(document.sealed),
        "Archiv": one.properties["Archiv"],
    }
    assert document.id in one.properties["Archiv"]
    (proof,) = [one for one in proofs["targets"] if one["target"] == "dms"]
    assert (proof["state"], proof["parts"][0]["reference"]) == ("held", number)
    assert PASSWORD not in box.log()


def test_a_refusal_of_enaio_is_a_persons_and_a_release_asks_first(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """Somebody has made a field mandatory: the code says so; nothing is sent again in a hurry."""
    with Enaio(mandatory=frozenset({"Nummer"})) as enaio:
        box = make_box()
        filed_in(box, enaio)
        box.start()
        box.drop(drawn["brief.pdf"])
        box.wait(lambda: "delivery-refused" in box.alarms(), "the alarm")
        (document,) = box.documents()

        def code() -> str:
            deliveries = box.reader().deliveries(document.id)
            return next(one.code for one in deliveries if one.target == "dms")

        assert code() == "enaio-fields-refused"
        inserts = enaio.posts()
        assert box.command("release", document.id).returncode == 0
        box.wait(lambda: code() == "delivery-in-doubt", "asked first")
        assert enaio.posts() == inserts
        # A clerk has filed it by hand in the meantime: that is as good.
        sealed = (box.folder(document) / "sealed.pdf").read_bytes()
        by_hand = {"ScanId": f"{document.id}/sealed.pdf"}
        enaio.store(Stored(by_hand, sealed, "application/pdf", "brief.pdf"))
        box.wait(box.at_rest(1), "filed")

    assert box.documents()[0].state is State.FILED
    assert len(enaio.objects) == 1
