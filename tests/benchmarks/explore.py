"""How long the what-if page takes to answer: ``python tests/benchmarks/explore.py MODEL``.

Seconds of a processor and of the clock until the first plan and until the last word, for the model
and then for a few sliders moved one after the other.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from planner.explore.planning import Planning
from planner.optimization.solution.settings import SolverSettings

MOVES = (
    "",
    "finance.discount_rate=0.1",
    "zones.*.demand_rps=*1.05",
    "offers.*.usd_per_instance_hour=*1.5",
    "offers.*.lead_time_minutes=*2",
)


def processor_seconds() -> float:
    """Of all threads so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a line for each move."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="tiny")
    plans = Planning(parser.parse_args().model, None, SolverSettings(), Path())
    print(f"{'move':40} {'first plan':>16} {'last word':>16}   processor s (clock s)")
    for move in MOVES:
        settings = (move,) if move else ()
        spent, began, first = processor_seconds(), time.monotonic(), ""
        plans.ask(settings)
        while True:
            time.sleep(0.01)
            answer = plans.answer
            if answer is None or answer.settings != settings:
                continue
            taken = f"{processor_seconds() - spent:.1f} ({time.monotonic() - began:.1f})"
            if not first:
                first = taken
                print(f"{move or 'the model':40} {first:>16}", end=" ", flush=True)
            if answer.final:
                break
        print(f"{taken:>16}", flush=True)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
