"""Processor time of facility location with 100 candidate regions and 1,000 zones, as a model file.

Run ``python tests/benchmarks/candidate_regions.py [a b c] [--gap G] [--direct]``. The instances are
drawn like capa, capb and capc of the OR-Library and are not those published, whose files are too
long to transcribe: places in a square, and the fixed costs and one capacity of each. ``--direct``
solves them by a formulation of their own too, which takes many minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import itertools

from facility_location import drawn, optimum, stated
from ruamel.yaml import YAML

from planner.infrastructure.loading import load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve

#: Capacity and range of fixed costs of each.
KINDS = {"a": (8000, (1.35e6, 2.25e6)), "b": (5000, (4.5e5, 7.5e5)), "c": (5000, (2.7e5, 4.5e5))}


def main() -> None:
    """Write each instance as a file, read it, solve it, and print what each step took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", default=[*KINDS], help="instances: a, b, c")
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--direct", action="store_true")
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        capacity, fixed_cost = KINDS[kind]
        instance = drawn(1, 100, 1000, capacity, fixed_cost)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"cap{kind}.yaml"
            entities = json.loads(stated(instance).model_dump_json(exclude_defaults=True))
            YAML(typ="safe", pure=True).dump(entities, path)
            marks = [time.process_time()]
            model = load_model(str(path)).model
        marks.append(time.process_time())
        programme = build(ProblemData(model, (), {}))
        marks.append(time.process_time())
        solution = solve(programme, SolverSettings(gap=arguments.gap))
        marks.append(time.process_time())
        read, built, solved = (after - before for before, after in itertools.pairwise(marks))
        print(
            f"{kind}: {solution.objective:,.2f}, gap {solution.gap:.4%}; processor seconds: "
            f"read {read:.1f}, built {built:.1f}, solved {solved:.1f}",
            flush=True,
        )
        if arguments.direct:
            print(f"   directly {optimum(instance):,.2f}", flush=True)


if __name__ == "__main__":
    main()
