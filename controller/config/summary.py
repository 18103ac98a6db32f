"""What a configuration holds, in the figures that `peakshare check` prints."""

from collections import Counter
from dataclasses import dataclass

from controller.model.contracts import Contract, ContractKind
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts and nominal kW of a configuration."""

    hash: str
    customers: int
    meters: int
    resources: int
    contracts: int
    wired: int
    told: int
    never_called: int
    programs: int
    profiles: int
    links: int
    sites_kw: float
    """Sum of the most that callable interruptible contracts may be asked for."""
    homes: int
    homes_kw: float
    """Sum of rated power of the appliances under contract."""
    by_kind: dict[str, int]
    """Resources of each kind."""


def summary(config: Config) -> Summary:
    """The figures of a sound configuration."""
    contracts = list(config.contracts.values())
    called = [c for c in contracts if c.max_calls_per_day > 0]
    homes = [r for r in config.fleet if r.kind in APPLIANCE_KINDS and r.id in config.contract_of]
    return Summary(
        hash=config.hash,
        customers=len(config.customers),
        meters=len(config.fleet.meters),
        resources=len(config.fleet),
        contracts=len(contracts),
        wired=sum(c.wired for c in called),
        told=sum(not c.wired for c in called),
        never_called=len(contracts) - len(called),
        programs=len(config.programs),
        profiles=len(config.profiles),
        links=len(config.links),
        sites_kw=sum(map(_most_kw, called)),
        homes=len(homes),
        homes_kw=sum(r.rated_kw for r in homes),
        by_kind=dict(Counter(r.kind.value for r in config.fleet)),
    )


def _most_kw(contract: Contract) -> float:
    """The most a contract can be asked for: its highest level at each of its resources."""
    if contract.kind is not ContractKind.INTERRUPTIBLE:
        return 0.0
    return contract.most_kw * len(contract.resource_ids)
