"""One step of one delivery: doubt, order, what a target is told, and what is written of a try."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from daemon.delivering import Outcome, Rules, deliver
from daemon.document import DeliveryState, State
from daemon.errors import PermanentError, TargetUnreachable, TransientError
from daemon.records.reader import open_reader
from daemon.spool import Spool
from daemon.targets import NOTHING, About
from daemon.terms import Terms
from daemon.windows import Window
from tests.frozen import NOW
from tests.unit.test_sync import World, in_world, running

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.document import Document, Receipt
    from daemon.targets import Sending

LOST = TargetUnreachable("the answer was lost", in_doubt=True)
REFUSED = TransientError("target-full", "507: no room")


async def step(world: World, document: Document, target: str = "dms", **rules: object) -> Outcome:
    """Take one step of the delivery to *target*, by rules of a process that began at NOW."""
    delivery = await world.delivery(document, target)
    agreed = Rules(**{"started": NOW, **rules})  # type: ignore[arg-type]
    shelf = world.shelves[target]
    return await deliver(world.spool, world.documents, delivery, shelf, world.clock, rules=agreed)


def puts(world: World) -> int:
    """Return how often something was put to the DMS."""
    return sum(what == "put" for what, _ in world.dms.calls)


def test_a_lost_answer_waits_and_is_asked_twice_before_the_next_put(tmp_path: Path) -> None:
    """I3: at most one put per proven absence, where the target cannot refuse a second copy."""

    async def story(world: World) -> None:
        world.dms.create_once = False
        (document,) = await world.frozen()
        world.dms.trouble = LOST
        assert await step(world, document) == Outcome(DeliveryState.SENDING, "target-unreachable")
        world.dms.trouble = None
        asked = []
        seen: list[tuple[datetime | None, datetime | None]] = []

        def look() -> None:
            with closing(open_reader(world.state_dir / "spool.db")) as reader:
                row = reader.delivery(document.id, "dms")
                seen.append((row.sent_at, row.absent_at))

        world.dms.on_put = look
        while puts(world) == 1:
            world.time = (await world.delivery(document, "dms")).due_at or world.time
            outcome = await step(world, document)
            asked.append((round((world.time - NOW).total_seconds()) - 10, outcome.code))

        assert outcome.state is DeliveryState.DELIVERED
        # Three times too early to say anything, then twice a minute apart.
        assert [code for _, code in asked[:-1]] == ["delivery-in-doubt"] * (len(asked) - 1)
        first, second = asked[-2][0], asked[-1][0]
        assert first >= 300
        assert second - first >= 60
        assert puts(world) == 2
        # Committed before it left: a kill in the middle begins a doubt of its own.
        assert seen == [(world.time, None)]

    in_world(tmp_path, story)


def test_what_arrived_all_the_same_is_delivered_without_another_put(tmp_path: Path) -> None:
    """An insert that ends after we gave up: the next look finds it, however early."""

    async def story(world: World) -> None:
        world.dms.create_once = False
        (document,) = await world.frozen()
        (part,) = (await world.delivery(document, "dms")).parts
        world.dms.trouble = LOST
        await step(world, document)
        world.dms.trouble = None
        world.dms.stored[f"{document.id}/{part.file}"] = (part.digest, part.size)
        world.time += timedelta(seconds=5)

        assert await step(world, document) == Outcome(DeliveryState.DELIVERED)
        assert puts(world) == 1

    in_world(tmp_path, story)


def test_a_target_that_surely_stored_nothing_leaves_no_doubt(tmp_path: Path) -> None:
    """Full, or not even reached: it is put again as soon as it is due."""

    async def story(world: World) -> None:
        world.dms.create_once = False
        (document,) = await world.frozen()
        world.dms.trouble = REFUSED
        await step(world, document)
        world.dms.trouble = None
        world.time += timedelta(seconds=30)

        assert await step(world, document) == Outcome(DeliveryState.DELIVERED)

    in_world(tmp_path, story)


def test_trouble_while_it_is_asked_never_forgets_the_doubt(tmp_path: Path) -> None:
    """Also an answer that would be certain about a put says nothing about the one before."""

    async def story(world: World) -> None:
        world.dms.create_once = False
        (document,) = await world.frozen()
        for trouble in (LOST, REFUSED):
            world.dms.trouble = trouble
            await step(world, document)
            world.time += timedelta(seconds=30)
        world.dms.trouble = None

        assert (await step(world, document)).code == "delivery-in-doubt"
        assert puts(world) == 1

    in_world(tmp_path, story)


def test_a_refusal_and_its_release_never_forget_the_doubt(tmp_path: Path) -> None:
    """A person says that it may go on, not that nothing had arrived."""

    async def story(world: World) -> None:
        world.dms.create_once = False
        (document,) = await world.frozen()
        world.dms.trouble = PermanentError("target-refuses", "said 422")
        await step(world, document)
        world.dms.trouble = None
        await world.spool(Spool.release, document.id, "uid 0", world.time)
        world.time += timedelta(seconds=30)

        assert (await step(world, document)).code == "delivery-in-doubt"

    in_world(tmp_path, story)


def test_a_process_that_was_killed_leaves_doubt_from_our_start_on(tmp_path: Path) -> None:
    """It may have sent until its end; when it had begun to says nothing."""

    async def story(world: World) -> None:
        world.dms.create_once = False
        (document,) = await world.frozen()
        begun = await world.spool(
            Spool.begin_delivery, await world.delivery(document, "dms"), world.time
        )
        await world.spool(Spool.postpone, begun, world.time, "x", "", world.time)
        started = world.time = world.time + timedelta(hours=1)

        await step(world, document, started=started)
        found = await world.delivery(document, "dms")

        assert found.due_at is not None
        assert found.due_at <= started + timedelta(seconds=300)
        assert found.absent_at is None
        assert puts(world) == 0

    in_world(tmp_path, story)


def test_a_target_that_refuses_a_second_copy_is_asked_once_and_put_to(tmp_path: Path) -> None:
    """There is nothing to wait for."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        world.dms.trouble = LOST
        await step(world, document)
        world.dms.trouble = None
        world.time += timedelta(seconds=30)

        assert await step(world, document) == Outcome(DeliveryState.DELIVERED)
        assert puts(world) == 2

    in_world(tmp_path, story)


