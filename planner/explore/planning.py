"""Plans worked out in the background: the newest request counts, an older one is told to stop."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path

from planner.analysis.comparison import ComparedPlan, Comparison, compare
from planner.errors import InputError, PlannerError
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.solution.settings import SolverSettings
from planner.plan.records import Plan
from planner.plan.reopening import planned_scenarios, recorded, reopen
from planner.reporting.html.timelines import Played, play
from planner.rounds import LoopResult, Round
from planner.selection import Wanted, select
from planner.verification import optimize_and_verify

#: Answers that are kept, for a control that is moved back.
MOST_KNOWN = 64
#: Seconds that a request waits for a newer one, as while a slider moves.
SETTLING_SECONDS = 0.15


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a request.

    Parameters
    ----------
    settings
        Settings of the model that were asked for.
    plan, loaded, scenarios
        The plan with its model and scenarios; None and none where there is no plan.
    problems
        Why there is none, line by line.
    final
        Whether nothing is worked on any more: otherwise a cheaper plan, or one that survives more,
        may follow.
    """

    settings: tuple[str, ...]
    plan: Plan | None = None
    loaded: LoadedModel | None = None
    scenarios: tuple[Scenario, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0
    final: bool = True

    def against(self, baseline: Answer) -> Comparison | None:
        """Compared with another; None where one of them has no plan."""
        if self.plan is None or baseline.plan is None:
            return None
        a, b = (
            ComparedPlan(label, "plan", one.plan, one.loaded)
            for label, one in (("baseline", baseline), ("this plan", self))
            if one.plan is not None
        )
        return compare(a, b)

    def played(self, name: str) -> Played | None:
        """One of its scenarios simulated; None if it has none of that name."""
        chosen = tuple(scenario for scenario in self.scenarios if scenario.name == name)
        if self.plan is None or self.loaded is None or not chosen:
            return None
        model = self.loaded.model
        return next(play(model, self.plan.fleet(model), chosen))


def reopened(source: Path) -> tuple[Answer, tuple[str, ...]]:
    """A plan of a file or folder as an answer, with the notes on it.

    Raises
    ------
    InputError
        If the plan or its model cannot be read, or they do not fit.
    """
    opened = reopen(source)
    scenarios, _ = planned_scenarios(opened.plan, opened.loaded.model)
    plan, loaded = opened.plan, opened.loaded
    return Answer(plan.model.overrides, plan, loaded, scenarios), opened.notes


class Planning:
    """A thread that plans for the newest request.

    Attributes
    ----------
    answer
        The newest; None before the first.
    progress
        What is worked on; empty while nothing is.
    """

    def __init__(self, model: str | Path, wanted: Wanted | None, settings: SolverSettings) -> None:
        self.answer: Answer | None = None
        self.progress = ""
        self._model, self._wanted, self._settings = model, wanted, settings
        self._known: dict[tuple[str, ...], Answer] = {}
        self._asked: tuple[str, ...] | None = None
        self._changed, self._stop = threading.Condition(), threading.Event()
        self._fleet: Fleet | None = None
        # It shares its work among the workers, and reads models, as whoever asks does.
        work = copy_context().run
        threading.Thread(target=work, args=(self._work,), name="planning", daemon=True).start()

    def ask(self, settings: tuple[str, ...]) -> None:
        """Plan for a model with these settings, instead of what is worked on."""
        with self._changed:
            self._asked = settings
            self._stop.set()
            self._changed.notify()

    def know(self, answer: Answer) -> None:
        """Take an answer that is there already, so that nothing is planned for its settings."""
        self._known[answer.settings] = answer

    def stop(self) -> None:
        """End what is worked on; nothing comes of it."""
        self._stop.set()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked is not None)
                settings, self._asked = self._asked or (), None
                stop = self._stop = threading.Event()
            answer = self._known.get(settings)
            if answer is None and not stop.wait(SETTLING_SECONDS):
                answer = self._planned(settings, stop)
            if answer is None or stop.is_set():
                continue
            self._known[settings] = answer
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
            if answer.plan is not None and answer.loaded is not None:
                self._fleet = answer.plan.fleet(answer.loaded.model)
            self.answer = answer
            self._say("")

    def _say(self, text: str) -> None:
        self.progress = text

    def _planned(self, overrides: tuple[str, ...], stop: threading.Event) -> Answer | None:
        """The answer to a request; None if a newer one came."""
        began = time.monotonic()
        self._say("reading the model")
        try:
            answer = self._optimized(overrides, replace(self._settings, stop=stop))
        except KeyboardInterrupt:
            return None
        except InputError as error:
            answer = Answer(overrides, problems=tuple(map(str, error.problems)))
        except PlannerError as error:
            answer = Answer(overrides, problems=tuple(str(error).splitlines()))
        except Exception as error:  # the page goes on with the next request
            answer = Answer(overrides, problems=(f"internal error: {error!r}",))
        return replace(answer, seconds=time.monotonic() - began)

    def _optimized(self, overrides: tuple[str, ...], settings: SolverSettings) -> Answer:
        began = time.monotonic()
        loaded = load_model(self._model, overrides)
        chosen = select(loaded.model, self._wanted)
        self._say(f"planning for {len(chosen.scenarios):,} scenarios")
        rounds: list[Round] = []

        def answer(outcome: LoopResult, final: bool) -> Answer:
            selection = outcome.selection or chosen
            plan = recorded(outcome.plan(loaded, settings), selection.wanted)
            seconds = time.monotonic() - began
            return Answer(overrides, plan, loaded, selection.scenarios, (), seconds, final)

        def on_round(made: Round) -> None:
            """Show the plan of a round while the search goes on."""
            rounds.append(made)
            if not settings.stopped:
                self.answer = answer(LoopResult(tuple(rounds)), final=False)

        outcome = optimize_and_verify(
            loaded.model,
            chosen.scenarios,
            settings,
            on_round=on_round,
            start=self._fleet,
            progress=self._say,
            explain="conflict",
            selection=chosen,
        )
        if outcome.best is None:
            lines = outcome.diagnosis.lines() if outcome.diagnosis else ()
            return Answer(overrides, problems=("No plan meets every requirement.", *lines))
        return answer(outcome, final=True)
