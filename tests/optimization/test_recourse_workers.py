"""Recourse programmes solved by any number of workers, here or elsewhere: the same digits."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from optimization.test_decomposition import EXACT, data_of, purchases, random_data

from planner.optimization.decomposition import evaluation
from planner.optimization.decomposition.blocks import Block
from planner.optimization.decomposition.evaluation import Evaluation, Evaluator
from planner.optimization.decomposition.loop import Loop
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.workers import Threads, Workers, shared_by


@dataclass(frozen=True)
class Elsewhere:
    """Workers that start anew for every batch and get nothing but what is sent to them."""

    count: int = 3
    fewest: int = 1

    def map[Shared, Batch, Result](
        self,
        task: Callable[[Shared, Batch], Result],
        shared: Shared,
        batches: Iterable[Batch],
    ) -> Iterator[Result]:
        for batch in batches:
            sent = pickle.dumps((task, shared, batch))
            there, what, part = pickle.loads(sent)
            yield pickle.loads(pickle.dumps(there(what, part)))


WORKERS: tuple[Workers, ...] = (Threads(1), Threads(3, fewest=1), Elsewhere())


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 3)


def blocks_of(parts: Decomposition) -> list[Block]:
    found = {piece.block: None for failure in parts.failures for piece in failure.pieces}
    return sorted(found, key=lambda block: block.structure.number)


def digits(found: Iterable[Evaluation]) -> bytes:
    cuts = [(made.value, cut) for made in found for cut in (made.cut, made.impossible)]
    return pickle.dumps(
        [
            (value, cut and (cut.constant, cut.columns.tolist(), cut.slopes.tolist()))
            for value, cut in cuts
        ]
    )


@pytest.mark.parametrize("seed", range(6))
def test_evaluations_are_the_same_whoever_makes_them(seed: int) -> None:
    parts = Decomposition(random_data(seed), EXACT)
    parts.lay_out(Deadline(EXACT))
    blocks, rng = blocks_of(parts), Random(seed)
    places = [purchases(parts, rng) for _ in range(3)]
    found = []
    for team in WORKERS:
        evaluator = Evaluator()
        with shared_by(team):
            rounds = [evaluator.evaluate_all(blocks, place) for place in places]
        found.append([digits(made.values()) for made in rounds])
    assert found[0] == found[1] == found[2]
    assert len(blocks) > evaluation.BATCH or len(blocks) < 2


def test_later_blocks_are_sent_too(tiny) -> None:
    parts = Decomposition(data_of(tiny.model), EXACT)
    parts.lay_out(Deadline(EXACT))
    blocks, place = blocks_of(parts), parts.largest_purchases()
    evaluator = Evaluator()
    with shared_by(Elsewhere()):
        evaluator.evaluate_all(blocks[:4], place)
        every = evaluator.evaluate_all(blocks, place)
    values = [Evaluator().evaluate_all([block], place)[block].value for block in blocks]
    assert [every[block].value for block in blocks] == pytest.approx(values, rel=1e-9)


def test_plans_are_the_same_whoever_evaluates(tiny) -> None:
    found = []
    for team in WORKERS:
        with shared_by(team):
            solution = Loop(Decomposition(data_of(tiny.model), EXACT), EXACT).run()
        found.append((solution.objective, solution.bound, dict(solution.values)))
    assert found[0] == found[1] == found[2]


def test_batches_end_when_time_does(tiny) -> None:
    parts = Decomposition(data_of(tiny.model), EXACT)
    parts.lay_out(Deadline(EXACT))
    blocks, looks = blocks_of(parts), iter([False, False])
    with pytest.raises(OutOfTime):
        Evaluator().evaluate_all(
            blocks, np.zeros_like(parts.bounds()[0]), lambda: next(looks, True)
        )
