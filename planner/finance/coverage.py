"""Kinds of failures that availability and losses cover, and kinds without stated rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.reliability.failure_sources import beside, sources_of

#: What the events of a source are called.
KINDS = {
    "units": "cooling units",
    "largest-units": "cooling units",
    "plant": "cooling plants",
    "feed": "power feeds",
    "sag": "voltage sags",
    "region": "regions",
    "cluster": "clusters",
    "provider": "emergency providers",
    "heat": "heat waves",
    "surge": "demand surges",
    "service": "software services",
    "supply": "emergency supply",
}


@dataclass(frozen=True)
class Coverage:
    """What counts towards availability and loss, and what does not.

    Parameters
    ----------
    covered
        Kinds of failures that are sampled.
    left_out
        Kinds that are not sampled, because the model states no rates for them.
    """

    covered: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Both in words."""
        told = f"Covers failures of {', '.join(self.covered)}" if self.covered else "Covers nothing"
        if self.left_out:
            told += f"; not of {' and '.join(self.left_out)}, for which the model states no rates"
        return told + "."


def coverage(model: Model, scenarios: Sequence[Scenario]) -> Coverage:
    """What the failures sampled for a selection of scenarios cover."""
    changes = {
        scenario.name for scenario in beside(model, ()) if scenario.name.startswith("change-")
    }
    found: dict[str, None] = {}
    failing = set[str]()
    for source in sources_of(model, scenarios):
        if not source.rate.times_per_year or source.scenario.name in changes:
            continue
        for event in source.scenario.events:
            found[KINDS[event.kind]] = None
            if event.kind == "service":
                failing.add(event.name)
    missing = [name for name in model.services if name not in failing]
    covered = [kind for kind in found if kind != KINDS["service"]]
    if failing:
        share = f" ({len(failing)} of {len(model.services)})" if missing else ""
        covered.append(KINDS["service"] + share)
    failed = [name for name, kind in model.operations.changes.items() if kind.failures_per_year]
    covered += [f"what people change ({', '.join(failed)})"] if failed else []
    left = [] if failing else [KINDS["service"]]
    left += [] if failed else ["deployments and operators"]
    return Coverage(tuple(covered), tuple(left))
