"""Why there is no plan: the requirements that conflict, the limits they conflict with.

Two elastic solves. The first may fall short of requirements at a price and says which cannot be
met and by how much. The second keeps the requirements and may exceed limits (power, budgets,
numbers of units, GPUs and instances) at a price and says which of them stand in the way. Prices are
relative to the size of each row, so that megawatts, dollars and requests are comparable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulp import LpVariable, const, lpSum
from pulp.constants import LpSolveStatus

from planner.infrastructure.entities import ForbiddenPurchases, Model
from planner.optimization.case import Case
from planner.optimization.programme import Programme, Row, build
from planner.optimization.solving import SolverSettings, run_solver

#: Relaxations below this share of a row are rounding.
NEGLIGIBLE = 1e-6
#: Gap of the elastic solves: names matter, not the last digit.
ELASTIC_GAP = 0.01

PHRASES = {
    "design_heat": "primary cooling of {subject} with its largest units lost (N+k)",
    "emergency_cover": "emergency cooling of {subject}",
    "normal_demand": "normal peak demand of {subject}",
    "served_floor": "service to {subject} from minute {minute:.0f}",
    "ride_through": "thermal ride-through of {subject} before operators react",
    "surviving_capacity_share": "share of GPUs left without {subject}",
    "least_regions": "least number of {subject} in use",
    "spare_block": "spare GPU block in {subject}",
    "power_limit": "power limit of {subject}",
    "stage_power": "surviving power of {subject} from minute {minute:.0f}",
    "emergency_budget": "emergency {subject}",
    "capital_budget": "{subject} budget",
    "most_units": "units of {subject} that may be added",
    "most_gpus": "GPUs that {subject} can hold",
    "most_instances": "instances that {subject} can supply",
}


@dataclass(frozen=True)
class Relaxation:
    """One row that has to give way.

    Parameters
    ----------
    family, subject, scenario
        What it is about; no scenario for normal operation and purchases.
    amount
        By how much, in ``unit``.
    unit
        Unit.
    limit
        The limit or requirement as it stands.
    from_minute
        Start of the stage.
    """

    family: str
    subject: str
    scenario: str
    amount: float
    unit: str
    limit: float
    from_minute: float

    def __str__(self) -> str:
        what = PHRASES[self.family].format(subject=self.subject, minute=self.from_minute)
        where = f" in scenario {self.scenario}" if self.scenario else ""
        return f"{_shown(self.amount, self.unit)}: {what}{where}"


def _shown(amount: float, unit: str) -> str:
    if unit == "USD":
        return f"{amount / 1e6:,.2f} M USD"
    return f"{amount:,.3f} {unit}" if abs(amount) < 10 else f"{amount:,.1f} {unit}"


@dataclass(frozen=True)
class Diagnosis:
    """Why there is no plan.

    Parameters
    ----------
    shortfalls
        Requirements that cannot be met within the limits, with what is missing.
    limits
        Limits that would have to be raised to meet them, with by how much; empty if none helps.
    """

    shortfalls: tuple[Relaxation, ...]
    limits: tuple[Relaxation, ...]

    def lines(self) -> list[str]:
        """The diagnosis in sentences."""
        text = [f"short by {relaxation}" for relaxation in self.shortfalls]
        for one in self.limits:
            now, enough = _shown(one.limit, one.unit), _shown(one.limit + one.amount, one.unit)
            text.append(f"raise by {one}, from {now} to {enough}")
        if not self.limits:
            text.append("no limit on purchases, power or money is in the way: raising none helps")
        return text


def diagnose(programme: Programme, settings: SolverSettings) -> Diagnosis:
    """Explain an infeasible programme by two elastic solves."""
    return Diagnosis(
        _relaxed(*_short_of_requirements(programme.case), settings),
        _relaxed(*_beyond_limits(programme), settings),
    )


#: A slack with the row it loosens. It is measured in sizes of the row, so that its price is 1:
#: solvers take prices of 1e-8 a dollar for zero.
Slack = tuple[LpVariable, Row]


def _short_of_requirements(case: Case) -> tuple[Programme, list[Slack]]:
    """The programme with priced slacks on its requirements."""
    programme = build(case)
    return programme, _row_slacks(programme, "requirement")


def _beyond_limits(programme: Programme) -> tuple[Programme, list[Slack]]:
    """The programme with priced slacks on its limits and on the bounds of its purchases."""
    case, bounded = programme.case, programme
    roomy = build(Case(_roomier(case.model), case.scenarios, case.margins))
    slacks = _row_slacks(roomy, "limit")
    model = case.model

    def loosen(variable: LpVariable, most: float | None, row: Row, step: float) -> None:
        more = roomy.problem.add_variable(f"more.{variable.name}", 0.0)
        loose = variable - (_scale(row) / step) * more
        roomy.problem.addConstraint(loose <= (most or 0.0), f"most.{variable.name}")
        slacks.append((more, row))

    for (plant, unit), variable in roomy.units.items():
        most = bounded.units[plant, unit].upBound
        row = Row("most_units", f"{plant}/{unit}", "", "limit", "units", most or 0.0)
        loosen(variable, most, row, 1.0)
    for cluster, variable in roomy.blocks.items():
        size = float(model.clusters[cluster].block_gpus)
        most = bounded.blocks[cluster].upBound
        total = model.clusters[cluster].existing_gpus + (most or 0.0) * size
        loosen(variable, most, Row("most_gpus", cluster, "", "limit", "GPUs", total), size)
    for offer, variable in roomy.instances.items():
        most = bounded.instances[offer].upBound
        row = Row("most_instances", offer, "", "limit", "instances", most or 0.0)
        loosen(variable, most, row, 1.0)
    return roomy, slacks


def _roomier(model: Model) -> Model:
    """The model with ten times the room on every purchase and nothing forbidden."""
    return model.replace(
        plants={
            name: plant.replace(max_added=10 * plant.max_added + 10)
            for name, plant in model.plants.items()
        },
        clusters={
            name: cluster.replace(max_gpus=10 * cluster.max_gpus + 10 * cluster.block_gpus)
            for name, cluster in model.clusters.items()
        },
        offers={
            name: offer.replace(
                available_gpus=10 * (offer.available_gpus + offer.gpus_per_instance)
            )
            for name, offer in model.offers.items()
        },
        policies=model.policies.replace(forbidden=ForbiddenPurchases()),
    )


def _row_slacks(programme: Programme, kind: str) -> list[Slack]:
    """Slacks on the rows of a kind, on the side that loosens them."""
    slacks = []
    for name, row in programme.rows.items():
        if row.kind == kind:
            constraint = programme.constraints[name]
            side = -1.0 if constraint.sense == const.LpConstraintLE else 1.0
            slack = programme.problem.add_column(
                f"slack.{name}", 0.0, None, coefficients={constraint: side * _scale(row)}
            )
            slacks.append((slack, row))
    return slacks


def _relaxed(
    programme: Programme, slacks: list[Slack], settings: SolverSettings
) -> tuple[Relaxation, ...]:
    """Cheapest use of slacks that leaves a plan; nothing if even that leaves none."""
    programme.problem.setObjective(lpSum(slack for slack, _ in slacks))
    stats, _ = run_solver(programme.problem, replace(settings, gap=ELASTIC_GAP))
    if not stats.has_solution or stats.status == LpSolveStatus.Infeasible:
        return ()
    found: dict[tuple[str, str, str], Relaxation] = {}
    for slack, row in slacks:
        amount = (slack.varValue or 0.0) * _scale(row)
        key = (row.scenario, row.family, row.subject)
        if amount > NEGLIGIBLE * _scale(row) and amount > _amount(found.get(key)):
            found[key] = Relaxation(
                row.family, row.subject, row.scenario, amount, row.unit, row.amount, row.from_minute
            )
    return tuple(found[key] for key in sorted(found))


def _amount(relaxation: Relaxation | None) -> float:
    return 0.0 if relaxation is None else relaxation.amount


def _scale(row: Row) -> float:
    """Size of a row that makes one relaxation comparable with another."""
    return max(row.amount, 1e6 if row.unit == "USD" else 1.0)
