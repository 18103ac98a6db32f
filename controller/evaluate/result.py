"""Scorecards in the shape of result.json."""

from typing import Any

from controller.model.scorecard import Scorecard, ScoreInterval


def event_result(card: Scorecard) -> dict[str, Any]:
    """What result.json says of an event beside its own fields; instants in UTC, mean kW, fen.

    None is not known. `true_kw` is for those who know it: the controller does not.
    """
    return {
        "replans": card.replans,
        "intervals": [_row(row) for row in card.intervals],
        "score": {
            "delivered_frac": _rounded(card.delivered_frac, 4),
            "worst_frac": _rounded(card.worst_frac, 4),
            "cost_minor": card.cost_minor,
            "points": card.points,
            "cost_per_kwh_minor": _rounded(card.cost_per_kwh_minor, 2),
            "gap_frac": card.gap_frac,
            "unreachable": card.unreachable,
            "refused": card.refused,
            "overridden": card.overridden,
        },
    }


def _row(row: ScoreInterval) -> dict[str, Any]:
    return {
        "start": row.interval.start.isoformat(),
        "status": "ruling" if row.rules else "superseded",
        "target_kw": round(row.target_kw, 1),
        "committed_kw": round(row.committed_kw, 1),
        "delivered_kw": _rounded(row.delivered_kw, 1),
        "delivered_frac": _rounded(row.delivered_frac, 4),
        "true_kw": _rounded(row.true_kw, 1),
    }


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)
