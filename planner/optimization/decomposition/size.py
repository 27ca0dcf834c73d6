"""How large a programme is going to be, before its scenarios are laid out.

A few scenarios are cut into stages, and the others taken to be like them. A stage has a column for
each group of customers and each target in its reach (in parts, where clusters of a region are not
told apart, each region); all else is little beside them. What a column takes in parts was measured
at 128, 400 and 1,000 scenarios of hyperscaler-12 and on synthetic models of 30 regions (31 to 42
bytes); where scenarios are templates of their own, and in one programme, on models of 30 and 60.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.errors import PlannerError
from planner.memory import available_bytes
from planner.optimization.decomposition.alike import share_templates
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.settings import SolverSettings
from planner.scenarios.hours import AT

#: Scenarios that are laid out, evenly spread over all.
SAMPLE = 24
#: Programmes are not estimated below so many flows of one stage for each scenario.
SMALL = 100_000
#: Bytes and seconds of processor time for a column of one programme, of one in parts whose
#: scenarios are templates of their own, and of one in parts that share templates.
WHOLE, OWN, SHARED = (3000.0, 3e-4), (400.0, 3e-5), (60.0, 4e-6)
GIB = 2.0**30


class TooLarge(PlannerError):  # noqa: N818
    """A programme that will not fit into the memory there is."""


@dataclass(frozen=True)
class Size:
    """An estimate of a programme.

    Parameters
    ----------
    scenarios
        All scenarios.
    stages, columns, rows
        Of those that can bind.
    in_parts
        Whether it is solved by decomposition.
    shared
        Whether scenarios share templates then.
    """

    scenarios: int
    stages: int
    columns: int
    rows: int
    in_parts: bool
    shared: bool = True

    @property
    def _by_column(self) -> tuple[float, float]:
        if not self.in_parts:
            return WHOLE
        return SHARED if self.shared else OWN

    @property
    def memory_bytes(self) -> float:
        """Memory that it takes at its peak."""
        return self.columns * self._by_column[0]

    @property
    def seconds(self) -> float:
        """Processor time, to an order of magnitude."""
        return self.columns * self._by_column[1]

    def __str__(self) -> str:
        minutes = max(1, round(self.seconds / 60))
        return (
            f"{self.scenarios:,} scenarios in about {self.stages:,} stages, {self.columns:,} "
            f"columns and {self.rows:,} rows: some {self.memory_bytes / GIB:,.1f} GiB and "
            f"{minutes:,} min of processor time"
        )


def estimated(data: ProblemData, in_parts: bool) -> Size | None:
    """Estimate of a programme; None where it is too small to matter."""
    places = {name: cluster.region for name, cluster in data.model.clusters.items()}
    reaches = [
        {places[name] for name in group.clusters} if in_parts else group.clusters
        for group in data.groups
    ]
    flows = sum(map(len, reaches)) + sum(len(group.offers) for group in data.groups)
    count = len(data.scenarios)
    if count * flows < SMALL:
        return None
    step = -(-count // SAMPLE)
    sample = data.scenarios[step // 2 :: step]
    stages = round(count * sum(len(data.stages_of(one)) for one in sample) / len(sample))
    model = data.model
    served = len(model.zones) * len(model.tiers)
    rows = len(data.groups) + len(model.clusters) + len(model.offers) + len(model.tiers)
    columns, shared = stages * (flows + served), share_templates(data)
    return Size(count, stages, columns, stages * rows, in_parts, shared)


def check_fits(data: ProblemData, settings: SolverSettings) -> Size | None:
    """Estimate a programme that fits into the memory there is.

    Raises
    ------
    TooLarge
        If it does not, with what to do.
    """
    can_be_in_parts = settings.name == "highs"
    size = estimated(data, can_be_in_parts and settings.method != "extensive")
    available = available_bytes()
    if size is None or size.memory_bytes <= available:
        return size
    parts = estimated(data, in_parts=True)
    if can_be_in_parts and parts is not None and parts.memory_bytes <= available:
        advice = f"`--method decomposed` needs some {parts.memory_bytes / GIB:,.1f} GiB"
    else:
        fit = int(size.scenarios * available / size.memory_bytes)
        hours = "`--hours peak`, " if any(AT in one.name for one in data.scenarios) else ""
        advice = (
            f"about {fit:,} of these scenarios would fit: ask for fewer with {hours}`--only`, "
            "`--severity`, `--least-per-year` or fewer generators in the model"
        )
    raise TooLarge(f"this will not fit into {available / GIB:,.1f} GiB of memory: {size}; {advice}")
