"""MQTT 3.1.1: homes behind a broker, by paho's client in its own thread.

Measured (docs/decisions/0007): the loop is woken once per burst and not per message, Nagle's
delay is off, and the client's bookkeeping of messages in flight, quadratic in a burst, is off
too. What the messages say is in `adapters.mqtt_link`.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from adapters.mqtt_link import MqttLink
from adapters.mqtt_messages import MOST_BYTES
from adapters.parts import Opening, require_private
from controller.model.settings import LinkSettings

_MOST_WAITING = 200_000
"""Messages kept while the loop is busy; the oldest go first."""

_KEEPALIVE_S = 30
_RETRY_LEAST_S = 0.2


@asynccontextmanager
async def open_mqtt(opening: Opening) -> AsyncIterator[MqttLink]:
    """The link to all homes behind one broker. It opens even while the broker is down.

    Options: those of `MqttLink`; `username` and `password_env` (the environment variable that
    holds the password); `tls` (true, with an optional `ca_file`); `plain_text` (true) to speak
    without TLS to a broker on another machine; `retry_most_s` (10) between attempts to connect.
    """
    prefix = str(opening.settings.options.get("prefix", "ps"))
    topics = [f"{prefix}/{kind}/+" for kind in ("a", "o", "t", "tb")]
    client_id = f"peakshare-{opening.settings.id}-{opening.run_id}"
    line = PahoLine(opening.settings, client_id, topics)
    link = MqttLink(opening, line)
    await line.open(link.deliver, opening.settings.timeout_s)
    try:
        yield link
    finally:
        await line.close()


class PahoLine:
    """One connection. It comes back by itself, and subscribes again each time it does."""

    def __init__(self, settings: LinkSettings, client_id: str, topics: list[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._topics = topics
        self._deliver: Callable[[str, bytes], None] | None = None
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=_MOST_WAITING)
        self._woken = False
        self._subscribed = asyncio.Event()
        self._client = self._make_client(settings, client_id)
        self._client.connect_async(settings.host, settings.port, keepalive=_KEEPALIVE_S)

    @property
    def ready(self) -> bool:
        return self._subscribed.is_set() and self._client.is_connected()

    async def open(self, deliver: Callable[[str, bytes], None], patience_s: float) -> None:
        """Start, and give the first connection `patience_s` to come about."""
        self._deliver = deliver
        self._client.loop_start()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._subscribed.wait()

    async def close(self) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def publish(self, topic: str, payload: bytes) -> None:
        """QoS 0, not retained: whether it arrived, only an answer can say."""
        self._client.publish(topic, payload, qos=0)

    def _make_client(self, settings: LinkSettings, client_id: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        client.suppress_exceptions = True
        client.max_inflight_messages_set(0)
        most_s = float(settings.options.get("retry_most_s", 10.0))
        # The library says int; it doubles, compares and adds, which fractions can bear.
        client.reconnect_delay_set(_RETRY_LEAST_S, most_s)  # type: ignore[arg-type]
        client.connect_timeout = settings.timeout_s
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        _secure(client, settings)
        return client

    def _on_socket_open(self, client: Client, userdata: object, sock: Any) -> None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self, client: Client, userdata: object, flags: object, code: Any, properties: object
    ) -> None:
        """A clean session has no subscriptions: ask for them every time."""
        if not code.is_failure:
            client.subscribe([(topic, 0) for topic in self._topics])

    def _on_subscribe(
        self, client: Client, userdata: object, mid: int, codes: list[Any], properties: object
    ) -> None:
        """A broker may refuse a subscription and stay connected; then we are not ready."""
        if not any(code.is_failure for code in codes):
            self._on_loop(self._subscribed.set)

    def _on_disconnect(
        self, client: Client, userdata: object, flags: object, code: object, properties: object
    ) -> None:
        self._on_loop(self._subscribed.clear)

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        if len(message.payload) > MOST_BYTES:
            return
        self._waiting.append((message.topic, bytes(message.payload)))
        if not self._woken:
            self._woken = True
            self._on_loop(self._drain)

    def _drain(self) -> None:
        self._woken = False
        while self._waiting and self._deliver is not None:
            self._deliver(*self._waiting.popleft())

    def _on_loop(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(call)


def _secure(client: Client, settings: LinkSettings) -> None:
    options = settings.options
    require_private(settings, secured=bool(options.get("tls")))
    if options.get("tls"):
        ca_file = options.get("ca_file")
        client.tls_set(ca_certs=None if ca_file is None else str(ca_file))
    if username := options.get("username"):
        variable = str(options.get("password_env", ""))
        client.username_pw_set(str(username), os.environ.get(variable))
