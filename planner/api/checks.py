"""Checks of a plan against thresholds; replays and calibration of recorded incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from planner.analysis.reassessment import plan_to_judge
from planner.api.models import ModelReference, Text, settings, texts
from planner.api.notebook import Shown, frame, table
from planner.api.references import REMEDY, PlanReference, model_of, plan_source
from planner.api.roadmaps import OrderPlan
from planner.errors import InputError
from planner.plan.metrics import METRICS
from planner.plan.records import Plan
from planner.plan.thresholds import RuleResult, judge_rules, read_rules
from planner.replay.calibration import Calibration, calibrate
from planner.replay.comparison import Replay, replay
from planner.replay.loading import load_incident
from planner.reporting.calibration import calibration_data
from planner.reporting.replay import replay_data
from planner.roadmap.files import is_roadmap, parse_roadmap
from planner.roadmap.metrics import ROADMAP_METRICS
from planner.roadmap.records import Roadmap


@dataclass(frozen=True, repr=False)
class PlanCheck(Shown):
    """What thresholds make of a plan.

    Attributes
    ----------
    plan
        The plan, or roadmap, as it was judged.
    results
        Every rule with its figure, and whether the plan fails it.
    """

    plan: Plan | Roadmap
    results: tuple[RuleResult, ...]

    @property
    def passes(self) -> bool:
        """Whether no rule fails."""
        return not any(result.failed for result in self.results)

    @property
    def failed(self) -> tuple[str, ...]:
        """Why the plan fails, one sentence for each rule that does."""
        return tuple(result.reason for result in self.results if result.failed)

    def to_frame(self) -> pd.DataFrame:
        """Rules with the figure of the plan, the limit, and whether the plan fails."""
        rows = [
            {
                "rule": result.rule.text,
                "value": result.value,
                "limit": result.rule.limit,
                "unit": result.rule.metric.unit,
                "failed": result.failed,
            }
            for result in self.results
        ]
        return table(rows, "rule")

    def _title(self) -> str:
        return f"check of the plan for {self.plan.model.name}"

    def _facts(self) -> list[str]:
        held = sum(not result.failed for result in self.results)
        return [f"{held} of {len(self.results)} rules hold", *self.failed]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Rules": self.to_frame()}


def check(
    plan: PlanReference | OrderPlan | Roadmap,
    rules: Text = (),
    *,
    policies: Iterable[str | Path] = (),
    model: ModelReference | None = None,
    simulate: bool = False,
) -> PlanCheck:
    """Check a plan against thresholds on cost and survivability.

    Parameters
    ----------
    plan
        As for `simulate`, or a roadmap, which is checked as it is stated.
    rules
        When the plan fails, such as ``"capital > 900M"`` or ``"survives < 1.0"``.
    policies
        Files of rules with names and messages.
    model
        Model that the plan must fit, and by whose standard it is judged; None for its own, where
        that is found.
    simulate
        Whether to simulate every scenario and price the purchases again instead of trusting the
        plan.

    Raises
    ------
    InputError
        If the plan, the model or a rule is wrong, or there is no rule.
    """
    roadmap = plan.roadmap if isinstance(plan, OrderPlan) else plan
    if isinstance(roadmap, str | Path) and is_roadmap(Path(roadmap)):
        roadmap = parse_roadmap(Path(roadmap))
    metrics = ROADMAP_METRICS if isinstance(roadmap, Roadmap) else METRICS
    read = read_rules(texts(rules), [Path(path) for path in policies], metrics)
    if not read:
        raise InputError.single("rules", 'expected a rule such as "capital > 900M"')
    if isinstance(roadmap, Roadmap):
        if simulate or model is not None:
            raise InputError.single("plan", "a roadmap is checked without `model` and `simulate`")
        return PlanCheck(roadmap, judge_rules(roadmap, read))
    found = model_of(roadmap, model)
    judged, _ = plan_to_judge(plan_source(roadmap), found, simulate=simulate, remedy=REMEDY)
    return PlanCheck(judged, judge_rules(judged, read))


@dataclass(frozen=True, repr=False)
class IncidentReplay(Shown):
    """A recorded incident, simulated, and compared with its record.

    Attributes
    ----------
    replay
        Everything that was worked out.
    """

    replay: Replay

    milestones = frame(
        "What was observed and simulated at every recorded milestone.",
        lambda self: table(replay_data(self.replay)["milestones"]),
    )

    def _title(self) -> str:
        return f"replay of {self.replay.name}"

    def _facts(self) -> list[str]:
        return [f"{count} {name}" for name, count in self.replay.counts().items()]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Milestones": self.milestones}


def replay_incident(
    incident: str | Path = "chatgpt-2023", overrides: Mapping[str, object] | Iterable[str] = ()
) -> IncidentReplay:
    """Simulate a recorded incident and compare it with what was observed.

    Parameters
    ----------
    incident
        Name of a shipped incident, an incident file, or a folder with an ``incident.yaml``.
    overrides
        Changes of its model, as for `load_model`.

    Raises
    ------
    InputError
        With everything that is wrong with the incident or its model.
    """
    return IncidentReplay(replay(load_incident(incident, settings(overrides))))


@dataclass(frozen=True, repr=False)
class IncidentCalibration(Shown):
    """What was fitted to a recorded incident.

    Attributes
    ----------
    calibration
        Everything that was worked out.
    """

    calibration: Calibration

    fitted_values = frame(
        "Declared values before and after, with their ranges.",
        lambda self: table(calibration_data(self.calibration)["values"]),
    )
    residuals = frame(
        "Milestones fitted to, simulated before and after.",
        lambda self: table(calibration_data(self.calibration)["milestones"]),
    )

    def _title(self) -> str:
        return f"calibration of {self.calibration.after.name}"

    def _facts(self) -> list[str]:
        before, after = self.calibration.root_mean_square
        return [f"root mean square {before:.2f} to {after:.2f}", *self.calibration.warnings]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Fitted values": self.fitted_values, "Residuals": self.residuals}


def calibrate_incident(
    incident: str | Path, overrides: Mapping[str, object] | Iterable[str] = ()
) -> IncidentCalibration:
    """Fit what an incident declares as calibrated, and nothing else.

    Parameters
    ----------
    incident
        As for `replay_incident`.
    overrides
        Changes of its model, as for `load_model`.

    Raises
    ------
    InputError
        With everything that is wrong with the incident or its model, or if it declares nothing.
    """
    return IncidentCalibration(calibrate(load_incident(incident, settings(overrides))))
