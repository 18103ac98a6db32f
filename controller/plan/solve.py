"""The only file that knows the solver: a `Milp` in; values, objective and proven bound out.

SCIP for programs with whole numbers, GLOP for those without, both through OR-Tools' MathOpt, on
one thread and with a fixed seed: the same program and work limit give the same solution. Nodes
and the gap decide when a search ends; the time limit is a guard that should never be reached.
Why SCIP and not HiGHS: docs/decisions/0006-plan-compact-milp.md.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

import numpy as np
from ortools.math_opt import model_pb2
from ortools.math_opt.python import mathopt

from controller.plan.arrays import Floats, Ints
from controller.plan.milp import Milp


class Solver(StrEnum):
    """Who searches; HiGHS is there to be compared with."""

    SCIP = "scip"
    HIGHS = "highs"


_KINDS = {Solver.SCIP: mathopt.SolverType.GSCIP, Solver.HIGHS: mathopt.SolverType.HIGHS}


class SolveStatus(StrEnum):
    """Proven: within the gap. Limit: stopped by nodes or time. Failed: no values."""

    PROVEN = "proven"
    LIMIT = "limit"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What the solver found; `values` is (n,), or empty when it failed."""

    values: Floats = field(repr=False)
    objective: float
    bound: float
    """Proven; -inf where nothing is."""
    status: SolveStatus
    nodes: int = 0
    seconds: float = 0.0
    """As the solver counted them."""
    detail: str = ""
    """What an operator should know, e.g. which limit ended it."""


def solve_milp(
    milp: Milp,
    *,
    gap: float,
    node_limit: int,
    time_limit_s: float,
    hint: Floats | None = None,
    solver: Solver = Solver.SCIP,
    cutoff: float | None = None,
) -> Solution:
    """Minimise to a relative `gap`. A solver's failure is a `Solution` without values.

    `hint` is a point to start from; only SCIP takes it. `solver` is for programs with whole
    numbers; those without go to GLOP. HiGHS seeks nothing dearer than `cutoff`; if it then finds
    that nothing is left, the cutoff is the proven bound.
    """
    kind = _KINDS[solver] if milp.whole.any() else mathopt.SolverType.GLOP
    try:
        model = mathopt.Model.from_model_proto(_proto(milp))
        variables = list(model.variables())
        limits, extra = _parameters(milp, variables, kind, hint)
        limits.time_limit = timedelta(seconds=time_limit_s)
        if kind is not mathopt.SolverType.GLOP:
            limits.relative_gap_tolerance, limits.node_limit = gap, node_limit
        if cutoff is not None and kind is mathopt.SolverType.HIGHS:
            limits.highs.double_options["objective_bound"] = cutoff
        result = mathopt.solve(model, kind, params=limits, model_params=extra)
    except (AttributeError, RuntimeError, ValueError) as error:
        # MathOpt 9.15 hides a solver's status behind an AttributeError.
        return _failed(f"the solver failed: {error.__context__ or error}")
    return _solution(result, variables)


def _parameters(
    milp: Milp,
    variables: list[mathopt.Variable],
    kind: mathopt.SolverType,
    hint: Floats | None,
) -> tuple[mathopt.SolveParameters, mathopt.ModelSolveParameters]:
    """What makes a solver single-threaded and repeatable, and what SCIP is told besides."""
    limits, extra = mathopt.SolveParameters(), mathopt.ModelSolveParameters()
    if kind is not mathopt.SolverType.HIGHS:
        limits.threads = 1
    if kind is not mathopt.SolverType.GLOP:
        limits.random_seed = 1
    if kind is mathopt.SolverType.GSCIP:
        limits.heuristics = mathopt.Emphasis.HIGH
        first = np.flatnonzero(milp.priority)
        extra.branching_priorities = {variables[i]: int(milp.priority[i]) for i in first}
        if hint is not None:
            start = {v: float(x) for v, x in zip(variables, hint, strict=True)}
            extra.solution_hints = [mathopt.SolutionHint(variable_values=start)]
    return limits, extra


