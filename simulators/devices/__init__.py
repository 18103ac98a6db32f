"""One page of physics per kind of device: pure, vectorised, closed-form steps of any length.

`lanes` says what a page looks like; `site` holds what the large loads share; `base_load` is the
rest of a home. To add a device: one page here, one line in `simulators.population`.
"""
