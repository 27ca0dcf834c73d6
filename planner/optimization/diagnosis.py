"""Why there is no plan: the requirements that conflict, the limits they conflict with.

Elastic solves, in which rows may give way at a price. One may fall short of requirements and says
which cannot be met and by how much. Another may also exceed limits (power, budgets, numbers of
units, GPUs and instances): it falls short as little as possible, which is what no limit mends, and
then exceeds limits as little as possible, which says what stands in the way. Prices are relative to
the size of each row, so that megawatts, dollars and requests are comparable.
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
NEGLIGIBLE = 1e-5
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
        return f"{_shown(self.amount, self.unit)}: {_phrase(self)}"


def _phrase(relaxation: Relaxation) -> str:
    what = PHRASES[relaxation.family].format(
        subject=relaxation.subject, minute=relaxation.from_minute
    )
    return f"{what} in scenario {relaxation.scenario}" if relaxation.scenario else what


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
        Limits that would have to be raised to meet them, with by how much.
    hopeless
        Requirements that no raise of any limit meets, with what is missing even then.
    """

    shortfalls: tuple[Relaxation, ...]
    limits: tuple[Relaxation, ...]
    hopeless: tuple[Relaxation, ...] = ()

    def lines(self) -> list[str]:
        """The diagnosis in sentences."""
        text = [f"short by {relaxation}" for relaxation in self.shortfalls]
        for one in self.limits:
            now, enough = _shown(one.limit, one.unit), _shown(one.limit + one.amount, one.unit)
            text.append(f"raise by {one}, from {now} to {enough}")
        text += [f"no raise of a limit mends {_phrase(one)}" for one in self.hopeless]
        return text


def diagnose(programme: Programme, settings: SolverSettings) -> Diagnosis:
    """Explain an infeasible programme by elastic solves.

    What no limit mends is found first, and held, before the raises that mend the rest: otherwise it
    would hide them.
    """
    elastic = replace(settings, gap=ELASTIC_GAP)
    strict = build(programme.case)
    needs = _row_slacks(strict, "requirement")
    shortfalls = _relaxed(needs) if _minimise(strict, needs, elastic) is not None else ()

    roomy, limits = _beyond_limits(programme)
    missing = _row_slacks(roomy, "requirement")
    least = _minimise(roomy, missing, elastic)
    if least is None:
        return Diagnosis(shortfalls, ())
    total = lpSum(slack for slack, _ in missing)
    roomy.problem.addConstraint(total <= least + NEGLIGIBLE / 10, "hopeless")
    _minimise(roomy, limits, elastic)
    hopeless = _relaxed(missing)
    return Diagnosis(shortfalls or hopeless, _relaxed(limits), hopeless)


#: A slack with the row it loosens. It is measured in sizes of the row, so that its price is 1:
#: solvers take prices of 1e-8 a dollar for zero.
Slack = tuple[LpVariable, Row]


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


def _minimise(programme: Programme, slacks: list[Slack], settings: SolverSettings) -> float | None:
    """Use slacks as little as a plan allows; None if even that leaves none."""
    programme.problem.setObjective(lpSum(slack for slack, _ in slacks))
    stats, _ = run_solver(programme.problem, settings)
    if not stats.has_solution or stats.status == LpSolveStatus.Infeasible:
        return None
    return sum(slack.varValue or 0.0 for slack, _ in slacks)


def _relaxed(slacks: list[Slack]) -> tuple[Relaxation, ...]:
    """What slacks are used for, the largest of each requirement or limit in each scenario."""
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
