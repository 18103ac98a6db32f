"""Evaluate: how an event went (后评估).

`scorecard` folds target, promise, meter, money and receipts into one `Scorecard` per event ·
`result` writes scorecards in the shape of result.json · `summary` makes the one-screen tables,
`tables` those that only the report has · `plots` draws, `report` puts the page together
(templates/report.html.j2).

Nothing here steers or pays. To add a figure: a field of `Scorecard` (or of `ReportInput` for a
whole run), its arithmetic here, its row in `summary` and in the report's template.
"""
