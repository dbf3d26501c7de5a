"""How soon the service answers while documents wait for a slow token.

The page and the status are asked for in turn, one request at a time, each with a
connection of its own, first while nothing waits and then while a queue does. Then
the broker drops the service, which connects again and sends everything it has said:
one message at a time, the next when the broker has confirmed the last one and the
event loop has heard of it. From one to the next is a round trip.
"""

from __future__ import annotations

import http.client
import itertools
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from bench.crooked import CrookedBox, filed, states, until
from bench.draw import draw
from bench.table import Row
from daemon.document import State
from daemon.mqtt import KNOWN_ALARMS
from tests.certomancer import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from tests.system.box import Box

SLOW_MS: Final = 300
WAITING: Final = 150
"""Two signatures each, so they wait for about 90 s."""
ROUNDS: Final = 300
PAUSE: Final = 0.05
CONNECTS: Final = 4
"""So often the broker drops the service."""
EACH: Final = 2 + len(KNOWN_ALARMS)
"""Messages after a connect, with no alarm raised: the state, the status, and each alarm."""
LIMIT_MS: Final = 50.0
ASKED: Final = {"page": "/", "status": "/api/status"}
SETTINGS: Final = """\
[web]
listen = "127.0.0.1:{web}"

[mqtt]
host = "127.0.0.1"
port = {mqtt}
"""


Heard = list[tuple[float, str, bytes]]
"""When, the last part of the topic, the payload."""
ONLINE: Final = ("state", b"online")


@dataclass(slots=True)
class Answers:
    """What was measured in one situation, in seconds."""

    asked: dict[str, list[float]] = field(default_factory=dict)
    mqtt: list[float] = field(default_factory=list)


def answering(folder: Path, token: TokenFiles) -> tuple[list[Row], list[str]]:
    """Measure; return the rows and a note."""
    letters = folder / "letters"
    letters.mkdir(parents=True)
    draw("letters", letters, WAITING + 1)
    first, *rest = sorted(letters.iterdir())
    web, mqtt = free_port(), free_port()
    settings = SETTINGS.format(web=web, mqtt=mqtt)
    box = CrookedBox(folder / "box", token, more=settings)
    box.crooked.does(f"C_Sign slow {SLOW_MS}")
    try:
        with _broker(folder, mqtt), _heard(mqtt) as heard:
            box.start()
            first.rename(box.root / "hot" / first.name)
            filed(box, 1)
            idle = _asked(box, web, mqtt, heard)
            for path in rest:
                path.rename(box.root / "hot" / path.name)
            # All are claimed: from here on it is the token that they wait for.
            until(box, lambda: sum(states(box).values()) == WAITING + 1)
            waiting = _asked(box, web, mqtt, heard)
            if not states(box).get(State.CLAIMED):
                raise RuntimeError("nothing waited any more when the last answer came")
            _stopped(box)
    finally:
        box.close()
    return _rows(idle, waiting), [NOTE]


def _asked(box: Box, port: int, mqtt: int, heard: Heard) -> Answers:
    found = Answers({name: [] for name in ASKED})
    for _ in range(ROUNDS):
        for name, path in ASKED.items():
            begun = time.perf_counter()
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            line.request("GET", path)
            answer = line.getresponse()
            answer.read()
            line.close()
            found.asked[name].append(time.perf_counter() - begun)
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{path}: {answer.status}")
            time.sleep(PAUSE)
    for _ in range(CONNECTS):
        found.mqtt += _round_trips(box, mqtt, heard)
    return found


def _round_trips(box: Box, port: int, heard: Heard) -> list[float]:
    """Let the broker drop the service; return the times between its messages afterwards."""
    before = len(heard)
    reader = box.reader()
    # Another client of the same name: the broker closes the first one's connection.
    intruder = Client(CallbackAPIVersion.VERSION2, client_id=f"scanseal-{reader.box_id()}")
    reader.close()
    intruder.on_connect = lambda client, *_: client.disconnect()
    intruder.connect("127.0.0.1", port)
    intruder.loop_forever()

    def after() -> list[float]:
        new = heard[before:]
        begun = [n for n, (_, topic, said) in enumerate(new) if (topic, said) == ONLINE]
        return [at for at, _, _ in new[begun[0] :]] if begun else []

    until(box, lambda: len(after()) >= EACH)
    return [b - a for a, b in itertools.pairwise(after()[:EACH])]


def _stopped(box: Box) -> None:
    if box.stop() != 0:
        raise RuntimeError("the service did not stop cleanly")


@contextmanager
def _broker(folder: Path, port: int) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen(
        ["/usr/sbin/mosquitto", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _heard(port: int) -> Iterator[Heard]:
    """Note when each message arrives; the client tries again until the broker listens."""
    heard: Heard = []
    there = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.reconnect_delay_set(1, 1)
    client.on_connect = lambda one, *_: one.subscribe("scanseal/#", qos=1)
    client.on_subscribe = lambda *_: there.set()
    client.on_message = lambda _client, _data, message: heard.append(
        (time.perf_counter(), message.topic.rpartition("/")[2], bytes(message.payload))
    )
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    try:
        if not there.wait(30):
            raise RuntimeError("the broker does not listen")
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def _rows(idle: Answers, waiting: Answers) -> list[Row]:
    words = {"page": "GET /", "status": "GET /api/status"}
    rows = []
    for name in ASKED:
        for when, answers in (("waiting", waiting), ("idle", idle)):
            taken = [1000 * one for one in answers.asked[name]]
            limit = LIMIT_MS if when == "waiting" else None
            rows += _percentiles(f"{name}_{when}", f"{words[name]}, {WHEN[when]}", taken, limit)
    for when, answers in (("waiting", waiting), ("idle", idle)):
        taken = [1000 * one for one in answers.mqtt]
        limit = LIMIT_MS if when == "waiting" else None
        rows += _percentiles(f"mqtt_{when}", f"MQTT round trip, {WHEN[when]}", taken, limit)
    return rows


WHEN: Final = {
    "waiting": f"documents wait for a token with {SLOW_MS} ms for each signature",
    "idle": "nothing waits",
}
NOTE: Final = f"""\
The whole service, with a token that takes {SLOW_MS} ms for each signature (SoftHSM behind the module
of the tests); `/` and `/api/status` are asked for in turn, {ROUNDS} times each with {1000 * PAUSE:.0f} ms
between them, each request with a connection of its own: at first while nothing waits, then, in the
same run, while documents do (of {WAITING} some are left when the last answer comes). In both
situations a client of the same name then has the broker drop the service {CONNECTS} times; the service
connects again and sends {EACH} messages one by one, each when the last is confirmed. From one to the
next, as a subscriber hears them, is the round trip: PUBACK, the event loop, PUBLISH. The pings of
the keep-alive (every 30 s, and only when nothing else is sent) are too few to be measured; they are
sent by paho's thread, without the event loop."""


def _percentiles(name: str, words: str, values: list[float], limit: float | None) -> list[Row]:
    ordered = sorted(values)
    shares = (("p50", 0.5, None), ("p99", 0.99, limit))
    return [
        Row(
            name=f"token.{name}_{share}",
            words=f"{words}, {share}",
            value=ordered[min(len(ordered) - 1, int(part * len(ordered)))],
            unit="ms",
            limit=most,
        )
        for share, part, most in shares
    ]
