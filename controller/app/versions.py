"""Configuration versions: an event is settled under the one it was planned under."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

from controller.config import load_stored
from controller.errors import ConfigError, StoreDamagedError, StoreMissingError, StoreVersionError
from controller.model.contracts import Contract, Customer, Program
from controller.model.ids import ContractId, CustomerId, MeterId, ProgramId
from controller.model.resources import Meter
from controller.model.settings import Config
from controller.ports import Clock, Journal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """What an event is settled under: its version's, and of later ones what that one lacks."""

    version: Config
    contracts: Mapping[ContractId, Contract]
    programs: Mapping[ProgramId, Program]
    customers: Mapping[CustomerId, Customer]
    meters: Mapping[MeterId, Meter]


def terms(version: Config, *later: Config) -> Terms:
    """The terms of `version`; a contract that came in mid-event is known from `later`."""
    newest_first = (*reversed(later), version)
    return Terms(
        version=version,
        contracts={i: c for v in newest_first for i, c in v.contracts.items()},
        programs={i: p for v in newest_first for i, p in v.programs.items()},
        customers={i: c for v in newest_first for i, c in v.customers.items()},
        meters={m.id: m for v in newest_first for m in v.fleet.meters},
    )


@dataclass(kw_only=True)
class Versions:
    """The configuration in force, and by their hash the ones before it, read when needed."""

    current: Config
    journal: Journal
    clock: Clock
    threads: Executor
    _read: dict[str, Config] = field(default_factory=dict, init=False, repr=False)

    async def of(self, config_hash: str) -> Config:
        """The version of that hash; '' (an event of an older Peakshare) is the one in force.

        Raises StoreError where it is not stored, or does not pass the rules of this Peakshare.
        """
        if config_hash in ("", self.current.hash):
            return self.current
        if config_hash not in self._read:
            bodies = {h: body for h, _, body in await self.journal.configs()}
            if config_hash not in bodies:
                raise StoreDamagedError(
                    f"an event names configuration version {config_hash[:12]}, which is not stored"
                )
            self._read[config_hash] = await self._load(bodies[config_hash], config_hash)
        return self._read[config_hash]

    async def after(self, version: Config) -> list[Config]:
        """Every version first accepted after this one, oldest first. Raises StoreError."""
        hashes = [h for h, _, _ in await self.journal.configs()]
        first = hashes.index(version.hash) + 1 if version.hash in hashes else 0
        return [await self.of(h) for h in hashes[first:]]

    async def _load(self, body: bytes, config_hash: str) -> Config:
        try:
            return await self.clock.offload(self.threads.submit(load_stored, body))
        except ConfigError as error:
            raise StoreVersionError(
                f"configuration version {config_hash[:12]} cannot be read any more: {error}",
                hint="Settle its events with the version of Peakshare that accepted it.",
            ) from error


async def stored_versions(journal: Journal, clock: Clock, threads: Executor) -> Versions:
    """Versions without a controller: the newest one accepted counts as the one in force.

    Raises StoreError where none is stored.
    """
    stored = await journal.configs()
    if not stored:
        raise StoreMissingError("no configuration was accepted here yet")
    _, _, body = stored[-1]
    newest = await clock.offload(threads.submit(load_stored, body))
    return Versions(current=newest, journal=journal, clock=clock, threads=threads)