def test_a_target_that_follows_another_waits_for_it(tmp_path: Path) -> None:
    """It is not due before, and it is told how the first one names the document."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        told: list[dict[str, str]] = []

        def about(_: Document, more: dict[str, str]) -> About:
            told.append(more)
            return NOTHING

        rules: dict[str, Any] = {"after": "archive", "about": about}
        assert await step(world, document, **rules) == Outcome(None)
        assert (await world.delivery(document, "dms")).due_at is None
        assert await world.spool(Spool.due, "dms", world.time + timedelta(days=9), 9) == []
        assert await world.spool(Spool.next_due, "dms") is None

        await step(world, document, "archive", followers=("dms",))
        assert [d.document for d in await world.spool(Spool.due, "dms", world.time, 9)] == [
            document.id
        ]
        assert (await step(world, document, **rules)).state is DeliveryState.DELIVERED
        assert told == [
            {"archive_id": f"shelf:{document.id}/sealed.pdf", "operator": "", "supersedes": ""}
        ]
        assert await world.state(document) is State.FILED

    in_world(tmp_path, story)


def test_what_waits_for_a_target_is_due_once_the_configuration_drops_that(tmp_path: Path) -> None:
    """Looked at when the service starts; and what its first target has by then, too."""

    async def story(world: World) -> None:
        waiting, done = await world.frozen(2)
        for document in (waiting, done):
            await step(world, document, after="archive")
        await step(world, done, "archive")

        await world.spool(Spool.reorder, {"dms": "archive", "archive": ""}, world.time)
        due = await world.spool(Spool.due, "dms", world.time, 9)
        assert [one.document for one in due] == [done.id]

        await world.spool(Spool.reorder, {"dms": "", "archive": ""}, world.time)
        due = await world.spool(Spool.due, "dms", world.time, 9)
        assert [one.document for one in due] == [waiting.id, done.id]

    in_world(tmp_path, story)


def test_a_proof_that_is_weaker_than_configured_is_refused(tmp_path: Path) -> None:
    """The adapter says how it knows; what that has to be at least is not its decision."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        outcome = await step(world, document, proof="bytes")
        assert outcome.state is DeliveryState.DELIVERED

        real = world.archive._receipt
        world.archive._receipt = lambda key: replace(real(key), grade="metadata")  # type: ignore[method-assign]
        outcome = await step(world, document, "archive", proof="checksum")
        assert outcome == Outcome(DeliveryState.REFUSED, "target-proof-weak")

    in_world(tmp_path, story)


