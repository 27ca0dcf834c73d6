"""Variables of a programme, in groups: each says which functions create them and who reads them."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.optimization.formulation.algebra import Variable
from planner.optimization.formulation.availability import Availability

#: Zone and tier; cluster and plant; plant and unit type; group label and target.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Purchases:
    """Decisions taken here and now, all of them whole numbers.

    Created by `purchases.add_variables` and `measures.add_variables`; read by every family and,
    under one name each, by `solution.decisions`.

    Attributes
    ----------
    units, blocks, instances
        Cooling units by (plant, unit type), GPU blocks by cluster, instances by offer.
    retired, retired_blocks
        Existing cooling units and GPU blocks that go, like ``units`` and ``blocks``, where the
        model lets them.
    opened
        Binary by candidate region.
    measures
        Binary by measure.
    """

    units: dict[Pair, Variable] = field(default_factory=dict)
    blocks: dict[str, Variable] = field(default_factory=dict)
    instances: dict[str, Variable] = field(default_factory=dict)
    retired: dict[Pair, Variable] = field(default_factory=dict)
    retired_blocks: dict[str, Variable] = field(default_factory=dict)
    opened: dict[str, Variable] = field(default_factory=dict)
    measures: dict[str, Variable] = field(default_factory=dict)


@dataclass(frozen=True)
class NormalVariables:
    """What follows from purchases, and normal operation beyond its flows.

    Attributes
    ----------
    holding
        Binary by region that may be empty: it holds GPUs. Created by `purchases.regions_in_use`
        where a policy asks; read by `Programme.in_use`.
    stands
        Binary by cluster that may be empty: it holds GPUs. Created and read by `routing`.
    design
        Design heat in MW by (cluster, primary plant). Created by `purchases.design_heat`, read by
        `purchases.power_limit`.
    apart
        Requests per second of crowds by region. Created by `recourse.crowds_apart`, where crowds
        are too many to put together; read by `recourse.spare_block`.
    load
        Mean heat in MW by (plant, running unit type). Created by `objective.normal_cooling`; read
        by the objective and by `solution.costs`.
    """

    holding: dict[str, Variable] = field(default_factory=dict)
    stands: dict[str, Variable] = field(default_factory=dict)
    design: dict[Pair, Variable] = field(default_factory=dict)
    apart: dict[str, list[Variable]] = field(default_factory=dict)
    load: dict[Pair, Variable] = field(default_factory=dict)


@dataclass(frozen=True)
class StageVariables:
    """Recourse of one stage, or of normal operation in the mean of the week.

    Created by `recourse.add_variables`, but for ``carried`` of normal operation, which
    `objective.normal_cooling` creates; read by all families of stages and by
    `solution.stage_values`.

    Attributes
    ----------
    flow
        Requests per second by (group label, target); ``flows_to`` by target and ``flows_from`` by
        group label are the same variables.
    served
        Requests per second by (zone, tier).
    active
        Powered GPUs by cluster, where some may be off.
    carried
        Heat in MW by (cluster, plant), where it has to be followed.
    used
        Emergency GPUs in use by offer.
    pooled
        Flows by region where its clusters are not told apart (`recourse._halls`), and the loads of
        these, which are then their ``flows_to``.
    """

    flow: dict[Pair, Variable] = field(default_factory=dict)
    flows_to: dict[str, list[Variable]] = field(default_factory=dict)
    flows_from: dict[str, list[Variable]] = field(default_factory=dict)
    served: dict[Pair, Variable] = field(default_factory=dict)
    active: dict[str, Variable] = field(default_factory=dict)
    carried: dict[Pair, Variable] = field(default_factory=dict)
    used: dict[str, Variable] = field(default_factory=dict)
    pooled: dict[str, tuple[list[Variable], list[Variable]]] = field(default_factory=dict)


#: Nodes that have failed, sags, a node, and whether want of power counts.
NodeKey = tuple[frozenset[str], frozenset[frozenset[str]], str, bool]


@dataclass(frozen=True)
class AvailabilityVariables:
    """What is up as measures are bought. Created and read by `measures` alone.

    Attributes
    ----------
    reacting
        Whether a combination of the measures that change the reaction is the one bought, by its
        number; empty where there is one only. `Programme.when` reads it too.
    nodes
        Whether a node is up; None while it is being worked out.
    any_of
        Whether one of some expressions is 1, by their texts.
    down
        Nodes that are down, by the dependencies (their id) and what has failed.
    """

    reacting: dict[int, Variable] = field(default_factory=dict)
    nodes: dict[NodeKey, Availability | None] = field(default_factory=dict)
    any_of: dict[tuple[str, ...], Availability] = field(default_factory=dict)
    down: dict[tuple[int, frozenset[str]], frozenset[str]] = field(default_factory=dict)


@dataclass
class RiskVariables:
    """Costs in M USD that a risk measure needs. Created and read by `risk` alone.

    Attributes
    ----------
    once
        Cost of one occurrence, by scenario.
    quantile, beyond
        Value at risk, and the cost beyond it by scenario; for CVaR only.
    worst
        Cost of the costliest scenario; for the worst case only.
    """

    once: dict[str, Variable] = field(default_factory=dict)
    quantile: Variable | None = None
    beyond: dict[str, Variable] = field(default_factory=dict)
    worst: Variable | None = None
