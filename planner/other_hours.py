"""Failures at the hours of the week that are not planned for: plans are simulated there too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import batched, islice

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.scenarios.hours import failure_and_hour
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge

#: Most failures at hours left out that are simulated on a plan; with more of them none is.
MOST_LEFT_OUT = 10_000
#: Failures that are simulated before it is asked again whether time is over.
AT_ONCE = 200
NOT_SIMULATED = "not simulated at the hours that are not planned for: there are too many"


def at_other_hours(
    selection: Selection | None,
    model: Model,
    fleet: Fleet,
    progress: Callable[[str], None] = lambda _: None,
    over: Callable[[], bool] = lambda: False,
) -> tuple[int | None, tuple[Verdict, ...]]:
    """Simulate a fleet at the hours that a selection leaves out; without one at none.

    Parameters
    ----------
    over
        Whether to stop: then some are left.

    Returns
    -------
    int or None
        Number of failures simulated; None if there are too many.
    tuple of Verdict
        Outcomes of those that it does not survive.
    """
    if selection is None:
        return 0, ()
    scenarios = tuple(islice(selection.left_out(model), MOST_LEFT_OUT + 1))
    if len(scenarios) > MOST_LEFT_OUT:
        return None, ()
    if not scenarios:
        return 0, ()
    progress(f"simulating {len(scenarios):,} failures at other hours")
    verdicts: list[Verdict] = []
    for part in batched(scenarios, AT_ONCE):
        if over():
            break
        verdicts += judge(model, fleet, part, stories=False)
    beyond = tuple(verdict for verdict in verdicts if verdict.fails)
    if selection.days > 1 and beyond and not over():
        progress("simulating the hottest days")
        beyond = _on_days(selection, model, fleet, beyond)
    return len(verdicts), beyond


def _on_days(
    selection: Selection, model: Model, fleet: Fleet, beyond: Sequence[Verdict]
) -> tuple[Verdict, ...]:
    """Failures on a day of the year, of those that fail on the hottest of all days.

    Of each failure the hour that loses most is looked at first, and others until one fails.
    """
    by_failure: dict[str, list[Verdict]] = {}
    for verdict in sorted(beyond, key=lambda verdict: verdict.lost_requests):
        by_failure.setdefault(failure_and_hour(verdict.name)[0], []).append(verdict)
    failed: list[Verdict] = []
    while by_failure:
        worst = [verdicts.pop() for verdicts in by_failure.values()]
        days = [one for verdict in worst for one in selection.on_days(model, verdict.name)]
        verdicts = judge(model, fleet, tuple(days), stories=False)
        failed += [verdict for verdict in verdicts if verdict.fails]
        done = {failure_and_hour(verdict.name)[0] for verdict in failed}
        by_failure = {name: left for name, left in by_failure.items() if left and name not in done}
    return tuple(failed)


def joined(selection: Selection, model: Model, beyond: Sequence[Verdict]) -> Selection:
    """A selection with each failure at the hour at which it loses most."""
    worst: dict[str, Verdict] = {}
    for verdict in sorted(beyond, key=lambda verdict: -verdict.lost_requests):
        worst.setdefault(failure_and_hour(verdict.name)[0], verdict)
    return selection.besides(model, [verdict.name for verdict in worst.values()])
