"""What the simulation finds wrong with a sizing, and the steps that answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from planner.analysis.rule_of_thumb.sizer import Sizer
from planner.analysis.rule_of_thumb.sizing import Sizing, more_cloud
from planner.infrastructure.failures import Scenario
from planner.simulation.verdict import Breach, Verdict

#: One purchase more; None where limits leave no room for it.
Step = Callable[[Sizing], Sizing | None]

#: Units added at once to one plant, the next number where fewer improve nothing.
UNIT_STEPS = (1, 2, 4)
#: Steps in a row without improvement before the rule gives up on a scenario.
PATIENCE = 4
#: Worth of a degree less where nothing else got better.
DEGREE = 1e-6
#: Causes that more GPUs may answer: fewer requests wait and come back.
FOR_GPUS = frozenset({"scarcity", "late", "budget", "services"})


def repair(
    sizer: Sizer, sizing: Sizing, progress: Callable[[str], None]
) -> tuple[Sizing, tuple[Verdict, ...], tuple[str, ...]]:
    """Fix one failing scenario after the other, the worst first, until none can be fixed.

    What was added for a scenario that fails all the same is taken back.
    """
    done: list[str] = []
    hopeless: set[str] = set()
    verdicts = sizer.judge(sizing, sizer.scenarios)
    while True:
        failing = [
            verdict for verdict in verdicts if verdict.fails and verdict.name not in hopeless
        ]
        if not failing or sizer.over():
            return sizing, verdicts, tuple(done)
        worst = max(failing, key=_severity)
        fixed = _fix(sizer, sizing, worst)
        if fixed is None:
            if sizer.over():
                return sizing, verdicts, tuple(done)
            hopeless.add(worst.name)
            progress(f"nothing within the limits fixes {worst.name}")
            continue
        sizing, steps = fixed
        told = ", ".join(f"{steps.count(text)} × {text}" for text in dict.fromkeys(steps))
        done.append(f"{worst.name} took {told}")
        verdicts = sizer.judge(sizing, sizer.scenarios)
        progress(f"{done[-1]}; {sum(verdict.fails for verdict in verdicts)} left to fix")


def _severity(verdict: Verdict) -> float:
    """Severity of all breaches: missing share of what is required, times minutes."""
    return sum(_weight(breach) for breach in verdict.breaches)


def _weight(breach: Breach) -> float:
    if breach.kind == "budget":
        return breach.shortfall / max(breach.required, 1.0)
    if breach.kind == "capacity":
        return breach.shortfall
    minutes = breach.until_minute - breach.minute + 1
    return (1.0 if breach.kind == "shutdown" else breach.shortfall) * minutes


def _fix(sizer: Sizer, sizing: Sizing, verdict: Verdict) -> tuple[Sizing, list[str]] | None:
    """Sizing that survives a scenario, and the steps to it; None if limits come first.

    A step that improves something is repeated for as long as it does. Where none does, GPUs are
    raised in proportion for a while, in case several blocks together help.
    """
    scenario = next(scenario for scenario in sizer.scenarios if scenario.name == verdict.name)
    taken: list[str] = []
    last: tuple[str, Step] | None = None
    idle = 0
    blocks_help = any(breach.cause in FOR_GPUS for breach in verdict.breaches)
    while verdict.fails and idle < PATIENCE and not sizer.over():
        better = None
        if last is not None:
            better = _best(sizer, sizing, verdict, scenario, [last])
        for steps in () if better else _steps(sizer, scenario, verdict):
            better = better or _best(sizer, sizing, verdict, scenario, steps)
        idle = 0 if better else idle + 1
        last = better[0] if better else ("GPU block in proportion", sizer.gpus.next_block)
        more = better[1] if better else sizer.gpus.next_block(sizing) if blocks_help else None
        if more is None:
            return None
        sizing = more
        taken.append(last[0])
        (verdict,) = sizer.judge(sizing, (scenario,))
    return None if verdict.fails else (sizing, taken)


def _best(
    sizer: Sizer,
    sizing: Sizing,
    verdict: Verdict,
    scenario: Scenario,
    steps: list[tuple[str, Step]],
) -> tuple[tuple[str, Step], Sizing] | None:
    """The step that improves a scenario most for its money; None if none improves it."""
    price = sizer.yearly_usd(sizing)
    best, most = None, 0.0
    for step in steps:
        more = step[1](sizing)
        if more is None:
            continue
        (after,) = sizer.judge(more, (scenario,))
        worth = _progress(verdict, after) / max(1.0, sizer.yearly_usd(more) - price)
        if worth > most:
            best, most = (step, more), worth
    return best


def _progress(before: Verdict, after: Verdict) -> float:
    """Improvement: of severity or, where heat is the cause, at least of the peak temperature.

    A cluster that throttles less may be sent more work than it can do, so requests alone mislead.
    """
    better = _severity(before) - _severity(after)
    hot = any(breach.kind == "shutdown" or breach.cause == "heat" for breach in before.breaches)
    if better > 0 or not hot:
        return better
    return DEGREE * (before.peak_temperature_c - after.peak_temperature_c)


def _steps(sizer: Sizer, scenario: Scenario, verdict: Verdict) -> Iterator[list[tuple[str, Step]]]:
    """Steps that answer the causes of a failure: obvious ones, then larger and unusual ones."""
    causes: set[str] = {breach.cause or breach.kind for breach in verdict.breaches}
    plants = sizer.plants_touched(scenario) if causes & {"heat", "scarcity", "shutdown"} else ()
    plain = _plain_steps(sizer, causes)
    for count in UNIT_STEPS:
        word = "unit" if count == 1 else "units"
        yield plain + [
            (
                f"{count} {word} in {plant}",
                partial(sizer.cooling.more_units, plant=plant, count=count),
            )
            for plant in plants
        ]
        plain = []
    for count in UNIT_STEPS:
        # Units of another type may run at once where those that a plant buys have to start.
        yield [
            (
                f"{count} {unit} in {plant}",
                partial(sizer.cooling.more_of, plant=plant, unit=unit, count=count),
            )
            for plant in plants
            for unit in sizer.cooling.types(plant)
        ]
    if causes & {*FOR_GPUS, "capacity"}:
        yield [
            (f"GPU block in {region}", partial(sizer.gpus.block_in, region=region))
            for region in sizer.gpus.candidates()
        ]


def _plain_steps(sizer: Sizer, causes: set[str]) -> list[tuple[str, Step]]:
    """Obvious steps: GPUs, cloud, and measures for services without enough capacity."""
    plain: list[tuple[str, Step]] = []
    if causes & FOR_GPUS:
        plain.append(("GPU block in proportion", sizer.gpus.next_block))
    if "capacity" in causes:
        plain.append(("GPU block in the smallest region", sizer.gpus.block_in_smallest_region))
    if causes & {"scarcity", "services"}:
        plain.append(("cloud for 1 % of the peak", partial(more_cloud, sizer.data)))
    if "services" in causes:
        plain += [
            (f"measure {name}", partial(sizer.with_measure, name=name))
            for name in sizer.measures_for_services()
        ]
    return plain
