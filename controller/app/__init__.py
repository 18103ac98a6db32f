"""The shell: owns the one long-lived TaskGroup and strings the stages.

`controller` holds lifetimes and the operators' verbs; `steering` is the loop, helped by
`asking` (the planner's question), `planner` (its process), `telling` (told contracts),
`calling` (devices), `watching` (what meters show); `evening` is the scheduled run,
`day_ahead` its forecasts. `day_after` computes what an event day is worth, `settling` posts it,
`statements` tell it (from the store alone), each under the configuration version of the event
(`versions`). `situation` is what is known now, `notes` keep what happened, `recall` rebuilds both
from the journal, `results` and `reporting` are what is shown. Everything concrete is handed in:
this package imports no adapter and no web.
"""

from controller.app.controller import Controller
from controller.app.wiring import Services

__all__ = ["Controller", "Services"]
