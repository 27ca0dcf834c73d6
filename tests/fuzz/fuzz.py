"""Fuzzing: hostile inputs, whole runs, and the same programme solved in different ways.

    python tests/fuzz/fuzz.py --minutes 1                      # every reader, by turns
    python tests/fuzz/fuzz.py --inputs 1000000 --seed 7
    python tests/fuzz/fuzz.py --only plan,model --inputs 5000
    python tests/fuzz/fuzz.py --only runs --inputs 2000      # optimise, verify, use the plan
    python tests/fuzz/fuzz.py --only solvers --inputs 200    # whole, in parts, CBC; plain Python
    python tests/fuzz/fuzz.py --only model --minutes 10 --atheris

An input follows from its reader and its number, so ``--only NAME --seed NUMBER --inputs 1`` makes
it again. Whatever a reader raises but a refusal is a fault, and so is a message that is none for
one line of a terminal, a warning, or more than `SECONDS` of the processor. Counts are told every
`TOLD_EVERY` seconds, and at the end, which SIGINT and SIGTERM bring after the input at hand. Exits
with 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

if __name__ == "__main__":
    # In place of its own folder, in which this file would be found as `fuzz`.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from fuzz.runs import in_two_ways, whole_runs
from fuzz.targets import Fault, Target, targets

#: Processor seconds that one input may take, and address space of the process, bytes.
SECONDS, MEMORY = 20, 12 << 30
#: Whole runs and comparisons of solvers, which are slow and only made where they are asked for.
SLOW = {"runs": whole_runs, "solvers": in_two_ways}
#: Different faults after which it ends.
MOST_FAULTS = 20
#: Seconds from one line of counts to the next.
TOLD_EVERY = 60.0
#: They end it after the input at hand.
ENDS = frozenset({signal.SIGINT, signal.SIGTERM})


def main() -> int:
    """Run as told on the command line; the exit code."""
    asked = options()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as place:
        slow = [name for name in asked.only if name in SLOW]
        found = {name: SLOW[name](Path(place)) for name in slow}
        return fuzz(asked, found or targets(Path(place)))


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for on a command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, help="end after so long")
    parser.add_argument("--inputs", type=int, help="end after so many")
    parser.add_argument("--seed", type=int, default=0, help="number of the first input")
    parser.add_argument("--only", default="", help="readers, by name and apart by commas")
    parser.add_argument("--faults", type=Path, help="folder to write inputs with a fault to")
    parser.add_argument("--atheris", action="store_true", help="let atheris choose, by coverage")
    asked = parser.parse_args(arguments)
    asked.only = [name for name in asked.only.split(",") if name]
    if asked.minutes is None and asked.inputs is None:
        asked.minutes = 1.0
    return asked


def fuzz(asked: argparse.Namespace, found: Mapping[str, Target]) -> int:
    """Try inputs of some readers; 1 if there is a fault."""
    if unknown := set(asked.only) - set(found):
        raise SystemExit(f"no reader {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    names = asked.only or [name for name in found for _ in range(found[name].weight)]
    if asked.atheris:
        return _atheris(found[names[0]], asked)
    tried, taken, faults = Counter[str](), Counter[str](), dict[str, str]()
    start = told = time.monotonic()
    signal.signal(signal.SIGVTALRM, _too_slow)
    for number in _numbers(asked):
        name = names[0] if len(names) == 1 else Random(f"which {number}").choice(names)
        target = found[name]
        content = target.make(Random(f"{name} {number}"))
        tried[name] += 1
        try:
            taken[name] += _timed(target, content)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{name}: {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
            if key not in faults:
                faults[key] = str(error)
                _tell(key, error, f"--only '{name}' --seed {number} --inputs 1")
                if asked.faults is not None:
                    asked.faults.mkdir(parents=True, exist_ok=True)
                    (asked.faults / f"{name} {number}").write_bytes(content)
        if time.monotonic() - told >= TOLD_EVERY:
            told = time.monotonic()
            print(_counts(asked, tried.total(), faults, start), flush=True)
        if len(faults) >= MOST_FAULTS:
            break
    for name in sorted(tried):
        print(f"{name:12} {tried[name]:9,} inputs, {taken[name]:9,} taken")
    print(_counts(asked, tried.total(), faults, start), flush=True)
    return 1 if faults else 0


def _counts(asked: argparse.Namespace, tried: int, faults: Sized, start: float) -> str:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return (
        f"{tried:,} inputs from number {asked.seed}, {len(faults)} faults, "
        f"{spent.ru_utime + spent.ru_stime:.0f} s of a processor in {time.monotonic() - start:.0f} "
        f"s, {spent.ru_maxrss / 1024:,.0f} MiB"
    )


def _numbers(asked: argparse.Namespace) -> Iterator[int]:
    """Numbers of inputs, until there are enough, time is over or a signal has come."""
    end = time.monotonic() + 60 * asked.minutes if asked.minutes else float("inf")
    count = itertools.count(asked.seed)
    with _endings() as ended:
        for number in count if asked.inputs is None else itertools.islice(count, asked.inputs):
            if ended or time.monotonic() > end:
                return
            yield number


@contextmanager
def _endings() -> Iterator[Sequence[int]]:
    """Signals to end that have come, which no run in this process takes for its own."""
    real, ended = signal.signal, list[int]()
    before = {one: real(one, lambda number, _: ended.append(number)) for one in ENDS}

    def others(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if number in ENDS else real(number, handler)

    try:
        with patch.object(signal, "signal", others):
            yield ended
    finally:
        for one, handler in before.items():
            real(one, handler)


def _timed(target: Target, content: bytes) -> bool:
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        return target.try_out(content)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _too_slow(*_: object) -> None:
    raise Fault(f"takes more than {SECONDS} s of a processor")


def _tell(key: str, error: Exception, again: str) -> None:
    print(f"FAULT {key}: {str(error)[:2000]}\n  again: python tests/fuzz/fuzz.py {again}")
    print("".join(traceback.format_tb(error.__traceback__)[-4:]), flush=True)


def _atheris(target: Target, asked: argparse.Namespace) -> int:
    """Inputs that atheris chooses, by what code they reach; it ends the process itself."""
    try:
        import atheris
    except ImportError:
        raise SystemExit("atheris is not installed: pip install atheris") from None
    # Readers are imported already, so their code is told to report where it goes.
    for name, module in list(sys.modules.items()):
        if name.startswith("planner."):
            for value in vars(module).values():
                if (
                    callable(value)
                    and getattr(value, "__module__", "") == name
                    and hasattr(value, "__code__")
                ):
                    atheris.instrument_func(value)
    folder = Path(tempfile.mkdtemp())
    for number in range(200):
        (folder / f"{number}").write_bytes(target.make(Random(f"seed {number}")))
    ends = [f"-max_total_time={int(60 * asked.minutes)}"] if asked.minutes else []
    ends += [f"-runs={asked.inputs}"] if asked.inputs else []
    atheris.Setup([sys.argv[0], str(folder), "-timeout=20", *ends], target.try_out)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
