"""Modbus TCP sites: one port per link, one unit per resource, registers computed when asked.

`python -m simulators.servers.modbus --config DIR --scenario FILE --out DIR`
"""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from controller.model.commands import Outcome
from controller.model.ids import LinkId
from controller.model.settings import Point
from controller.model.time import Interval
from simulators.servers.panel import Panel, Raw
from simulators.servers.shell import Scene, Served, main

_STRUCT = {"int16": "h", "uint16": "H", "bool": "H", "int32": "i", "uint32": "I",
           "float32": "f", "float64": "d"}  # fmt: skip

Action = Callable[
    [int, int, int, int, list[int], list[int] | list[bool] | None],
    Coroutine[None, None, ExcCodes | None],
]


class ModbusGateway:
    """One listening port with its units. `drop` and `restore` are the lost link of a fault."""

    def __init__(self, panels: Mapping[int, Panel], host: str = "127.0.0.1", port: int = 0) -> None:
        self._units = [_Unit(number, panel) for number, panel in panels.items()]
        self._host = host
        self.port = port
        self._server: ModbusTcpServer | None = None

    async def open(self) -> int:
        """Listen; returns the port. Raises RuntimeError when it is taken."""
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        if self._server is None:
            devices = [unit.device() for unit in self._units]
            self._server = ModbusTcpServer(devices, address=(self._host, self.port))
            await self._server.serve_forever(background=True)
            listener: Any = self._server.transport
            self.port = listener.sockets[0].getsockname()[1]
        return self.port

    async def drop(self) -> None:
        """Close the listener and every open connection (shutdown alone leaves those open)."""
        if self._server is None:
            return
        connections = list(self._server.active_connections.values())
        # pymodbus leaves this method without types.
        await self._server.shutdown()  # type: ignore[no-untyped-call]
        for connection in connections:
            transport: Any = connection.transport
            if transport is not None:
                transport.abort()
        self._server = None
        await asyncio.sleep(0)

    restore = open
    close = drop


class _Unit:
    """The registers of one device; they are filled when they are read."""

    def __init__(self, number: int, panel: Panel) -> None:
        self._number = number
        self._panel = panel
        self._at = {name: _place(point) for name, point in panel.profile.points.items()}

    def device(self) -> SimDevice:
        bits = SimData(0, count=1, values=False, datatype=DataType.BITS)
        tables = (self._block("holding"), self._block("input"))
        action: Action = self._act
        return SimDevice(id=self._number, simdata=([bits], [bits], *tables), action=action)

    def _block(self, table: str) -> list[SimData]:
        used = sorted({place + i for t, place, count in self._at.values() if t == table
                       for i in range(count)})  # fmt: skip
        return [SimData(a, values=0, datatype=DataType.REGISTERS) for a in used or [0]]

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Before a read: show the panel. On a write: hand over the points that it touches."""
        if not self._panel.firmware.reachable:
            return ExcCodes.GATEWAY_NO_RESPONSE
        if function in (3, 4):
            shown = self._show("holding" if function == 3 else "input", start, registers)
            return None if shown else ExcCodes.DEVICE_BUSY
        if function not in (6, 16) or written is None:
            return ExcCodes.ILLEGAL_FUNCTION
        return self._take(address, [int(word) for word in written])

    def _show(self, table: str, start: int, registers: list[int]) -> bool:
        """Fill the registers of a table; False when one of its points is not measured yet."""
        shown = self._panel.shown()
        names = [name for name, (in_table, _, _) in self._at.items() if in_table == table]
        for name in names:
            if name in shown:
                _, place, count = self._at[name]
                words = _encode(self._panel.profile.points[name], shown[name], count)
                registers[place - start : place - start + count] = words
        return all(name in shown for name in names)

    def _take(self, address: int, written: Sequence[int]) -> ExcCodes | None:
        names = [n for n, (table, place, count) in self._at.items() if table == "holding"
                 and address <= place and place + count <= address + len(written)]  # fmt: skip
        for name in sorted(names, key=lambda n: n == "enable"):
            _, place, count = self._at[name]
            words = written[place - address : place - address + count]
            verdict = self._panel.write(name, _decode(self._panel.profile.points[name], words))
            if verdict is not None and verdict.outcome is not Outcome.APPLIED:
                return ExcCodes.ILLEGAL_VALUE
        return None


def _place(point: Point) -> tuple[str, int, int]:
    """(table, first register, registers) of a point."""
    table, rest = point.address.split(":")
    if point.type == "string":
        first, length = rest.split("/")
        return table, int(first), int(length)
    return table, int(rest), {"16": 1, "32": 2, "64": 4}.get(point.type[-2:], 1)


def _encode(point: Point, raw: Raw, count: int) -> list[int]:
    if point.type == "string":
        body = str(raw).encode()[: 2 * count]
    else:
        body = struct.pack("!" + _STRUCT[point.type], raw)
    words = [int.from_bytes(body[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, 2 * count, 2)]
    return words[::-1] if point.word_order == "little" and point.type != "string" else words


def _decode(point: Point, words: Sequence[int]) -> Raw:
    if point.type == "string":
        return b"".join(word.to_bytes(2, "big") for word in words).decode("ascii").rstrip("\0")
    ordered = words[::-1] if point.word_order == "little" else words
    body = b"".join(word.to_bytes(2, "big") for word in ordered)
    value: int | float = struct.unpack("!" + _STRUCT[point.type], body)[0]
    return value


@asynccontextmanager
async def _serve(scene: Scene) -> AsyncIterator[Served]:
    """One port per link."""
    gateways: dict[LinkId, ModbusGateway] = {}
    async with AsyncExitStack() as stack:
        for link in scene.links:
            panels = {
                int(r.address): Panel(
                    r, scene.config.profiles[r.profile], scene.population, scene.clock.now
                )
                for r in scene.population.resources
                if r.link == link.id
            }
            gateways[link.id] = ModbusGateway(panels, port=link.port)
            await gateways[link.id].open()
            stack.push_async_callback(gateways[link.id].close)
        yield Served(
            ports={link_id: gateway.port for link_id, gateway in gateways.items()},
            work=[_cut(scene, gateways)],
        )


async def _cut(scene: Scene, gateways: Mapping[LinkId, ModbusGateway]) -> None:
    """Close the ports whose devices are all cut off, for the time of the fault."""
    cuts = scene.population.faults.cuts

    async def one(gateway: ModbusGateway, span: Interval) -> None:
        await scene.clock.sleep_until(span.start)
        await gateway.drop()
        await scene.clock.sleep_until(span.end)
        await gateway.restore()

    async with asyncio.TaskGroup() as tasks:
        for link_id, gateway in gateways.items():
            spans = {cuts.get(r.id) for r in scene.population.resources if r.link == link_id}
            if len(spans) == 1 and (span := spans.pop()) is not None:
                tasks.create_task(one(gateway, span))


if __name__ == "__main__":
    main("modbus", _serve)
