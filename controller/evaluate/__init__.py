"""Evaluate: how an event went (后评估).

`scorecard` folds target, promise, meter, money and receipts into one `Scorecard` per event ·
`result` gives its entry in result.json · `summary` makes the one-screen tables from result.json,
`tables` those that only the report has · `plots` draws, `report` puts the page together
(templates/report.html.j2).

Nothing here steers or pays. To add a figure: a field of `Scorecard` and its arithmetic in
`scorecard`, its key in `result`, its row in `tables.score_table`; for a whole run a field of
`ReportInput`, and its row in `summary` or in the report's template.
"""
