"""Every protocol by its name: an explicit table; a library is imported when its link is opened."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import cast

from adapters.parts import Opening
from controller.errors import LinkSettingsError
from controller.model.ids import ProfileId
from controller.model.resources import Fleet
from controller.model.settings import LinkSettings, Profile
from controller.ports import Clock, Desk, Link

Opener = Callable[[Opening], AbstractAsyncContextManager[Link]]


def open_link(
    settings: LinkSettings,
    fleet: Fleet,
    profiles: Mapping[ProfileId, Profile],
    clock: Clock,
    *,
    fence: int,
    run_id: str,
) -> AbstractAsyncContextManager[Link]:
    """The link that `settings` names, for `async with`; `fence` goes with releases.

    `run_id` tells this controller run from any other on the same broker. A link opens even
    while its devices are down. Raises LinkSettingsError for an unknown protocol or a wrong address.
    """
    opener = PROTOCOLS.get(settings.protocol)
    if opener is None:
        raise LinkSettingsError(
            f"{settings.id}: unknown protocol {settings.protocol!r}",
            hint="Known: " + ", ".join(PROTOCOLS),
        )
    return opener(
        Opening(
            settings=settings,
            fleet=fleet,
            profiles=profiles,
            clock=clock,
            fence=fence,
            run_id=run_id,
        )
    )


def desk_of(link: Link) -> Desk | None:
    """The same connection as a way to told contracts, where it is one."""
    return cast(Desk, link) if hasattr(link, "notify") and hasattr(link, "answers") else None


def _modbus(opening: Opening) -> AbstractAsyncContextManager[Link]:
    from adapters.modbus import open_modbus

    return open_modbus(opening)


def _opcua(opening: Opening) -> AbstractAsyncContextManager[Link]:
    from adapters.opcua import open_opcua

    return open_opcua(opening)


def _mqtt(opening: Opening) -> AbstractAsyncContextManager[Link]:
    from adapters.mqtt import open_mqtt

    return open_mqtt(opening)


def _duty_desk(opening: Opening) -> AbstractAsyncContextManager[Link]:
    from adapters.duty_desk import open_duty_desk

    return open_duty_desk(opening)


PROTOCOLS: Mapping[str, Opener] = {
    "modbus": _modbus,
    "opcua": _opcua,
    "mqtt": _mqtt,
    "duty_desk": _duty_desk,
}
