"""A plant's OPC UA server: one object per site, values computed when they are read.

`python -m simulators.servers.opcua --config DIR --scenario FILE --out DIR`
"""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from asyncua import ua
from asyncua.common.callback import CallbackType
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from controller.model.ids import LinkId
from simulators.servers.panel import Panel, Raw
from simulators.servers.shell import Scene, Served, main

NAMESPACE = "urn:peakshare:plant"

_TYPES = {
    "int16": ua.VariantType.Int16,
    "uint16": ua.VariantType.UInt16,
    "int32": ua.VariantType.Int32,
    "uint32": ua.VariantType.UInt32,
    "float32": ua.VariantType.Float,
    "float64": ua.VariantType.Double,
    "bool": ua.VariantType.Boolean,
    "string": ua.VariantType.String,
}


class PlantServer:
    """`await open()` takes a second or two; `drop` and `restore` are the lost line of a fault.

    A site that is cut off behind the server keeps its nodes, with the status of a lost device.
    """

    def __init__(self, panels: Iterable[Panel], host: str = "127.0.0.1", port: int = 0) -> None:
        self.panels = {panel.resource.address: panel for panel in panels}
        self.host = host
        self.port = port
        self._server = Server()
        self._spots: dict[ua.NodeId, tuple[str, str]] = {}

    async def open(self) -> int:
        """Build the address space and listen; returns the port."""
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        await self._server.init()
        self._server.set_endpoint(f"opc.tcp://{self.host}:{self.port}")
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        namespace = await self._server.register_namespace(NAMESPACE)
        for panel in self.panels.values():
            await self._add(panel, namespace)
        service: Any = self._server.iserver.callback_service
        service.addListener(CallbackType.PostRead, self._show)
        service.addListener(CallbackType.PostWrite, self._take)
        await self._server.start()
        self.port = self._listener.port
        return self.port

    async def drop(self) -> None:
        """Close the port and every connection."""
        await self._listener.stop()

    async def restore(self) -> None:
        await self._listener.start()

    async def close(self) -> None:
        await self._server.stop()

    @property
    def _listener(self) -> Any:
        return self._server.bserver

    async def _add(self, panel: Panel, namespace: int) -> None:
        site = await self._server.nodes.objects.add_object(
            _node_id(panel.resource.address, namespace), panel.resource.address
        )
        for name, point in panel.profile.points.items():
            node = await site.add_variable(
                _node_id(f"{panel.resource.address}.{point.address}", namespace),
                point.address,
                "" if point.type == "string" else 0,
                _TYPES[point.type],
            )
            if point.writable:
                await node.set_writable()
            self._spots[node.nodeid] = (panel.resource.address, name)

    def _show(self, event: Any, service: object) -> None:
        """Replace what the library read from its memory by what the panels show now."""
        shown: dict[str, dict[str, Raw]] = {}
        for i, asked in enumerate(event.request_params.NodesToRead):
            spot = self._spots.get(asked.NodeId)
            if spot is None or asked.AttributeId != AttributeIds.Value:
                continue
            address, name = spot
            panel = self.panels[address]
            if not panel.firmware.reachable:
                event.response_params[i] = _bad(StatusCodes.BadNoCommunication)
                continue
            if address not in shown:
                shown[address] = panel.shown()
            event.response_params[i] = _shown(panel, name, shown[address])

    def _take(self, event: Any, service: object) -> None:
        """Hand over what the library accepted, in the order of the request."""
        for i, written in enumerate(event.request_params.NodesToWrite):
            spot = self._spots.get(written.NodeId)
            if spot is None or not event.response_params[i].is_good():
                continue
            panel = self.panels[spot[0]]
            if not panel.firmware.reachable:
                event.response_params[i] = _status(StatusCodes.BadNoCommunication)
                continue
            panel.write(spot[1], written.Value.Value.Value)


def _node_id(name: str, namespace: int) -> ua.NodeId:
    return ua.NodeId(ua.String(name), ua.Int16(namespace))


def _shown(panel: Panel, name: str, shown: dict[str, Raw]) -> ua.DataValue:
    if name not in shown:
        return _bad(StatusCodes.BadWaitingForInitialData)
    return ua.DataValue(ua.Variant(shown[name], _TYPES[panel.profile.points[name].type]))


def _bad(code: int) -> ua.DataValue:
    return ua.DataValue(StatusCode=_status(code))


def _status(code: int) -> ua.StatusCode:
    return ua.StatusCode(ua.UInt32(code))


@asynccontextmanager
async def _serve(scene: Scene) -> AsyncIterator[Served]:
    """One server per link. A site that is cut off keeps its nodes, with a bad status."""
    ports: dict[LinkId, int] = {}
    async with AsyncExitStack() as stack:
        for link in scene.links:
            server = PlantServer(
                (
                    Panel(r, scene.config.profiles[r.profile], scene.population, scene.clock.now)
                    for r in scene.population.resources
                    if r.link == link.id
                ),
                port=link.port,
            )
            ports[link.id] = await server.open()
            stack.push_async_callback(server.close)
        yield Served(ports=ports)


if __name__ == "__main__":
    main("opcua", _serve)
