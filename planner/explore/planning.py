"""Plans worked out in the background: the newest request counts, an older one is told to stop."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path

from planner.errors import InputError, PlannerError
from planner.explore.controls import controls_of
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.solution.settings import SolverSettings
from planner.plan.records import Plan
from planner.plan.reopening import planned_scenarios, recorded, reopen
from planner.rounds import LoopResult, Round
from planner.selection import Wanted, select
from planner.verification import optimize_and_verify

#: Seconds that a request waits for a newer one, as while a key is held down.
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
    """A model that is explored, and the thread that plans for the newest request.

    Parameters
    ----------
    model
        The model as commands take it.
    folder
        Where variants are kept.
    baseline
        The plan to compare with; None for the first that is made.

    Attributes
    ----------
    answer
        The newest; None before the first.
    asked
        Settings that were asked for last.
    progress
        What is worked on; empty while nothing is.
    """

    def __init__(
        self,
        model: str,
        wanted: Wanted | None,
        solving: SolverSettings,
        folder: Path,
        baseline: Answer | None = None,
    ) -> None:
        self.model, self.folder, self.baseline = model, folder, baseline
        self.controls = tuple(controls_of(load_model(model).model))
        self.variants: dict[str, Answer] = {}
        self.answer: Answer | None = None
        self.asked: tuple[str, ...] = ()
        self.progress = ""
        self._wanted, self._solving = wanted, solving
        self._known = {} if baseline is None else {baseline.settings: baseline}
        self._request: tuple[str, ...] | None = None
        self._changed, self._stop = threading.Condition(), threading.Event()
        self._fleet: Fleet | None = None
        # It shares its work among the workers, and reads models, as whoever asks does.
        work = copy_context().run
        threading.Thread(target=work, args=(self._work,), name="planning", daemon=True).start()

    def ask(self, settings: tuple[str, ...], known: Answer | None = None) -> None:
        """Plan with these settings instead of what is worked on, unless the answer is known."""
        with self._changed:
            if known is not None:
                self._known[settings] = known
            self.asked = self._request = settings
            self._stop.set()
            self._changed.notify()

    def stop(self) -> None:
        """End what is worked on; nothing comes of it."""
        self._stop.set()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._request is not None)
                settings, self._request = self._request or (), None
                stop = self._stop = threading.Event()
            answer = self._known.get(settings)
            if answer is None and not stop.wait(SETTLING_SECONDS):
                answer = self._planned(settings, replace(self._solving, stop=stop))
            if answer is None or stop.is_set():
                continue
            self._known[settings] = answer
            if answer.plan is not None and answer.loaded is not None:
                self._fleet = answer.plan.fleet(answer.loaded.model)
            self._show(answer)
            self.progress = ""

    def _show(self, answer: Answer) -> None:
        """Make an answer the newest; the first plan is the baseline, once it is final for good."""
        begun = self.baseline
        first = begun is None or (not begun.final and begun.settings == answer.settings)
        if first and answer.plan is not None:
            self.baseline = answer
        self.answer = answer

    def _say(self, text: str) -> None:
        self.progress = text

    def _planned(self, overrides: tuple[str, ...], solving: SolverSettings) -> Answer | None:
        """The answer to a request; None if a newer one came."""
        try:
            return self._optimized(overrides, solving)
        except KeyboardInterrupt:
            return None
        except InputError as error:
            return Answer(overrides, problems=tuple(map(str, error.problems)))
        except PlannerError as error:
            return Answer(overrides, problems=tuple(str(error).splitlines()))
        except Exception as error:  # the page goes on with the next request
            return Answer(overrides, problems=(f"internal error: {error!r}",))

    def _optimized(self, overrides: tuple[str, ...], solving: SolverSettings) -> Answer:
        began = time.monotonic()
        loaded = load_model(self.model, overrides)
        chosen = select(loaded.model, self._wanted)
        self._say(f"planning for {len(chosen.scenarios):,} scenarios")
        rounds: list[Round] = []

        def answer(outcome: LoopResult, final: bool) -> Answer:
            selection = outcome.selection or chosen
            plan = recorded(outcome.plan(loaded, solving), selection.wanted)
            seconds = time.monotonic() - began
            return Answer(overrides, plan, loaded, selection.scenarios, (), seconds, final)

        def on_round(made: Round) -> None:
            """Show the plan of a round while the search goes on."""
            rounds.append(made)
            if not solving.stopped:
                self._show(answer(LoopResult(tuple(rounds)), final=False))

        outcome = optimize_and_verify(
            loaded.model,
            chosen.scenarios,
            solving,
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
