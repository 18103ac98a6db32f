"""A small configuration folder that is sound, for tests that break it in one place."""

import shutil
from pathlib import Path

from controller.config import load_config
from controller.errors import ConfigError, Fault

REPO = Path(__file__).parents[1]
DEMO = REPO / "configs" / "demo"
PROFILES = REPO / "configs" / "profiles"

CONTROLLER = """
[area]
id = "harbour"
name = "Harbour"
timezone = "Asia/Shanghai"
feeders = ["north", "south"]

[shaving]
program = "cut"
run_at = "20:00"
limit_kw = 900
quantile = 0.9
ask_frac = 0.6
min_duration = "1 h"
max_duration = "4 h"

[planning]
confidence = 0.95
gap_frac = 0.01
node_limit = 1000
replan_node_limit = 100
kill_after_s = 10
shortfall_price = "20 CNY/kWh"
over_delivery_price = "0.05 CNY/kWh"

[[planning.cohort]]
kind = "air_conditioner"
control = "cap_kw"
value_frac = 0.5
max_run = "2 h"
recovery = "1 h 30 min"
rebound_frac = 0.3
rebound_intervals = 4
availability_frac = 0.9
cohort_size = 100

[dispatch]
lead = "2 min"
ack_deadline_s = 1.0
retries = 1
backoff_s = 0.1
release_stagger = "15 min"
max_kw_per_min = 500

[telemetry]
site_every = "60 s"
home_every = "5 min"
stale_after = "12 min"

[verify]
every = "5 min"
shortfall_frac = 0.05
surplus_frac = 0.2
failed_below_frac = 0.5
settle_time = "10 min"
"""

PROGRAM = """
id = "cut"
name = "Peak shaving"
currency = "CNY"
timezone = "Asia/Shanghai"
holidays = [2014-01-27]

[baseline]
method = "x_of_y"
days = 5
pick_days = 4

[[tier]]
from_ratio = -inf
to_ratio = 0.8
pay_frac = 0
cap_ratio = 0
penalty_frac = 1

[[tier]]
from_ratio = 0.8
to_ratio = inf
pay_frac = 1
cap_ratio = 1.2
"""

CONTRACTS = """
[[contract]]
id = "mill"
name = "Mill"
program = "cut"
resources = ["mill"]
kind = "interruptible"
wired = true
steps_kw = [100, 200]
notice = "15 min"
min_duration = "30 min"
max_duration = "2 h"
windows = [{ start = "08:00", end = "20:00", weekdays = "Mon-Fri" }]
energy_price = "1.50 CNY/kWh"
start_cost = "300 CNY"

[[contract]]
id = "store"
name = "Cold store"
program = "cut"
resources = ["store"]
kind = "interruptible"
wired = false
min_kw = 20
max_kw = 80
notice = "2 h"
reply_within = "30 min"
min_duration = "1 h"
max_duration = "3 h"
energy_price = "1.20 CNY/kWh"

[[contract]]
id = "homes-ac"
name = "Homes"
program = "cut"
kind = "points"
wired = true
notice = "15 min"
min_duration = "30 min"
max_duration = "2 h"
energy_price = "1.60 CNY/kWh"
points_per_kwh = 20
"""

LINKS = """
[[link]]
id = "mill-plc"
protocol = "modbus"
port = 0
timeout_s = 1.0
poll_every = "1 min"
options = { retry_most_s = 5 }

[[link]]
id = "homes"
protocol = "mqtt"
port = 1883
timeout_s = 1.0
poll_every = "5 min"

[[link]]
id = "desk"
protocol = "duty_desk"
port = 0
timeout_s = 1.0
poll_every = "5 min"
"""

SITES = """
[[customer]]
id = "c-mill"
name = "Mill Ltd"

[[customer.meter]]
id = "m-mill"

[[customer.meter.resource]]
id = "mill"
kind = "factory"
zone = "harbour"
feeder = "north"
rated_kw = 500
floor_kw = 150
link = "mill-plc"
profile = "plc-load-modbus"
address = "1"

[[customer]]
id = "c-store"
name = "Store Ltd"

[[customer.meter]]
id = "m-store"

[[customer.meter.resource]]
id = "store"
kind = "cold_store"
zone = "harbour"
feeder = "south"
rated_kw = 200
link = "desk"
profile = "told-meter"
address = "store"
"""

HOMES = """\
id,customer_id,meter_id,kind,zone,feeder,rated_kw,contract_id,link,profile,address
home-1,c-home-1,m-home-1,air_conditioner,harbour,north,3.2,homes-ac,homes,home-ac,home-1
home-2,c-home-2,m-home-2,air_conditioner,harbour,south,2.5,homes-ac,homes,home-ac,home-2
home-3,c-home-3,m-home-3,air_conditioner,harbour,south,2.5,homes-ac,homes,home-ac,home-3
"""

FILES = {
    "controller.toml": CONTROLLER,
    "programs/cut.toml": PROGRAM,
    "contracts/all.toml": CONTRACTS,
    "fleet/links.toml": LINKS,
    "fleet/sites.toml": SITES,
    "fleet/homes.csv": HOMES,
}


def write_folder(parent: Path) -> Path:
    """The small configuration in `parent`/small, with the shared profiles beside it."""
    root = parent / "small"
    for file, text in FILES.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(text.encode())
    shutil.copytree(PROFILES, parent / "profiles")
    return root


def edit(root: Path, file: str, old: str, new: str) -> None:
    """Replace the first `old` in a file; an edit that finds nothing is a bug in the test."""
    text = (root / file).read_text(encoding="utf-8")
    assert old in text, f"{file} has no {old!r}"
    (root / file).write_bytes(text.replace(old, new, 1).encode())


def faults_of(root: Path) -> list[Fault]:
    """What is wrong with the configuration; nothing if it loads."""
    try:
        load_config(root)
    except ConfigError as error:
        return list(error.faults)
    return []
