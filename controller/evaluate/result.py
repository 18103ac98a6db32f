"""Scorecards in the shape of result.json."""

from typing import Any

from controller.model.scorecard import Scorecard


def event_result(card: Scorecard) -> dict[str, Any]:
    """One entry of result.json's `events`; instants are ISO 8601 in UTC, powers mean kW."""
    return {
        "id": card.event_id,
        "source": str(card.source),
        "status": str(card.status),
        "replans": card.replans,
        "intervals": [
            {
                "start": row.interval.start.isoformat(),
                "target_kw": round(row.target_kw, 3),
                "committed_kw": round(row.committed_kw, 3),
                "delivered_kw": round(row.delivered_kw, 3),
                "delivered_frac": _rounded(row.delivered_frac, 6),
                "true_kw": _rounded(row.true_kw, 3),
            }
            for row in card.intervals
        ],
    }


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)
