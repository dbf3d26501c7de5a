"""The whole box with a bucket as its archive: SeaweedFS, and a service that is killed while it stores."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from daemon.targets.element import parsed
from tests.contract.between import PASS, Asked, Between, Trick
from tests.system.fixtures import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contrib.demo.seaweed import SeaweedFS
    from tests.system.box import Box

PARTS = {"original.pdf", "sealed.pdf", "note.xml", "manifest.json", "manifest.p7s"}


def archived_in(box: Box, store: SeaweedFS, url: str, more: str = "") -> None:
    """Configure the bucket as the archive of *box*."""
    bucket = (
        f'kind = "s3"\nrole = "archive"\nurl = "{url}"\nbucket = "{BUCKET}"\n'
        f'user = "{store.box.name}"\npassword = "file:{store.secret}"\n{more}'
    )
    folder = f'kind = "folder"\nrole = "archive"\npath = "{box.root}/archive"\n'
    text = box.config.read_text()
    assert folder in text
    box.config.write_text(text.replace(folder, bucket))


@pytest.mark.parametrize("part", ["original.pdf", "manifest.p7s"])
@pytest.mark.parametrize("stored", [True, False])
def test_a_scan_reaches_the_bucket_once_though_the_service_is_killed_while_it_is_stored(
    make_box: Callable[..., Box],
    store: SeaweedFS,
    drawn: dict[str, Path],
    part: str,
    stored: bool,
) -> None:
    """Killed after the store has it, or before it has all of it: one version, locked for its time."""
    box = make_box()
    kills = [True]

    def trick(asked: Asked) -> Trick:
        if asked.method == "PUT" and asked.path.endswith(part) and kills:
            kills.clear()
            assert box.process is not None
            kill = partial(os.killpg, box.process.pid, signal.SIGKILL)
            return Trick(then=kill) if stored else Trick(cut_request=100, then=kill)
        return PASS

    with Between(store.url, trick) as between:
        archived_in(box, store, between.url)
        box.start()
        box.drop(drawn["brief.pdf"])
        assert box.process is not None
        assert box.process.wait(60) == -signal.SIGKILL
        box.start()
        box.wait(box.at_rest(1), "filed")
        (document,) = box.documents()
        assert document.state is State.FILED, box.log()

    _, _, body = store.asked("GET", BUCKET, {"versions": "", "prefix": document.id})
    keys = [one.said("Key") for one in parsed(body).all("Version")]
    assert sorted(keys) == sorted(f"{document.id}/{name}" for name in PARTS)
    assert document.sealed_at is not None
    until = document.sealed_at + timedelta(days=3650)
    for key in keys:
        _, head, _ = store.asked("HEAD", f"{BUCKET}/{key}")
        assert head["x-amz-object-lock-mode"] == "COMPLIANCE"
        held = datetime.fromisoformat(head["x-amz-object-lock-retain-until-date"])
        assert timedelta() <= held - until < timedelta(seconds=1)
    assert until > datetime.now(UTC)


def locks(store: SeaweedFS, document: str) -> list[datetime]:
    """Return until when each object of a document is locked."""
    _, _, body = store.asked("GET", BUCKET, {"versions": "", "prefix": document})
    keys = [one.said("Key") for one in parsed(body).all("Version")]
    heads = [store.asked("HEAD", f"{BUCKET}/{key}")[1] for key in keys]
    return [datetime.fromisoformat(head["x-amz-object-lock-retain-until-date"]) for head in heads]


def test_a_first_lock_becomes_the_long_one_once_everything_is_proven(
    make_box: Callable[..., Box], store: SeaweedFS, drawn: dict[str, Path]
) -> None:
    """While the DMS has not got it, what was misdirected can still be taken back some day."""
    box = make_box()
    archived_in(box, store, store.url, "first_lock_days = 90\n")
    (box.root / "dms").rmdir()
    box.start()
    box.drop(drawn["brief.pdf"])
    box.wait(lambda: bool(box.documents()), "claimed")
    (document,) = box.documents()
    box.wait(lambda: len(locks(store, document.id)) == len(PARTS), "in the archive")
    first = max(locks(store, document.id))
    (box.root / "dms").mkdir()
    box.wait(box.at_rest(1), "filed")
    sealed_at = box.documents()[0].sealed_at
    assert sealed_at is not None
    until = sealed_at + timedelta(days=3650)
    box.wait(lambda: min(locks(store, document.id)) >= until, "locked for all of its time")

    assert timedelta(days=89) < first - datetime.now(UTC) < timedelta(days=91)


def test_a_bucket_without_lock_raises_its_alarm_and_gets_nothing(
    make_box: Callable[..., Box], store: SeaweedFS, drawn: dict[str, Path]
) -> None:
    """The scan stays here, sealed; the DMS has it all the same."""
    box = make_box()
    archived_in(box, store, store.url)
    text = box.config.read_text()
    box.config.write_text(text.replace(f'bucket = "{BUCKET}"', 'bucket = "unlocked"'))
    box.start()
    box.drop(drawn["brief.pdf"])
    box.wait(lambda: bool(box.documents()), "claimed")
    (document,) = box.documents()
    box.wait((box.root / "dms" / document.id / "sealed.pdf").exists, "the DMS has it")
    box.wait(lambda: "target-without-lock" in str(box.status()), "said in the status")

    _, _, body = store.asked("GET", "unlocked", {"versions": ""})
    assert list(parsed(body).all("Version")) == []
    assert box.documents()[0].state is State.FROZEN
