"""What central IT sees: the box's state, its snapshot and its alarms, as retained messages.

    <topic>/<box>/state          online | offline      birth, farewell and will
    <topic>/<box>/status         the snapshot as JSON
    <topic>/<box>/alarm/<code>   a JSON list of instances; empty when none is left

It is a view: nothing here reads anything back, and a broker that is away costs
nothing but the view. So this is no queue. The newest snapshot is a table of
topics and payloads, and the broker is brought in line with it, one message at a
time: the next one leaves when the broker has confirmed the one before. After each
(re)connect nothing is assumed, and the whole table is sent again, the birth first.

paho's thread calls `loop.call_soon_threadsafe` and nothing else. The client id is
fixed: were it not, the late will of an old session would overwrite the birth.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from daemon import status
from daemon.codes import TABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from daemon.config import Mqtt
    from daemon.status import Snapshot

log = logging.getLogger("mqtt")

QOS: Final = 1
KEEPALIVE_SECONDS: Final = 30
"""The broker speaks the will after one and a half times this."""
RECONNECT_SECONDS: Final = (1, 60)
"""paho waits this long after the first failure, twice as long after the next, and so on."""
QUIET_SECONDS: Final = 1.0
"""From a change to the snapshot that shows it: whatever else happens meanwhile goes with it.

Longer than a snapshot may be kept, so that what is published is never from before the change.
"""
FAREWELL_SECONDS: Final = 2.0
"""A stop waits no longer than this for the broker."""
MOST_UNCONFIRMED: Final = 10
"""There is one at a time; a broker that flaps in bad moments can leave a few more behind."""

KNOWN_ALARMS: Final = tuple(code.code for code in TABLE if code.kind in {"alarm", "error"})
"""What may stand as raised at the broker since an earlier run: a token's error is an alarm, too."""


@dataclass(slots=True)
class _Sent:
    """The one message that the broker has not confirmed yet."""

    mid: int
    topic: str
    payload: str
    confirmed: asyncio.Future[bool]


class Publisher:
    """Keeps the broker's retained messages in line with the newest snapshot."""

    def __init__(
        self,
        settings: Mqtt,
        *,
        box: str,
        box_id: str,
        snapshot: Callable[[], Awaitable[Snapshot]],
    ) -> None:
        """Describe where to publish; nothing is opened before `run`."""
        self._settings = settings
        self._base = f"{settings.topic}/{box}"
        self._client_id = f"scanseal-{box_id}"
        self._snapshot = snapshot
        self._connected = False
        self._confirmed: dict[str, str] = {}
        """What the broker has confirmed since it was connected, by topic."""
        self._ever_raised: set[str] = set()
        self._sent: _Sent | None = None
        self._wake = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._connected

    def changed(self) -> None:
        """Say that the snapshot is another one: it is published soon, if the broker is there."""
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled; then say `offline` and go."""
        client = self._make_client()
        client.connect_async(self._settings.host, self._settings.port, KEEPALIVE_SECONDS)
        client.loop_start()
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.interval_seconds):
                        await self._wake.wait()
                if self._wake.is_set():
                    self._wake.clear()
                    await asyncio.sleep(QUIET_SECONDS)
                if self._connected:
                    await self._bring_in_line(client)
        finally:
            await self._farewell(client)

    # -- what the broker should have ---------------------------------------------

    def _messages(self, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
        """Yield topic and payload of everything, in the order in which it is sent."""
        yield f"{self._base}/state", "online"
        yield f"{self._base}/status", json.dumps(status.as_json(snapshot), ensure_ascii=False)
        raised: dict[str, list[dict[str, Any]]] = {}
        for alarm in status.as_json(snapshot)["alarms"]:
            raised.setdefault(alarm.pop("code"), []).append(alarm)
        self._ever_raised |= raised.keys()
        for code, instances in raised.items():
            yield f"{self._base}/alarm/{code}", json.dumps(instances, ensure_ascii=False)
        for code in sorted(self._ever_raised.union(KNOWN_ALARMS) - raised.keys()):
            yield f"{self._base}/alarm/{code}", ""

    async def _bring_in_line(self, client: Client) -> None:
        for topic, payload in self._messages(await self._snapshot()):
            if self._confirmed.get(topic) == payload:
                continue
            if not await self._publish(client, topic, payload):
                return  # the next connect begins from the start

    async def _publish(self, client: Client, topic: str, payload: str) -> bool:
        """Send one message; return whether the broker confirmed it before it was lost."""
        if not self._connected:
            return False
        confirmed = asyncio.get_running_loop().create_future()
        info = client.publish(topic, payload, QOS, retain=True)
        if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            client.drop_out_messages()  # paho keeps what it could not send
            return False
        self._sent = _Sent(info.mid, topic, payload, confirmed)
        try:
            return bool(await confirmed)
        finally:
            self._sent = None

    async def _farewell(self, client: Client) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                # Else a stop says nothing: the will is for ends that we did not want.
                await self._publish(client, f"{self._base}/state", "offline")
        self._connected = False
        # The thread ends by itself; to join it could take as long as a name server.
        client.disconnect()

    # -- paho's thread: it hands over and does nothing else ------------------------

    def _make_client(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=self._client_id)
        client.will_set(f"{self._base}/state", "offline", QOS, retain=True)
        client.reconnect_delay_set(*RECONNECT_SECONDS)
        client.max_queued_messages_set(MOST_UNCONFIRMED)
        loop = asyncio.get_running_loop()

        def hand_over(callback: Callable[..., None], *arguments: Any) -> None:
            # At the end of the process the loop may be gone before this thread is.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(callback, *arguments)

        client.on_connect = lambda _client, _data, _flags, reason, _properties: hand_over(
            self._now_connected, reason.is_failure, str(reason)
        )
        client.on_disconnect = lambda client, _data, _flags, _reason, _properties: hand_over(
            self._now_lost, client
        )
        client.on_publish = lambda _client, _data, mid, _reason, _properties: hand_over(
            self._now_confirmed, mid
        )
        return client

    # -- the loop's side of it ------------------------------------------------------

    def _now_connected(self, refused: bool, reason: str) -> None:
        if refused:
            log.warning("event=refused reason=%s", reason.replace(" ", "-").lower())
            return
        log.info("event=connected")
        self._confirmed.clear()
        self._connected = True
        self._wake.set()

    def _now_lost(self, client: Client) -> None:
        if self._connected:
            log.warning("event=lost")
        self._connected = False
        # paho would send it again after the next connect, when it is old.
        client.drop_out_messages()
        if self._sent is not None and not self._sent.confirmed.done():
            self._sent.confirmed.set_result(False)

    def _now_confirmed(self, mid: int) -> None:
        if self._sent is None or self._sent.mid != mid or self._sent.confirmed.done():
            return
        self._confirmed[self._sent.topic] = self._sent.payload
        self._sent.confirmed.set_result(True)