def test_what_a_target_says_of_people_stays_out_of_our_records(tmp_path: Path) -> None:
    """Its words may repeat the index data it was given (I9)."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        facts = {"operator": "E. Miller", "number": "AZ-4711", "batch": "4"}
        said = "said 422: AZ-4711 by E. Miller is there already"
        world.dms.trouble = PermanentError("target-refuses", said)

        await step(world, document, about=lambda *_: About(facts=facts))

        kept = await world.delivery(document, "dms")
        assert kept.reason == "said 422: … by … is there already"
        lines = "".join(await world.spool(Spool.lines, document.id))
        assert "Miller" not in lines
        assert "4711" not in lines

    in_world(tmp_path, story)


def test_each_try_has_its_line(tmp_path: Path) -> None:
    """Whoever asks in five years when the DMS was away finds it."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        world.dms.trouble = REFUSED
        for _ in range(2):
            await step(world, document)
            world.time += timedelta(minutes=1)
        lines = [json.loads(one) for one in await world.spool(Spool.lines, document.id)]
        tries = [one["detail"] for one in lines if one["event"] == "delivery-postponed"]

        assert tries == [
            {"attempt": number, "code": "target-full", "target": "dms"} for number in (1, 2)
        ]

    in_world(tmp_path, story)


# -- the stage keeps to the terms ----------------------------------------------------------


def on(world: World, **terms: Terms) -> None:
    """Let the stage work on these terms."""
    for name, agreed in terms.items():
        lane = world.sync._lanes[name]
        lane.terms, lane.slots = agreed, asyncio.Semaphore(agreed.concurrency)


def test_a_target_asked_to_be_left_alone_is_left_alone(tmp_path: Path) -> None:
    """Retry-After: also where it is longer than any pause of ours."""

    async def story(world: World) -> None:
        await world.frozen(2)
        on(world, dms=Terms(concurrency=1))
        world.dms.trouble = TransientError("target-busy", "said 429", retry_after=900.0)
        async with running(world.sync):
            await world.archived(2)
            calls = len(world.dms.calls)
            world.dms.trouble = None
            await world.later(890)
            assert len(world.dms.calls) == calls
            await world.later(20)
            await world.filed(2)

    in_world(tmp_path, story)


def test_a_target_is_used_within_its_windows_only(tmp_path: Path) -> None:
    """NOW is a Sunday, noon."""

    async def story(world: World) -> None:
        await world.frozen()
        on(world, dms=Terms(windows=(Window.parse("18:00-20:00"),)))
        async with running(world.sync):
            await world.archived(1)
            assert world.dms.calls == []
            await world.later(6 * 3600)
            await world.filed(1)

    in_world(tmp_path, story)


def test_no_more_are_on_their_way_than_was_agreed(tmp_path: Path) -> None:
    """Another number for each target."""

    async def story(world: World) -> None:
        await world.frozen(8)
        on(world, dms=Terms(concurrency=2), archive=Terms(concurrency=6))
        async with running(world.sync):
            await world.filed(8)
        assert max(map(len, world.dms.together)) == 2
        assert max(map(len, world.archive.together)) == 6

    in_world(tmp_path, story)


