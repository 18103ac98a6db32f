"""One page of physics per kind of device: pure, vectorised, closed-form steps of any length.

`lanes` says what a page looks like; `site` is the base of the sites, which can be capped, and
`base_load` the rest of a home. To add a device: one page here, one line in `simulators.plant`.
"""
