"""Plans reopened with the model that they were made for, its settings, scenarios and programme.

Every command and function that takes an existing plan opens it here, so that all of them use the
same model and scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.errors import InputError, collected
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.source import is_file, printable
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit_purchases import broken_rules
from planner.plan.claims import false_claims
from planner.plan.consistency import contradictions, refuse_changed, refuse_contradictions
from planner.plan.files import check_fit, file_of, is_for, stated_plan
from planner.plan.records import Plan, RoundRecord, SelectionRecord
from planner.scenarios.standard import weaker
from planner.selection import Wanted, select

#: Settings longer than this are named without their value.
LONGEST_SETTING = 60
#: What to do on the command line where the model of a plan is not found.
REMEDY = "give its file as MODEL"

Reference = str | Path | LoadedModel


class UnknownModelError(InputError):
    """Nothing says where the model of a plan is."""


@dataclass(frozen=True)
class Reopened:
    """A plan with its model.

    Parameters
    ----------
    plan
        As it was written.
    loaded
        Its model, changed as it was when the plan was made, and as asked for now.
    fresh
        Whether that is exactly the model that the plan was made for.
    notes
        How plan and model differ, for the output.
    other_standard
        Whether the verdicts of the plan are by a standard of its own, and not by that of the model.
    """

    plan: Plan
    loaded: LoadedModel
    fresh: bool
    notes: tuple[str, ...] = ()
    other_standard: bool = False

    @property
    def fleet(self) -> Fleet:
        """Capacities that the plan leads to."""
        return self.plan.fleet(self.loaded.model)

    @property
    def wanted(self) -> Wanted | None:
        """Which scenarios the plan is for; None means those of the model."""
        return wanted_by(self.plan)


@dataclass(frozen=True)
class Subject:
    """A model with what is simulated or drawn in it: what exists, or what a plan leads to.

    Parameters
    ----------
    opened
        The plan; None for what exists.
    """

    loaded: LoadedModel
    opened: Reopened | None = None

    @property
    def fleet(self) -> Fleet:
        """Capacities of the plan, or those that exist."""
        return Fleet.existing(self.loaded.model) if self.opened is None else self.opened.fleet

    @property
    def wanted(self) -> Wanted | None:
        """Which scenarios the plan is for; None for those of the model."""
        return None if self.opened is None else self.opened.wanted

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever reads the results has to know about plan and model."""
        return () if self.opened is None else self.opened.notes


def subject(
    model: Reference | None,
    plan: str | Path | Plan | None = None,
    overrides: tuple[str, ...] = (),
    remedy: str = REMEDY,
) -> Subject:
    """Load a model, or reopen a plan with its model.

    Parameters
    ----------
    model
        File, shipped name or loaded model; None for the model of the plan.
    plan
        Plan, its file or its folder; None for what exists.
    overrides, remedy
        As for `reopen`.

    Raises
    ------
    InputError
        If neither is given, one of them is wrong, or they do not fit.
    """
    if plan is not None:
        opened = reopen(plan, model, overrides, remedy=remedy)
        return Subject(opened.loaded, opened)
    if model is None:
        raise InputError.single("simulate", "needs a model or a plan")
    return Subject(model if isinstance(model, LoadedModel) else load_model(model, overrides))


def reopen(
    source: str | Path | Plan,
    model: Reference | None = None,
    overrides: tuple[str, ...] = (),
    among: Iterable[str | Path] = (),
    remedy: str = REMEDY,
    shown: str = "the plan",
    lenient: bool = False,
    judged: bool = False,
) -> Reopened:
    """Read a plan with the model that it was made for.

    The model is the one given. Without it, candidates are the files in `among`, the place that the
    plan states, and the shipped model of that name: the first with the checksum of the plan's
    model is taken, or else the first that can be read. The settings that the plan was made with
    apply first, then `overrides`. A model that extends the plan's model is applied on top of that
    model with the plan's settings.

    Parameters
    ----------
    source
        Plan, its file or its folder.
    model
        File, shipped name, or a model that is loaded, whose own settings count as `overrides`.
    remedy
        What to do where no model is found.
    shown
        What notes call the plan; problems name its file.
    lenient
        Whether what the plan states is left to whoever asks: nothing of it need be so, or fit.
    judged
        Whether the plan is judged: by the standard of the model, never by one that it brings.

    Raises
    ------
    UnknownModelError
        If no model is found.
    InputError
        With everything that is wrong with plan and model, does not fit, or is claimed of a model
        that has not changed since and is not so.
    """
    plan, place = _read(source, model)
    own = (*_own_settings(plan, model), *overrides)
    loaded = _model_for(plan, model, among, f"{_reason_not_found(plan)}; {remedy}", place)
    same = plan.model.sha256 == loaded.sha256
    notes = _notes(plan, loaded, shown, own)
    if own and loaded.file is not None:
        loaded = _load(loaded.file, plan, own)
    fresh = same and not own
    if lenient:
        return Reopened(plan, loaded, fresh, notes)
    check_fit(plan, loaded, place)
    if not isinstance(source, Plan):
        refuse_contradictions(contradictions(plan), place)
    if fresh:
        told = false_claims(plan, loaded.model, wanted_by(plan))
        refuse_contradictions(told, place, "contradicts its model")
    if not isinstance(source, Plan):
        notes += refuse_changed(Path(place))
    notes += _broken(plan, loaded, shown)
    if judged and loaded.file is not None and _standard_of(plan):
        made, loaded = loaded, _load(loaded.file, _without_standard(plan), own)
        notes += _other_standard(plan, made, loaded, shown)
        return Reopened(plan, loaded, False, notes, other_standard=True)
    return Reopened(plan, loaded, fresh, notes)


