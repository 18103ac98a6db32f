"""Plans near the bound, found by searching one neighbourhood after another.

The first core holds whom the relaxation left undecided; each later one a few contracts drawn from
those nearest to doing something else, the others doing what the best plan so far says. Cohorts,
cars and batteries are free in all of them. Work is counted in cores and nodes.
"""

from dataclasses import dataclass, field

import numpy as np

from controller.plan.arrays import Floats, Ints
from controller.plan.columns import best_levels
from controller.plan.fleet_core import build_core, plan_of_core
from controller.plan.fleet_dual import Codes, Pricing
from controller.plan.fleet_plan import FleetPlan
from controller.plan.fleet_pool import Chains, Relaxed, idle, joined, near_windows, windows
from controller.plan.instance import Contracts
from controller.plan.solve import solve_milp

FIRST_SIZE = 25
FIRST_KEEP = 6
MOST_CANDIDATES = 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbourhoods:
    """Who may be opened, and with what."""

    pricing: Pricing
    relaxed: Relaxed
    candidates: Ints = field(repr=False)
    """Nearest to doing something else first."""

    @classmethod
    def of(cls, pricing: Pricing, relaxed: Relaxed) -> "Neighbourhoods":
        return cls(pricing=pricing, relaxed=relaxed, candidates=_candidates(pricing, relaxed))

    def first(self) -> Ints:
        """The fractional, and the nearest up to a fixed number."""
        fractional = self.relaxed.fractional
        near = self.candidates[~np.isin(self.candidates, fractional)]
        return np.sort(np.concatenate([fractional, near[: max(0, FIRST_SIZE - len(fractional))]]))

    def draw(self, generator: np.random.Generator, size: int, among: int) -> Ints:
        """Some of the nearest, drawn."""
        near = self.candidates[:among]
        return np.sort(generator.permutation(near)[:size])

    def plan(
        self, open_: Ints, kw: Floats, *, keep: int, gap: float, nodes: int, time_limit_s: float,
        chains: Chains = (),
    ) -> FleetPlan | None:  # fmt: skip
        """The best plan found with `open_` contracts free and the others as in `kw`."""
        contracts, prices = self.pricing.instance.contracts, self.relaxed.prices
        codes = codes_of_kw(contracts, kw)
        known = self.relaxed.pool.where(np.isin(self.relaxed.pool.owner, open_))
        pool = joined(
            [
                (known.owner, known.choice),
                (open_, codes[open_]),
                idle(contracts, open_, codes),
                *near_windows(self.pricing, open_, prices, keep),
            ]
        )
        core = build_core(self.pricing, prices, kw, pool, (*self.relaxed.chains, *chains))
        found = solve_milp(core.milp, gap=gap, node_limit=nodes, time_limit_s=time_limit_s)
        if not len(found.values):
            return None
        return plan_of_core(self.pricing.instance, core, found.values)


def codes_of_kw(contracts: Contracts, kw: Floats) -> Codes:
    """(n, T) the level of each kW; of a range any level is 1."""
    codes = np.zeros(kw.shape, dtype=np.int8)
    for level in range(contracts.level_kw.shape[1]):
        at = contracts.level_kw[:, level, None]
        codes[(kw == at) & (at > 0)] = level + 1
    codes[contracts.is_range[:, None] & (kw > 0)] = 1
    return codes


def _candidates(pricing: Pricing, relaxed: Relaxed) -> Ints:
    """Contracts by what their second best schedule costs more, at the relaxed prices."""
    instance, prices = pricing.instance, relaxed.prices
    value = np.abs(pricing.at(prices).value)
    regret = relaxed.regret.copy()
    near = np.argsort(np.where(value > 0, value, np.inf), kind="stable")[:MOST_CANDIDATES]
    some = np.union1d(near, np.flatnonzero(np.isfinite(regret))[:MOST_CANDIDATES])
    gain, level = best_levels(instance.contracts, some, *pricing.worth(prices))
    for i, c in enumerate(some):
        worth, _ = windows(instance, int(c), gain[i], level[i], 3)
        worth = np.sort(np.append(worth, 0.0))
        if len(worth) > 1:
            regret[c] = min(regret[c], worth[-1] - worth[-2])
    order = np.argsort(regret, kind="stable")
    return order[np.isfinite(regret[order])]
