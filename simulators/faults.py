"""What goes wrong on a simulated day: who refuses, who lies, whose link is cut, who opts out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.errors import Fault, ScenarioError
from controller.model.ids import ResourceId
from controller.model.resources import APPLIANCE_KINDS, Resource
from controller.model.settings import Config
from controller.model.time import Interval
from simulators.chance import draws
from simulators.scenario import Scenario, WhoShape


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFaults:
    """The faults of one day, drawn or named before it begins."""

    refuses: frozenset[ResourceId] = frozenset()
    """Refuse every command: switched to local at the panel."""
    lies: frozenset[ResourceId] = frozenset()
    """Acknowledge, report themselves held, and do nothing."""
    cuts: Mapping[ResourceId, Interval] = field(default_factory=dict)
    """No answer at all from the resource's gateway during that time."""
    opt_out_frac: float = 0.0
    """Of the homes that are commanded, this many take control back during their hold."""
    skew: Mapping[ResourceId, timedelta] = field(default_factory=dict)
    """How far a device's clock runs ahead (negative: behind)."""

    def is_cut(self, resource_id: ResourceId, at: datetime) -> bool:
        """Whether the link to `resource_id` is dead at `at`; its physics go on."""
        return (span := self.cuts.get(resource_id)) is not None and at in span


NO_FAULTS = DayFaults()


def draw_faults(scenario: Scenario, config: Config, seed: int) -> DayFaults:
    """The day's faults: a different site each, as named in the scenario or drawn by `seed`.

    Drawn among the cheaper half of the wired, unprotected sites that qualify, because those are
    called first and a fault of one that nobody calls shows nothing. Raises ScenarioError where a
    named site does not exist or nobody qualifies.
    """
    page = scenario.page.faults
    faults: list[Fault] = []
    hit: dict[str, ResourceId] = {}
    for key in ("lost_link", "refuses", "lies"):
        who: WhoShape | None = getattr(page, key)
        if who is None:
            continue
        able = candidates(config, who, frozenset(hit.values()))
        if not able:
            where = f"faults.{key}" + (".site" if who.site else "")
            value = who.site or "nobody qualifies"
            expected = "a wired site that is not protected and has no other fault"
            faults.append(
                Fault(file=scenario.path.name, place=where, value=value, expected=expected)
            )
            continue
        hit[key] = able[int(draws(seed, f"fault {key}").integers(len(able)))].id
    if faults:
        raise ScenarioError("the scenario's faults befall nobody", faults)
    cuts: dict[ResourceId, Interval] = {}
    if page.lost_link is not None:
        span = Interval(start=scenario.at(page.lost_link.at), end=scenario.at(page.lost_link.until))
        cuts[hit["lost_link"]] = span
    return DayFaults(
        refuses=frozenset({hit["refuses"]} if "refuses" in hit else ()),
        lies=frozenset({hit["lies"]} if "lies" in hit else ()),
        cuts=cuts,
        opt_out_frac=page.opt_out_frac,
    )


def candidates(
    config: Config, who: WhoShape, taken: frozenset[ResourceId] = frozenset()
) -> Sequence[Resource]:
    """The named site, or the cheaper half of those that qualify and are not taken."""
    able = [r for r in config.fleet if r.id not in taken and _can_fail(config, r)]
    if who.site is not None:
        return [r for r in able if r.id == who.site]
    able = [
        r
        for r in able
        if (not who.kinds or r.kind in who.kinds)
        and (not who.protocols or config.links[r.link].protocol in who.protocols)
    ]
    return sorted(able, key=lambda r: _price(config, r))[: (len(able) + 1) // 2]


def _can_fail(config: Config, resource: Resource) -> bool:
    site = resource.kind not in APPLIANCE_KINDS and not resource.protected
    return site and config.contracts[config.contract_of[resource.id]].wired


def _price(config: Config, resource: Resource) -> tuple[float, str]:
    """Fen per kWh over two hours at full reduction, start included; the id breaks ties."""
    contract = config.contracts[config.contract_of[resource.id]]
    start = contract.start_cost_minor / max(2 * contract.most_kw, 1.0)
    return contract.energy_price_minor_per_kwh + start, resource.id