def _model_for(
    plan: Plan, model: Reference | None, among: Iterable[str | Path], missing: str, place: str
) -> LoadedModel:
    """The model given, or else the first that is the plan's, with the plan's settings."""
    file: str | Path | None = model.file if isinstance(model, LoadedModel) else model
    if isinstance(model, LoadedModel) and (file is None or model.sha256 == plan.model.sha256):
        return model
    candidates = _candidates(plan, among) if file is None else [file]
    if not candidates:
        raise UnknownModelError.single(place, missing)
    return _made_with(plan, candidates)


def _standard_of(plan: Plan) -> tuple[str, ...]:
    """Settings of the survival standard that a plan was made with."""
    return tuple(one for one in plan.model.overrides if re.match(r"standard\b", one))


def _without_standard(plan: Plan) -> Plan:
    theirs = _standard_of(plan)
    kept = tuple(setting for setting in plan.model.overrides if setting not in theirs)
    return plan.model_copy(update={"model": plan.model.model_copy(update={"overrides": kept})})


def _other_standard(
    plan: Plan, made: LoadedModel, loaded: LoadedModel, shown: str
) -> tuple[str, ...]:
    """A note on the standard that a plan was made with, where it is judged by another."""
    less = tuple(weaker(made.model, loaded.model))
    more = f" and {len(less) - 1} more" if len(less) > 1 else ""
    which = f", which is weaker ({less[0]}{more})" if less else ""
    text = settings_text(_standard_of(plan))
    return (f"judged by the standard of {loaded.name}, not by that of {shown}, {text}{which}",)


def _broken(plan: Plan, loaded: LoadedModel, shown: str) -> tuple[str, ...]:
    """A note on the rules on purchases that a plan breaks; none where it keeps all."""
    broken = broken_rules(loaded.model, plan.fleet(loaded.model))
    if not broken:
        return ()
    more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
    return (printable(f"{shown} breaks rules on purchases of {loaded.name}: {broken[0]}{more}"),)


def _read(source: str | Path | Plan, model: Reference | None) -> tuple[Plan, str]:
    """A plan and what it is called; problems of plan and model are raised together."""
    if isinstance(source, Plan):
        return source, "plan"
    path = file_of(Path(source))
    try:
        return stated_plan(path), str(path)
    except InputError as error:
        problems = list(error.problems)
        with collected(problems):
            if model is not None and not isinstance(model, LoadedModel):
                load_model(model)
        raise InputError(problems) from error


def _own_settings(plan: Plan, model: Reference | None) -> tuple[str, ...]:
    """Settings of a loaded model that the plan was not made with."""
    if not isinstance(model, LoadedModel):
        return ()
    made = plan.model.overrides
    return model.overrides[len(made) :] if model.overrides[: len(made)] == made else model.overrides


def _candidates(plan: Plan, among: Iterable[str | Path]) -> list[str | Path]:
    """Where the model of a plan may be: `among`, the place it states, the shipped models."""
    name, path = plan.model.name, plan.model.path
    found = list(among)
    if path is not None and is_file(Path(path)):
        found.append(path)
    elif name in shipped_models() and path in (None, name):
        found.append(name)
    return found


def _reason_not_found(plan: Plan) -> str:
    """Why the model of a plan was not found."""
    name, path = printable(plan.model.name), plan.model.path
    if path is None or path in shipped_models():
        return f"the plan is for `{name}`, which is not a shipped model"
    return f"the plan is for `{name}`, and the file {printable(path)} no longer exists"


