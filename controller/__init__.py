"""Peakshare: demand response and virtual power plant controller.

The pipeline, in one breath (each stage is a pure function of values; `app` strings them)::

    DREvent ─┐                                                              ┌─► Scorecard   evaluate
             ├─► Forecast + Flexibility ─► Plan ─► Setpoint ─► Receipt      │
    history ─┘   forecast                  plan    dispatch        │        │
                         ▲                                  Reading ◄── telemetry
                         └── replan on shortfall ── verify ◄───────┘
    meters ──────────────► Baseline ─► Performance ─► Transfer ─► Statement
                           baseline    settle         settle      settle

The map of the house: `model` holds the nouns, `app` the verbs. `units`, `errors`, `ports`,
`clock` and `config` serve everybody. `events`, `forecast`, `plan`, `verify`, `baseline`,
`settle` and `evaluate` are pure stages that do not know each other. `dispatch`, `meters`,
`telemetry`, `store`, `schedule`, `web` and `cli` do the I/O. Devices live in `adapters`, their
simulated counterparts in `simulators`.
"""
