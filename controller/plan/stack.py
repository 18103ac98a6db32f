"""A stack of calls under construction: what still lacks, and who can take how much of it."""

import numpy as np

from controller.plan.arrays import KW_TOLERANCE, ContractTerms, Floats, Terms, moments_of
from controller.plan.draft import Draft, reserve_kw, worth_of
from controller.plan.problem import FIRST_TIER_FRAC, FREE_SURPLUS_FRAC, SECOND_TIER_FACTOR

BATCHES = 60
"""At most so many different options of one cohort are started in one pass."""


class Stack:
    """A draft that grows; its moments, members at work and starts left are kept up to date."""

    def __init__(self, terms: Terms, draft: Draft) -> None:
        self._terms = terms
        self._kw = draft.kw.copy()
        self._counts = [c.copy() for c in draft.counts]
        worth = worth_of(terms, draft)
        self._moments = np.stack([worth.mean, worth.variance, worth.third])
        self._busy = [k.busy.copy() for k in terms.cohorts]
        self._starts_left = [k.starts_left for k in terms.cohorts]
        for i, counts in enumerate(draft.counts):
            for o in np.flatnonzero(counts):
                self._occupy(i, int(o), int(counts[o]))

    def draft(self) -> Draft:
        return Draft(kw=self._kw.copy(), counts=tuple(c.copy() for c in self._counts))

    def lacks(self) -> bool:
        return bool((self._lacking() > KW_TOLERANCE).any())

    def call(self, i: int) -> bool:
        """Call contract i where it helps most: a new run, a longer one, or a higher level."""
        called = False
        while self._call_once(i):
            called = True
        return called

    def start(self, i: int) -> bool:
        """Start members of cohort i, option by option, as long as each pays."""
        started = False
        for _ in range(BATCHES):
            option, count = self._best_option(i)
            if count <= 0:
                break
            k = self._terms.cohorts[i]
            self._counts[i][option] += count
            self._moments += count * moments_of(k.availability, k.kw[option])
            self._occupy(i, option, count)
            started = True
        return started

    def _lacking(self) -> Floats:
        """(t,) kW short of target and reserve; -inf where nothing is asked."""
        terms = self._terms
        short = terms.target + reserve_kw(terms, *self._moments[1:]) - self._moments[0]
        return np.where(terms.ruled & (terms.target > 0), short, -np.inf)

    def _penalty(self, lacking: Floats, more_kw: Floats | float) -> Floats:
        """(…, t) minor units for what is short and what is over, with `more_kw` more."""
        terms, mean = self._terms, self._moments[0] + more_kw
        short = np.maximum(lacking - more_kw, 0.0)
        beyond = np.maximum(short - FIRST_TIER_FRAC * terms.target, 0.0)
        over = np.maximum(mean - (1 + FREE_SURPLUS_FRAC) * terms.target, 0.0) * terms.ruled
        priced = short + (SECOND_TIER_FACTOR - 1) * beyond
        penalty: Floats = priced * terms.short_price + over * terms.over_price
        return penalty

    def _call_once(self, i: int) -> bool:
        terms, contract, now = self._terms, self._terms.contracts[i], self._kw[i]
        lacking = np.maximum(self._lacking(), 0.0)
        wanted, a = now.copy(), contract.availability
        for t in np.flatnonzero(contract.can_give):
            more = lacking[t] / a if a > 0 else 0.0
            wanted[t] = max(now[t], contract.level_at(int(t), now[t] + more))
        more_kw = a * (wanted - now)
        price = contract.contract.energy_price_minor_per_kwh * terms.grid.step_h
        gain = self._penalty(lacking, 0.0) - self._penalty(lacking, more_kw)
        value = np.concatenate([[0.0], np.cumsum(gain - price * more_kw)])
        best, best_value = None, KW_TOLERANCE
        for start, end, fresh in self._windows(i):
            worth = value[end] - value[start]
            worth -= contract.contract.start_cost_minor if fresh else 0.0
            if worth > best_value:
                best, best_value = (start, end), worth
        if best is None:
            return False
        self._moments -= moments_of(a, now)
        self._kw[i, best[0] : best[1]] = wanted[best[0] : best[1]]
        self._moments += moments_of(a, self._kw[i])
        return True

    def _windows(self, i: int) -> list[tuple[int, int, bool]]:
        """(start, end, is a new call) that keep rests, calls and hours beside what is called."""
        contract, first = self._terms.contracts[i], self._terms.first
        runs = future_runs(self._terms, self._kw[i])
        fresh_runs = sum(1 for s, _ in runs if not (contract.ran and s == first))
        left = contract.intervals_left - sum(e - s for s, e in runs)
        out: list[tuple[int, int, bool]] = []
        for start, end in runs_allowed(self._terms, contract):
            inside = [(s, e) for s, e in runs if start <= s and e <= end]
            others = [r for r in runs if r not in inside]
            apart = all(s - end >= contract.rest or start - e >= contract.rest for s, e in others)
            grown = end - start - sum(e - s for s, e in inside)
            carries = contract.ran > 0 and start == first
            fresh = not inside and not carries
            fits = fresh_runs < contract.calls_left or not fresh
            if len(inside) <= 1 and apart and grown <= left and fits:
                out.append((start, end, fresh))
        return out

    def _best_option(self, i: int) -> tuple[int, int]:
        """The option of cohort i whose member covers most for its cost, and how many to start."""
        k = self._terms.cohorts[i]
        if not len(k.start) or self._starts_left[i] <= 0:
            return 0, 0
        lacking = self._lacking()
        gift = k.availability * k.kw
        helps = (self._penalty(lacking, 0.0) - self._penalty(lacking, gift)).sum(axis=1)
        free = len(k.cohort.members) - self._busy[i]
        room = np.array(
            [free[s : s + d + k.recovery].min() for s, d in zip(k.start, k.length, strict=True)]
        )
        value = np.where(room > 0, helps - k.cost, -np.inf)
        option = int(np.argmax(value))
        if value[option] <= KW_TOLERANCE:
            return option, 0
        covered = (gift[option] > 0) & (lacking > KW_TOLERANCE)
        need = int(np.ceil(np.min(lacking[covered] / gift[option, covered])))
        return option, min(need, int(room[option]), self._starts_left[i])

    def _occupy(self, i: int, option: int, count: int) -> None:
        k = self._terms.cohorts[i]
        start = int(k.start[option])
        self._busy[i][start : start + int(k.length[option]) + k.recovery] += count
        self._starts_left[i] -= count


def runs_allowed(terms: Terms, contract: ContractTerms) -> list[tuple[int, int]]:
    """Every (start, end) that a single run may have; a running one can only go on from `first`."""
    first, out = terms.first, []
    if not contract.free:
        return []
    for start in range(first, terms.grid.count):
        carries = contract.ran > 0 and start == first
        if not carries and not (contract.can_start[start] and contract.calls_left):
            continue
        ran = contract.ran if carries else 0
        longest = min(contract.max_run - ran, contract.intervals_left)
        for end in range(start + 1, min(start + longest, terms.grid.count) + 1):
            if not contract.can_give[end - 1]:
                break
            if ran + end - start >= contract.min_run:
                out.append((start, end))
    return out


def future_runs(terms: Terms, kw: Floats) -> list[tuple[int, int]]:
    """(start, end) of the stretches in (t,) kW that lie at or after the first open interval."""
    on = np.concatenate([[False], kw[terms.first :] > KW_TOLERANCE, [False]]).astype(int)
    edges = np.diff(on)
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    return [(int(s) + terms.first, int(e) + terms.first) for s, e in zip(starts, ends, strict=True)]
