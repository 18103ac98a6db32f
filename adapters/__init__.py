"""Links to real devices: a wire and a link per protocol, one TOML page per device model.

`modbus`, `opcua` and `mqtt` are the wires, each the only file that knows its library; what is
said over them is in `modbus_link` (with `modbus_registers`), `opcua_link` and `mqtt_link` (with
`mqtt_messages`). `duty_desk` is both in one, for people. `profile` is the page of a device model,
`points` a site's points as raw numbers, `parts` what all links share, `broker` the embedded MQTT
broker, `registry` every protocol by its name.

To add a device model: one page in `configs/profiles/`. To add a protocol: a wire and a link here,
one line in `registry`, one server in `simulators/servers/`, one word in the contract suite's list
(docs/adding-a-device.md, step by step). An adapter translates, reads back what it wrote and turns
a device's trouble into a `Receipt`; retries, the journal and rate limits belong to
`controller.dispatch`.
"""