def test_documents_held_twice_raise_an_alarm_until_a_person_has_looked(tmp_path: Path) -> None:
    """Named by itself: the remedy is another one than for what a target refuses."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        world.dms.trouble = PermanentError("target-duplicate", "holds it twice")
        async with running(world.sync):
            await world.archived(1)
            await world.later(1)
            assert ("target-duplicate", "dms", "1") in world.raised()
            world.dms.trouble = None
            await world.spool(Spool.release, document.id, "uid 0", world.time)
            await world.later(1)
            await world.filed(1)
            await world.later(10)
            assert "target-duplicate" not in {code for code, _, _ in world.raised()}

    in_world(tmp_path, story)


def test_three_refusals_in_a_row_are_the_targets_trouble(tmp_path: Path) -> None:
    """A field that was renamed on a Friday: not a weekend's documents, each for a person."""

    async def story(world: World) -> None:
        await world.frozen(12)
        on(world, dms=Terms(concurrency=1))
        world.dms.trouble = PermanentError("target-refuses", "said 422: no such field")
        async with running(world.sync):
            await world.archived(12)
            assert 3 <= await world.count("refused", "delivery:dms") <= 4  # one was begun already
            await world.later(90)
            assert ("target-unreachable", "dms", "target-refuses") in world.raised()
            refused = await world.count("refused", "delivery:dms")
            assert refused <= 6
            world.dms.trouble = None
            await world.later(60)
            async with asyncio.timeout(20):
                while await world.count("delivered", "delivery:dms") < 12 - refused:
                    await world.later(1)
            assert "target-unreachable" not in {code for code, _, _ in world.raised()}

    in_world(tmp_path, story)


def test_documents_refused_now_and_then_stop_no_other(tmp_path: Path) -> None:
    """Each by itself is for a person; between them others were taken."""

    async def story(world: World) -> None:
        documents = await world.frozen(9)
        bad = {one.id for one in documents[1::2]}
        on(world, dms=Terms(concurrency=1))
        real = world.dms.put

        async def put(part: Sending) -> Receipt:
            if part.key.partition("/")[0] in bad:
                raise PermanentError("target-refuses", "said 422")
            return await real(part)

        world.dms.put = put  # type: ignore[method-assign]
        async with running(world.sync):
            await world.filed(5)
            assert await world.count("refused", "delivery:dms") == 4
            assert not {code for code, _, _ in world.raised()} & {"target-unreachable"}

    in_world(tmp_path, story)


def test_a_target_that_answers_with_a_refusal_is_not_called_away(tmp_path: Path) -> None:
    """The alarm goes with the first answer, whatever it says."""

    async def story(world: World) -> None:
        await world.frozen()
        world.dms.trouble = LOST
        async with running(world.sync):
            await world.archived(1)
            await world.later(70)
            assert "target-unreachable" in {code for code, _, _ in world.raised()}
            world.dms.trouble = PermanentError("target-refuses", "said 422")
            await world.later(30)
            await world.later(1)
            assert {code for code, _, _ in world.raised()} == {"delivery-refused"}

    in_world(tmp_path, story)


def test_hours_without_the_target_take_few_tries_and_end_by_themselves(tmp_path: Path) -> None:
    """Twice a minute in the first hour, every five minutes after that; each document once then."""

    async def story(world: World) -> None:
        documents = await world.frozen(20)
        world.dms.trouble = LOST
        async with running(world.sync):
            await world.archived(20)
            lane = world.sync._lanes["dms"]
            began = world.time
            while world.time - began < timedelta(hours=3):
                await world.later(max(lane.pause(world.time), 1.0))
            assert [code for code, _, _ in world.raised()] == ["target-unreachable"]
            tries = len(world.dms.calls)
            assert 100 + 2 * 11 <= tries <= 140 + 2 * 13
            world.dms.trouble = None
            world.dms.calls.clear()
            await world.later(300)
            await world.later(600)
            await world.filed(20)
            assert sorted(world.dms.documents()) == [one.id for one in documents]
            assert puts(world) == 20
            assert world.raised() == set()

    in_world(tmp_path, story)


def test_a_target_that_follows_another_is_woken_by_it(tmp_path: Path) -> None:
    """At once, and not when it looks the next time."""

    async def story(world: World) -> None:
        on(
            world,
            dms=Terms(rules=Rules(after="archive")),
            archive=Terms(rules=Rules(followers=("dms",))),
        )
        async with running(world.sync):
            await world.looked_around()  # neither lane has anything to do for five seconds
            await world.frozen(3)
            world.sync.frozen()
            await world.filed(3, seconds=4)
        assert [what for what, _ in world.dms.calls] == ["put"] * 3

    in_world(tmp_path, story)