def _solution(result: mathopt.SolveResult, variables: list[mathopt.Variable]) -> Solution:
    reason = result.termination.reason
    bound = float(result.dual_bound())
    if not result.has_primal_feasible_solution():
        return _failed(f"the solver found no plan: {reason.name.lower()}", bound=bound)
    proven = reason is mathopt.TerminationReason.OPTIMAL
    limit = result.termination.limit
    found = result.variable_values()
    return Solution(
        values=np.array([found[v] for v in variables], dtype=np.float64),
        objective=float(result.objective_value()),
        bound=bound,
        status=SolveStatus.PROVEN if proven else SolveStatus.LIMIT,
        nodes=int(result.solve_stats.node_count),
        seconds=float(result.solve_time().total_seconds()),
        detail="" if limit is None else f"the search was ended by its {limit.name.lower()} limit",
    )


def _failed(detail: str, bound: float = -np.inf) -> Solution:
    return Solution(
        values=np.zeros(0),
        objective=np.inf,
        bound=bound,
        status=SolveStatus.FAILED,
        detail=detail,
    )


def _proto(milp: Milp) -> model_pb2.ModelProto:
    """The program in MathOpt's sparse form, ten times faster than adding expressions."""
    proto = model_pb2.ModelProto()
    columns, rows = len(milp.cost), len(milp.row_low)
    proto.variables.ids.extend(range(columns))
    proto.variables.lower_bounds.extend(milp.low.tolist())
    proto.variables.upper_bounds.extend(milp.high.tolist())
    proto.variables.integers.extend(milp.whole.tolist())
    proto.linear_constraints.ids.extend(range(rows))
    proto.linear_constraints.lower_bounds.extend(milp.row_low.tolist())
    proto.linear_constraints.upper_bounds.extend(milp.row_high.tolist())
    priced = np.flatnonzero(milp.cost)
    proto.objective.offset = milp.offset
    proto.objective.linear_coefficients.ids.extend(priced.tolist())
    proto.objective.linear_coefficients.values.extend(milp.cost[priced].tolist())
    matrix = proto.linear_constraint_matrix
    matrix.row_ids.extend(milp.row.tolist())
    matrix.column_ids.extend(milp.column.tolist())
    matrix.coefficients.extend(milp.value.tolist())
    return proto


class GrowingProgram:
    """A linear program that gets columns between solves and starts from its last basis (GLOP)."""

    def __init__(self, program: Milp) -> None:
        self._model = mathopt.Model.from_model_proto(_proto(program))
        self._rows = list(self._model.linear_constraints())
        self._columns = list(self._model.variables())
        self._solver = mathopt.IncrementalSolver(self._model, mathopt.SolverType.GLOP)
        self._parameters = mathopt.SolveParameters(presolve=mathopt.Emphasis.OFF, threads=1)

    def add(self, cost: Floats, row: Ints, column: Ints, value: Floats) -> None:
        """New columns >= 0; `column` counts among them."""
        model, rows = self._model, self._rows
        fresh = [model.add_variable(lb=0.0) for _ in range(len(cost))]
        for x, price in zip(fresh, cost.tolist(), strict=True):
            model.objective.set_linear_coefficient(x, price)
        for r, c, v in zip(row.tolist(), column.tolist(), value.tolist(), strict=True):
            rows[r].set_coefficient(fresh[c], v)
        self._columns.extend(fresh)

    def solve(self, time_limit_s: float) -> tuple[float, Floats, Floats] | None:
        """Objective, values of the columns, duals of the rows; None where it did not finish."""
        self._parameters.time_limit = timedelta(seconds=max(time_limit_s, 0.01))
        result = self._solver.solve(params=self._parameters)
        if result.termination.reason is not mathopt.TerminationReason.OPTIMAL:
            return None
        values, duals = result.variable_values(self._columns), result.dual_values(self._rows)
        return float(result.objective_value()), np.array(values), np.array(duals)
