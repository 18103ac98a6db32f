"""OPC UA: one session with a server that stands for many devices, by asyncua's client.

After a failure the session is thrown away and a new one made (why: docs/decisions/0007); devices
are polled, so no subscription is lost with it. What is asked of the devices is in
`adapters.opcua_link`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError

from adapters.opcua_link import OpcuaLink, SilentError
from adapters.parts import BackOff, Opening, cancellable, require_private
from adapters.points import Raw
from controller.model.settings import LinkSettings

T = TypeVar("T")

_FAREWELL_S = 0.3
"""Real seconds for taking leave of a broken session."""

_VARIANTS = {
    "int16": ua.VariantType.Int16,
    "uint16": ua.VariantType.UInt16,
    "int32": ua.VariantType.Int32,
    "uint32": ua.VariantType.UInt32,
    "float32": ua.VariantType.Float,
    "float64": ua.VariantType.Double,
    "bool": ua.VariantType.Boolean,
    "string": ua.VariantType.String,
}
_NO_WAY_TO_THE_DEVICE = frozenset(
    {
        StatusCodes.BadNoCommunication,
        StatusCodes.BadNotConnected,
        StatusCodes.BadCommunicationError,
        StatusCodes.BadDeviceFailure,
        StatusCodes.BadTimeout,
        StatusCodes.BadWaitingForInitialData,
    }
)


@asynccontextmanager
async def open_opcua(opening: Opening) -> AsyncIterator[OpcuaLink]:
    """The link to one OPC UA server. It opens even while the server is down.

    Options: `namespace` (urn:peakshare:plant), the URI of the devices' namespace; `path` of the
    endpoint; `security` (policy,mode,certificate,key as asyncua writes it); `plain_text` (true)
    to speak unsecured to another machine; `retry_most_s` (5) between attempts to connect.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    require_private(opening.settings, secured="security" in opening.settings.options)
    session = UaSession(opening.settings)
    try:
        yield OpcuaLink(opening, session)
    finally:
        await session.close()


class UaSession:
    """The session: made when needed, thrown away at the first failure, with a pause between."""

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._namespace = 0
        self._dead: list[Client] = []
        self._pause = BackOff(most_s=float(settings.options.get("retry_most_s", 5.0)))

    async def read(self, names: Sequence[str]) -> list[object]:
        """One value per node, None where its status is bad. Raises SilentError."""
        client = await self._connected()
        nodes = [self._node_id(name) for name in names]
        ask = client.uaclient.read_attributes(nodes, AttributeIds.Value)
        return [_value(answer) for answer in await self._answers(client, ask, len(nodes))]

    async def write(self, values: Sequence[tuple[str, Raw, str]]) -> list[str]:
        """Write (node, raw value, type) in one request; why each was refused. Raises SilentError.

        '' is no refusal: taken, or no way to the device, which only reading back can tell.
        """
        client = await self._connected()
        nodes = [self._node_id(name) for name, _, _ in values]
        bare = [ua.DataValue(ua.Variant(raw, _VARIANTS[kind])) for _, raw, kind in values]
        ask = client.uaclient.write_attributes(nodes, bare, AttributeIds.Value)
        return [_refused(code) for code in await self._answers(client, ask, len(nodes))]

    async def close(self) -> None:
        """End the session; a server that does not answer is not waited for."""
        if self._client is not None:
            self._lost(self._client)
        await self._bury()

    async def _answers(self, client: Client, ask: Awaitable[list[T]], count: int) -> list[T]:
        """The answers, as many as asked; anything else ends the session."""
        try:
            with cancellable():
                answers = await ask
        except (UaError, OSError, TimeoutError) as error:
            raise self._lost(client) from error
        except asyncio.CancelledError:
            self._lost(client)
            raise
        if len(answers) != count:
            raise self._lost(client)
        return answers

    async def _connected(self) -> Client:
        async with self._lock:
            if self._client is not None:
                return self._client
            await self._bury()
            if not self._pause.over():
                raise SilentError("not connected; the next attempt is yet to come")
            client = self._make_client()
            try:
                with cancellable():
                    await self._connect(client)
            except (UaError, OSError, TimeoutError, ValueError) as error:
                self._dead.append(client)
                self._pause.failed()
                where = f"{self._settings.host}:{self._settings.port}"
                raise SilentError(f"no session with {where}") from error
            except asyncio.CancelledError:
                self._dead.append(client)
                self._pause.failed()
                raise
            self._pause.worked()
            self._client = client
            return client

    async def _connect(self, client: Client) -> None:
        options = self._settings.options
        if security := options.get("security"):
            await client.set_security_string(str(security))
        await client.connect()
        uri = str(options.get("namespace", "urn:peakshare:plant"))
        self._namespace = await client.get_namespace_index(uri)

    def _make_client(self) -> Client:
        settings = self._settings
        url = f"opc.tcp://{settings.host}:{settings.port}{settings.options.get('path', '')}"
        return Client(url, timeout=settings.timeout_s, watchdog_intervall=10.0)

    def _node_id(self, name: str) -> ua.NodeId:
        return ua.NodeId(ua.String(name), ua.Int16(self._namespace))

    def _lost(self, client: Client) -> SilentError:
        if self._client is client:
            self._client = None
            self._dead.append(client)
        return SilentError("the session broke")

    async def _bury(self) -> None:
        """Let go of what broken sessions still hold: sockets and tasks of the library."""
        dead, self._dead = self._dead, []
        for client in dead:
            with cancellable(), suppress(UaError, OSError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await client.disconnect()


def _value(answer: ua.DataValue) -> object:
    good = answer.StatusCode is None or answer.StatusCode.is_good()
    return answer.Value.Value if good and answer.Value is not None else None


def _refused(code: ua.StatusCode) -> str:
    return "" if code.is_good() or code.value in _NO_WAY_TO_THE_DEVICE else str(code.name)
