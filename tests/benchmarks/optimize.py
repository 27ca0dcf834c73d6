"""Time and memory of ``plan optimize`` on every shipped model, with the share of the solver.

Run ``python tests/benchmarks/optimize.py [--gap G] [MODEL …]``. The machine may be shared and
noisy: the ratio, processor seconds of the whole command over those of the clock in the solver, says
more than the seconds where a solver uses one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from planner.infrastructure.catalogue import shipped_models

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """One measured run: exit code, seconds, peak MiB, and the plan if there is one."""

    code: int
    seconds: float
    processor: float
    peak_mib: float
    plan: dict[str, object]


def measure(model: str, gap: float | None) -> Run:
    """Run ``plan optimize MODEL --json`` in a process of its own and measure it."""
    more = [] if gap is None else ["--gap", str(gap)]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(CHECKOUT / "cli.py"),
            "optimize",
            model,
            "--json",
            "-q",
            "-o",
            folder,
            *more,
        ]
        started = time.perf_counter()
        child = os.posix_spawn(
            sys.executable,
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
        )
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        data = json.loads(output.read() or b"{}")
        timing = Path(folder) / "timing.json"
        if timing.exists():
            data["solver"] |= json.loads(timing.read_bytes())
    processor = usage.ru_utime + usage.ru_stime
    return Run(os.waitstatus_to_exitcode(status), seconds, processor, usage.ru_maxrss / 1024, data)


def row(model: str, run: Run) -> list[str]:
    """Cells of a model; figures of the solver only where there is a plan."""
    cells = [model, str(run.code), f"{run.seconds:.2f}", f"{run.processor:.2f}"]
    solver = run.plan.get("solver")
    if isinstance(solver, dict):
        seconds = float(solver["solver_seconds"])
        cells += [f"{seconds:.2f}", f"{run.processor / seconds:.1f}"]
        cells += [f"{solver['rows']:,}", f"{solver['columns']:,}"]
    else:
        cells += ["", "", "", ""]
    return [*cells, f"{run.peak_mib:.0f}"]


def main() -> None:
    """Measure the named models, or all shipped ones."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all shipped models")
    parser.add_argument("--gap", type=float, metavar="G")
    options = parser.parse_args()
    table = Table(box=SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for header in ("exit", "clock s", "processor s", "solver s", "ratio", "rows", "columns", "MiB"):
        table.add_column(header, justify="right")
    for model in options.models or sorted(shipped_models()):
        table.add_row(*row(model, measure(model, options.gap)))
    Console().print(table)


if __name__ == "__main__":
    main()
