"""Text of a failed scenario: headline, sparklines of what was served, breaches, story."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from planner.infrastructure.failures import Scenario
from planner.pytest_support.verdicts import ScenarioResult
from planner.scenarios.standard import TOLERANCE, in_words
from planner.simulation.story import describe
from planner.simulation.verdict import Breach, Verdict

Floats = npt.NDArray[np.float64]
BARS = "▁▂▃▄▅▆▇█"
#: Characters of a sparkline at most and at least, and the width that text is folded to.
WIDTH, LEAST_WIDTH, TEXT_WIDTH = 48, 20, 78
#: Characters around a sparkline beside its label.
AROUND = 18
#: Candidates for the bottom of the scale: the highest one below all values is taken.
BOTTOMS = (0.9, 0.5, 0.0)
#: Events that a headline names; of more, the scenario is named instead.
MOST_NAMED = 2
#: Fewest minutes that a sparkline shows; minutes after its last change, as a share of those before.
LEAST_MINUTES, AFTERWARDS = 30, 0.3
#: Change of a served fraction that can be seen.
VISIBLE = 0.003
CAUSES = {
    "heat": "GPUs throttle or shut down from heat",
    "late": "emergency capacity arrives late",
    "routing": "requests are still routed to capacity that is gone",
    "services": "services reject requests",
    "scarcity": "too little capacity is left",
}


def happening(scenario: Scenario) -> str:
    """What fails, in a few words."""
    if len(scenario.events) > MOST_NAMED:
        return scenario.name
    return " and ".join(dict.fromkeys(describe(event) for event in scenario.events))


def fractions(value: float, required: float) -> tuple[str, str]:
    """Value and requirement as fractions, with as many digits as tell them apart.

    >>> fractions(0.911, 0.99), fractions(0.9899, 0.99), fractions(0.25, 1.0)
    (('0.91', '0.99'), ('0.98', '0.99'), ('0.25', '1'))
    """
    for digits in range(2, 7):
        # Cut off, so that what falls short is never shown as enough.
        scale = 10**digits
        cut = math.floor(round(value * scale, 3)) / scale
        if cut < required:
            break
    return f"{cut:g}", f"{required:g}"


def breach_text(breach: Breach) -> str:
    """A breach of the standard in a few words."""
    if breach.kind != "served":
        return str(breach)
    value, required = fractions(breach.value, breach.required)
    return (
        f"{in_words(breach.subject)} served {value} at minute {breach.minute:.0f}, needs {required}"
    )


def headline(scenario: Scenario, verdict: Verdict) -> str:
    """The first breach, as one line."""
    breach = verdict.first_breach
    if breach is None:
        told = "survived" if verdict.survives else verdict.status
        return f"{happening(scenario)}: {told}"
    return f"{happening(scenario)}: {breach_text(breach)}"


def tell(scenario: Scenario, outcome: ScenarioResult, subject: str) -> str:
    """Text of a failed scenario: headline, sparklines, breaches, story.

    Parameters
    ----------
    subject
        What was simulated: model and plan.
    """
    verdict = outcome.verdict
    frequency = f"{scenario.frequency_per_year:.3g} per year"
    lines = [*_folded(headline(scenario, verdict), "", "  "), ""]
    lines += _folded(f"{scenario.name} ({scenario.severity}, {frequency}), {subject}", "  ")
    lines += ["", *_curves(outcome)]
    lines += ["", "  What falls short", *_breaches(outcome)]
    lines += ["", "  What happened", *_story(verdict)]
    return "\n".join(line.rstrip() for line in lines)


def _folded(text: str, indent: str, hanging: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=hanging or indent,
        break_on_hyphens=False,
    )


def sparkline(values: Floats, bottom: float, top: float) -> str:
    """Values as bars; the highest bar is for the top alone.

    >>> sparkline(np.array([0.0, 0.5, 0.99, 1.0]), 0.0, 1.0)
    '▁▄▇█'
    """
    share = (values - bottom) / (top - bottom)
    steps = np.floor(np.clip(share, 0.0, 1.0) * (len(BARS) - 1) + 1e-9).astype(int)
    return "".join(BARS[step] for step in steps.tolist())


def _in_parts(values: npt.NDArray[Any], characters: int) -> list[npt.NDArray[Any]]:
    """Minutes of each character."""
    return np.array_split(values, min(characters, len(values)))


def _curves(outcome: ScenarioResult) -> Iterator[str]:
    """Served fraction of each tier that falls short, with marks below, and temperatures."""
    tiers = [breach.subject for breach in outcome.verdict.breaches if breach.kind == "served"]
    total = len(next(iter(outcome.served.values())))
    required = {tier: outcome.required[tier] for tier in tiers}
    minutes = _minutes([*required.values(), *(outcome.served[tier] for tier in tiers)], total)
    labels = {tier: in_words(tier) for tier in tiers}
    wide = max((len(label) for label in (*labels.values(), *outcome.temperature_c)), default=0)
    length = max(LEAST_WIDTH, min(WIDTH, TEXT_WIDTH - AROUND - wide))
    for tier, label in labels.items():
        values = outcome.served[tier][:minutes]
        bottom = next((bottom for bottom in BOTTOMS if bottom < values.min()), 0.0)
        least = np.array([part.min() for part in _in_parts(values, length)])
        short = required[tier][:minutes] - values > TOLERANCE
        marks = "".join("^" if part.any() else " " for part in _in_parts(short, length))
        yield f"  {label:<{wide}}  {sparkline(least, bottom, 1.0)}  {bottom:g} to 1"
        yield f"  {'':<{wide}}  {marks}"
    for cluster, timeline in outcome.temperature_c.items():
        peaks = np.array([part.max() for part in _in_parts(timeline[:minutes], length)])
        low, high = float(timeline.min()), float(timeline.max())
        shown = sparkline(peaks, low, max(high, low + 1.0))
        yield f"  {cluster:<{wide}}  {shown}  {low:.0f} to {high:.0f} °C"
    if tiers or outcome.temperature_c:
        end = f"{minutes - 1} min"
        yield f"  {'':<{wide}}  0{end:>{min(length, minutes) - 1}}" + (
            "  ^ falls short" if tiers else ""
        )


def _minutes(timelines: list[Floats], total: int) -> int:
    """Minutes to show: until a while after the last visible change."""
    changes = [np.flatnonzero(np.abs(np.diff(timeline)) > VISIBLE) for timeline in timelines]
    last = max((int(found[-1]) + 1 for found in changes if len(found)), default=0)
    return min(total, max(LEAST_MINUTES, math.ceil(last * (1 + AFTERWARDS))) + 1)


def _breaches(outcome: ScenarioResult) -> Iterator[str]:
    for breach in outcome.verdict.breaches:
        text = breach_text(breach)
        if breach.kind == "served":
            first, last = round(breach.minute), round(breach.until_minute)
            least = float(outcome.served[breach.subject][first : last + 1].min())
            lowest = fractions(least, breach.required)[0]
            if lowest != fractions(breach.value, breach.required)[0]:
                text += f", least {lowest}"
            if last > first:
                text += f", until minute {last}"
            if breach.cause is not None:
                text += f"; {CAUSES[breach.cause]}"
                if breach.late_minutes:
                    text += f" by {breach.late_minutes:.0f} minutes"
        yield from _folded(text, "    ", "      ")


def _story(verdict: Verdict) -> Iterator[str]:
    ahead = [f"    {line.clock}  {f'+{line.minute:.0f} min':>9}  " for line in verdict.story]
    wide = max((len(start) for start in ahead), default=0)
    for start, line in zip(ahead, verdict.story, strict=True):
        yield from _folded(f"{start}{line.text}", "", " " * wide)
