"""Modbus TCP: one socket to a gateway, by pymodbus's client.

One request at a time, since a gateway answers in order and a serial line behind it must. After
any silence the socket is closed, so that a late answer can never be taken for the next one's.
What is asked of the units behind it is in `adapters.modbus_link`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from adapters.modbus_link import ExceptionAnswerError, ModbusLink, SilentError
from adapters.parts import BackOff, Opening, cancellable
from controller.model.settings import LinkSettings

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    6: "device busy",
}
_GATEWAY_SILENT = (10, 11)
"""Exception codes by which a gateway says that the device behind it does not answer."""


@asynccontextmanager
async def open_modbus(opening: Opening) -> AsyncIterator[ModbusLink]:
    """The link to one gateway. It opens even while the gateway is down; receipts tell.

    Options: `request_timeout_s` (a third of the link's deadline) is how long one unit may be
    silent; `retry_most_s` (5) the longest pause between attempts to connect.
    """
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    gateway = TcpGateway(opening.settings)
    try:
        yield ModbusLink(opening, gateway)
    finally:
        gateway.close()


class TcpGateway:
    """The socket: one request at a time, a new client after each failure, a pause in between."""

    def __init__(self, settings: LinkSettings) -> None:
        options = settings.options
        self._settings = settings
        self._request_s = float(options.get("request_timeout_s", settings.timeout_s / 3))
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._pause = BackOff(most_s=float(options.get("retry_most_s", 5.0)))

    async def read(self, unit: int, table: str, address: int, count: int) -> list[int]:
        """`count` registers. Raises SilentError, ExceptionAnswerError."""
        async with self._lock:
            client = await self._connected()
            ask = (
                client.read_holding_registers if table == "holding" else client.read_input_registers
            )
            answer = await self._asked(ask(address, count=count, device_id=unit))
            if len(answer.registers) != count:
                self.close()
                raise SilentError(f"{len(answer.registers)} registers came, {count} were asked")
            return list(answer.registers)

    async def write(self, unit: int, address: int, registers: list[int]) -> None:
        """Write holding registers. Raises SilentError, ExceptionAnswerError."""
        async with self._lock:
            client = await self._connected()
            answer = await self._asked(client.write_registers(address, registers, device_id=unit))
            if answer.address != address or answer.count != len(registers):
                self.close()
                raise SilentError("an answer to another request came")

    def close(self) -> None:
        """Drop the socket; the next request opens a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        if not self._pause.over():
            raise SilentError("not connected; the next attempt is yet to come")
        self._client = AsyncModbusTcpClient(
            self._settings.host,
            port=self._settings.port,
            timeout=self._request_s,
            retries=0,
            reconnect_delay=0,
        )
        with cancellable():
            connected = await self._client.connect()
        if not connected:
            self.close()
            self._pause.failed()
            raise SilentError(f"no connection to {self._settings.host}:{self._settings.port}")
        self._pause.worked()
        return self._client

    async def _asked(self, answer: Awaitable[ModbusPDU]) -> ModbusPDU:
        try:
            with cancellable():
                pdu: ModbusPDU = await answer
        except (ModbusException, OSError) as error:
            self.close()
            raise SilentError("no answer") from error
        except asyncio.CancelledError:
            self.close()
            raise
        if pdu.isError():
            code = pdu.exception_code
            if code in _GATEWAY_SILENT:
                raise SilentError("the gateway hears nothing from the device")
            raise ExceptionAnswerError(_EXCEPTIONS.get(code, f"exception {code}"))
        return pdu
