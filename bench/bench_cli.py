"""`peakshare --help` beside `python -c pass`: a ratio, and whether it stays under 0.3 s.

    python bench/bench_cli.py [--runs 15]

Each is the least of so many runs, in turn: on a busy machine the others only say how busy it is.
"""

import argparse
import subprocess
import sys
import time

MOST_S = 0.3
WORDS = {
    "python -c pass": ["-c", "pass"],
    "peakshare --help": ["-m", "controller", "--help"],
    "peakshare event list --help": ["-m", "controller", "event", "list", "--help"],
    "peakshare status (none runs)": ["-m", "controller", "status", "--data", "/nowhere"],
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=15)
    runs = options.parse_args().runs
    took_s = {name: float("inf") for name in WORDS}
    for _ in range(runs):
        for name, words in WORDS.items():
            took_s[name] = min(took_s[name], seconds(words))
    bare_s = took_s["python -c pass"]
    for name, s in took_s.items():
        print(f"{name:<29} {s:6.3f} s  {s / bare_s:5.1f} x python -c pass")
    help_s = took_s["peakshare --help"]
    print(f"help under {MOST_S} s: {'yes' if help_s < MOST_S else 'NO'}")
    return 0 if help_s < MOST_S else 1


def seconds(words: list[str]) -> float:
    """Wall time of one Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=False)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
