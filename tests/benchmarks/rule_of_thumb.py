"""What the optimum saves against the rule of thumb, as a table in Markdown.

Run ``PYTHONPATH=. python tests/benchmarks/rule_of_thumb.py [--gap G] [--time-limit S] [MODEL …]``;
all shipped models take a quarter of an hour, the most of it for hyperscaler-12, which is proven to
0.5 % and not to 0.01 % like the others.

The rule comes in two readings. To the letter every region in use grows in proportion, also the one
that may be lost (``plan optimize --method rule-of-thumb``). In the kinder one the largest region
stays as it is. Costs are M USD a year, with capital in brackets. Plans are compared only where they
survive the same scenarios; where one does not, its cell says what fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

from planner.analysis.rule_of_thumb.rule import plan_by_rule_of_thumb
from planner.errors import PlannerError
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.loading import load_model
from planner.optimization.solution.settings import SolverSettings
from planner.rounds import LoopResult
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

#: Gap where the default of the command would take hours.
GAPS = {"hyperscaler-12": 0.005}
HEADERS = ("model", "optimum", "rule of thumb", "saved", "largest region held", "saved")


@dataclass(frozen=True)
class Figure:
    """One plan of a model.

    Parameters
    ----------
    text
        Its cell.
    usd_per_year
        What it costs, None where it does not survive.
    """

    text: str
    usd_per_year: float | None = None


def figure(outcome: LoopResult, lacks: tuple[str, ...] = ()) -> Figure:
    """Cost of a plan, or why it does not count."""
    best = outcome.best
    if best is None:
        return Figure("no plan")
    failed = (*best.failed, *lacks)
    if failed:
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        return Figure(f"fails: {', '.join(failed[:3])}{more}")
    cost = best.solution.objective
    capital = sum(item.capital_usd for item in best.items)
    return Figure(f"{cost / 1e6:,.2f} ({capital / 1e6:,.1f})", cost)


def saved(optimum: Figure, rule: Figure) -> str:
    """Share of the rule's cost that the optimum saves."""
    if optimum.usd_per_year is None or rule.usd_per_year is None:
        return "–"
    return f"{1 - optimum.usd_per_year / rule.usd_per_year:.1%}".replace("%", " %")


def by_rule(name: str, settings: SolverSettings, hold_largest: bool) -> Figure:
    """The plan of a reading of the rule, told on standard error."""
    model = load_model(name).model
    started = time.perf_counter()
    found = plan_by_rule_of_thumb(model, all_scenarios(model), settings, _say, hold_largest)
    best = found.outcome.best
    _say(f"{name}: rule of thumb, {time.perf_counter() - started:.0f} s")
    if best is not None:
        _say(f"  GPUs {dict(best.solution.fleet.gpus)}")
        _say(f"  instances {dict(best.solution.fleet.instances)}")
        _say(f"  measures {sorted(best.solution.fleet.measures)}")
    for text in found.repairs:
        _say(f"  {text}")
    return figure(found.outcome, found.lacks)


def by_programme(name: str, settings: SolverSettings) -> Figure:
    """The cheapest plan, told on standard error."""
    model = load_model(name).model
    started = time.perf_counter()
    try:
        outcome = optimize_and_verify(model, all_scenarios(model), settings)
    except PlannerError as error:
        return Figure(str(error))
    best = outcome.best
    gap = "" if best is None else f", gap {best.solution.gap:.2%}"
    _say(f"{name}: optimum, {time.perf_counter() - started:.0f} s{gap}")
    return figure(outcome)


def row(name: str, gap: float | None, time_limit: float | None) -> str:
    """Line of a model."""
    wanted = GAPS.get(name, 1e-4) if gap is None else gap
    settings = SolverSettings(gap=wanted, time_limit_seconds=time_limit)
    optimum = by_programme(name, settings)
    literal, kinder = (by_rule(name, settings, hold) for hold in (False, True))
    cells = (
        name,
        optimum.text,
        literal.text,
        saved(optimum, literal),
        kinder.text,
        saved(optimum, kinder),
    )
    return f"| {' | '.join(cells)} |"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Compare on the named models, or on all shipped ones."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--gap", type=float)
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="for each plan")
    options = parser.parse_args()
    print(f"| {' | '.join(HEADERS)} |")
    print(f"|---{'|---:' * (len(HEADERS) - 1)}|", flush=True)
    for name in options.models or sorted(shipped_models()):
        print(row(name, options.gap, options.time_limit), flush=True)


if __name__ == "__main__":
    main()
