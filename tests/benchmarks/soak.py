"""Many runs in one process, and many processes side by side: does memory stay what it is?

    python tests/benchmarks/soak.py --runs 500      # optimise random models one after the other
    python tests/benchmarks/soak.py --beside 24     # as many processes at once, each with its own

Of runs in one process the resident memory is read after every tenth; what the second half adds is
printed with its slope. Of processes side by side each one's peak is.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # In place of its own folder, whose modules have names of packages of the tests.
    sys.path[0] = str(CHECKOUT / "tests")
#: Where numbers of random models begin: those below are the tests' own.
FIRST = 5_000_000
MIB = 1 << 20


def resident_mib() -> float:
    """Memory of this process that is in use, MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def run(number: int, folder: Path) -> int:
    """`plan optimize` on a random model; its exit code."""
    from fuzz.targets import run as plan
    from optimization.drawing import draw

    model = folder / "model.yaml"
    model.write_text(json.dumps(draw(number)), encoding="utf-8")
    words = ("optimize", model, "-q", "--json", "--time-limit", "60", "-o", folder / "out")
    return plan(*words, codes=(0, 3, 4, 5))


def growth(runs: int) -> dict[str, float]:
    """Resident memory over some runs in this process.

    Returns
    -------
    dict
        MiB after a tenth of the runs, after half of them and at the end, the slope of the second
        half in KiB a run, and processor seconds.
    """
    seen: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(runs):
            run(FIRST + number, Path(name))
            if number % 10 == 9:
                seen.append((number + 1, resident_mib()))
                if number % 50 == 49:
                    print(f"{number + 1:5} runs: {seen[-1][1]:.1f} MiB", flush=True)
    half = [pair for pair in seen if pair[0] >= runs / 2]
    slope = np.polyfit(*zip(*half, strict=True), 1)[0] if len(half) > 1 else 0.0
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "mib_after_a_tenth": next(mib for at, mib in seen if at >= runs / 10),
        "mib_after_half": half[0][1],
        "mib_at_the_end": seen[-1][1],
        "kib_a_run": float(slope) * 1024,
        "processor_seconds": spent.ru_utime + spent.ru_stime,
    }


def beside(count: int) -> list[tuple[int, float]]:
    """Exit code and peak memory, MiB, of processes that each optimise a model at once."""
    command = [sys.executable, __file__, "--runs", "1", "--peak", "--first"]
    started = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(count)
    ]
    return [
        (process.returncode, float((out.split() or ["nan"])[-1]))
        for process in started
        for out in [process.communicate()[0]]
    ]


def main() -> None:
    """Run as told on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--beside", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--peak", action="store_true", help="print the peak of one run alone")
    asked = parser.parse_args()
    if asked.peak:
        with tempfile.TemporaryDirectory() as name:
            run(FIRST + asked.first, Path(name))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    elif asked.beside:
        start = time.monotonic()
        found = beside(asked.beside)
        failed = sum(code != 0 for code, _ in found)
        peaks = sorted(mib for _, mib in found)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"{len(found)} processes on {os.cpu_count()} processors, {failed} failed; peak of each "
            f"{peaks[0]:.0f} to {peaks[-1]:.0f} MiB, {sum(peaks):,.0f} in all; "
            f"{spent.ru_utime + spent.ru_stime:.0f} s of a processor in "
            f"{time.monotonic() - start:.0f} s"
        )
    else:
        print("\n".join(f"{name}: {value:.1f}" for name, value in growth(asked.runs).items()))


if __name__ == "__main__":
    main()
