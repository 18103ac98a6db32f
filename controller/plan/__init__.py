"""Who is called, when and for how much: the cheapest plan that keeps every contract's terms.

`make_plan` is the stage: problem → terms → model → solver → draft → members → checked plan. It
is a pure function of its `Problem` (same problem and work limits, same plan), made to run in a
worker process; the solver is imported only there. `greedy_plan` needs no solver and stands in
when that process is killed. No plan leaves the stage that `check` finds fault with.

To add a term of contracts: `contract_terms` (what may be), `model` and `stack` (keeping it),
`check` (finding it broken, from the contract alone), `explain` (naming it), and a test each.
"""

from collections.abc import Sequence

from controller.errors import PlanError
from controller.model.plans import Plan
from controller.plan.arrays import Terms
from controller.plan.assembly import Proof, assemble
from controller.plan.check import check_plan
from controller.plan.cohorts import form_cohorts
from controller.plan.draft import Draft, worth_of
from controller.plan.greedy import cheap_bound, merit_order
from controller.plan.problem import Fixed, Problem
from controller.plan.terms import terms_of

__all__ = [
    "Fixed",
    "Problem",
    "check_plan",
    "form_cohorts",
    "greedy_plan",
    "make_plan",
    "warm_up",
]


def make_plan(problem: Problem) -> Plan:
    """The cheapest plan found within the problem's work limit, with a proven bound.

    What cannot be met is a priced shortfall, never an error. Raises PlanError only where not
    even the merit order passes the check.
    """
    from controller.plan.optimise import optimise

    terms = terms_of(problem)
    greedy = merit_order(terms)
    reference = worth_of(terms, greedy)
    found = optimise(terms, reference)
    draft, notes = found.draft, found.notes
    if draft is None:
        return _greedy(terms, greedy, notes)
    if worth_of(terms, draft).cost > reference.cost:
        draft, notes = greedy, (*notes, "the merit order was the best plan found")
    proof = Proof(
        bound=found.bound,
        merit_order_cost=reference.cost,
        solve_s=found.seconds,
        notes=notes,
    )
    try:
        plan = assemble(terms, draft, proof)
        broken = check_plan(plan, problem)
    except PlanError as error:
        broken = (error.message,)
    if broken:
        return _greedy(terms, greedy, [f"the solver's plan was refused: {b}" for b in broken])
    return plan


def greedy_plan(problem: Problem) -> Plan:
    """The merit order as a plan, without a solver. Raises PlanError if it fails the check."""
    terms = terms_of(problem)
    return _greedy(terms, merit_order(terms), ())


def warm_up() -> None:
    """Load the solver and solve something small, so that the first real plan does not wait."""
    import numpy as np

    from controller.plan.milp import MilpBuilder
    from controller.plan.solve import solve_milp

    build = MilpBuilder()
    x = build.columns(np.array([1.0, 2.0]), high=3.0, whole=True)
    build.put(build.rows((1,), 2.5, np.inf), x, 1.0)
    solve_milp(build.milp(), gap=0.0, node_limit=10, time_limit_s=10.0)


def _greedy(terms: Terms, draft: Draft, notes: Sequence[str]) -> Plan:
    """The merit order in place of a better plan; `notes` say why."""
    proof = Proof(
        bound=cheap_bound(terms),
        merit_order_cost=worth_of(terms, draft).cost,
        fallback=True,
        notes=notes,
    )
    plan = assemble(terms, draft, proof)
    faults = check_plan(plan, terms.problem)
    if faults:
        raise PlanError("no valid plan: " + "; ".join(faults))
    return plan