def _made_with(plan: Plan, candidates: Iterable[str | Path]) -> LoadedModel:
    """The model that a plan was made with, or else the first that can be read."""
    readable: list[LoadedModel] = []
    problem: InputError | None = None
    for candidate in candidates:
        try:
            readable.append(_load(candidate, plan, ()))
        except InputError as error:
            problem = problem or error
    if not readable:
        assert problem is not None
        raise problem
    return next((loaded for loaded in readable if loaded.sha256 == plan.model.sha256), readable[0])


def _load(file: str | Path, plan: Plan, overrides: tuple[str, ...]) -> LoadedModel:
    """A model with the settings of a plan and then others; bare if the plan is not for it."""
    try:
        return load_model(file, overrides, (plan.model.name, plan.model.overrides))
    except InputError as error:
        # Settings for another model would only add to what is wrong.
        try:
            bare = load_model(file)
        except InputError:
            raise error from None
        if is_for(plan, bare):
            raise
        return bare


def _notes(plan: Plan, loaded: LoadedModel, shown: str, own: tuple[str, ...]) -> tuple[str, ...]:
    """How the model differs from that of the plan, and which settings came with the plan."""
    name, notes = plan.model.name, []
    same = plan.model.sha256 == loaded.sha256
    if same and loaded.name != name:
        notes.append(f"{loaded.name} was called {name} when {shown} was made")
    elif not same and loaded.name == name:
        notes.append(f"{loaded.name} has changed since {shown} was made")
    elif not same:
        notes.append(f"{shown} was made for {name}, which {loaded.name} extends and changes")
    notes += made_with(plan, shown)
    if own:
        over = ", over what it was made with" if plan.model.overrides else ""
        text = settings_text(own)
        notes.append(f"{loaded.name} has changed since {shown} was made, by {text}{over}")
    return tuple(printable(note) for note in notes)


def made_with(plan: Plan, shown: str = "the plan") -> tuple[str, ...]:
    """A note on the settings that a plan was made with; none without settings."""
    if not plan.model.overrides:
        return ()
    return (
        printable(f"{shown} was made with {settings_text(plan.model.overrides)}; applied here too"),
    )


def settings_text(overrides: Iterable[str]) -> str:
    """Changes of a model as a command takes them; long values are left out."""
    return " ".join(
        f"--set {setting if len(setting) <= LONGEST_SETTING else setting.partition('=')[0] + '=…'}"
        for setting in overrides
    )


def recorded(plan: Plan, wanted: Wanted) -> Plan:
    """Record in a plan which scenarios it is for, where these are not those of the model."""
    if wanted == Wanted():
        return plan
    record = SelectionRecord(**vars(wanted))
    return plan.model_copy(update={"model": plan.model.model_copy(update={"scenarios": record})})


def wanted_by(plan: Plan) -> Wanted | None:
    """Which scenarios a plan is for; None means those of the model."""
    record = plan.model.scenarios
    return None if record is None else Wanted(**record.model_dump())


def planned_scenarios(plan: Plan, model: Model) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    """Scenarios of a plan as a model has them today, and notes on those that changed."""
    planned_for = {line.name for line in plan.scenarios}
    found, new = select(model, wanted_by(plan)).scenarios, new_scenarios(plan, model)
    gone, notes = planned_for - {scenario.name for scenario in found}, []
    changes = (("no longer there", gone), ("new and left out", new))
    for text, names in changes:
        if names:
            shown = printable(", ".join(sorted(names)[:3])) + (", …" if len(names) > 3 else "")
            are = "scenario is" if len(names) == 1 else "scenarios are"
            notes.append(f"{len(names)} {are} {text}: {shown}")
    return tuple(scenario for scenario in found if scenario.name in planned_for), tuple(notes)


def new_scenarios(plan: Plan, model: Model) -> frozenset[str]:
    """Scenarios in a plan's selection that its model has gained since."""
    planned_for = {line.name for line in plan.scenarios}
    found = select(model, wanted_by(plan)).scenarios
    return frozenset(scenario.name for scenario in found) - planned_for


def problem_data_of(
    plan: Plan, model: Model, scenarios: Sequence[Scenario], record: RoundRecord | None = None
) -> ProblemData:
    """The problem that a plan is an optimum of, or that of another of its rounds.

    It waives what that round waived.
    """
    record = record or plan.made_in
    if record is None:
        return ProblemData(model, tuple(scenarios))
    names = {scenario.name for scenario in scenarios}
    waived = {key: most for key, most in record.waived_by_row.items() if key[2] in names}
    return ProblemData(model, tuple(scenarios), waived)
