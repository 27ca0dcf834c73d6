"""Templates: what a scenario costs and misses is what its own programme says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from optimization.test_decomposition import EXACT, data_of, purchases, random_data

from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.optimization.decomposition import templates
from planner.optimization.decomposition.blocks import Block, Floats
from planner.optimization.decomposition.evaluation import Evaluation
from planner.optimization.decomposition.loop import solve_in_parts
from planner.optimization.decomposition.master import Failure
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline
from planner.selection import select


def laid_out(data: ProblemData) -> Decomposition:
    parts = Decomposition(data, EXACT)
    parts.lay_out(Deadline(EXACT))
    return parts


def once_usd(parts: Decomposition, at: Floats) -> dict[str, float]:
    """Least cost of one occurrence of each scenario; infinite where it has no recourse."""
    blocks = {piece.block: None for one in parts.failures for piece in one.pieces}
    found = parts.evaluator.evaluate_all(list(blocks), at)
    return {one.name: _once_usd(one, found) for one in parts.failures}


def _once_usd(one: Failure, found: Mapping[Block, Evaluation]) -> float:
    if any(found[piece.block].impossible is not None for piece in one.pieces):
        return math.inf
    return one.constant_usd + sum(piece.factor * found[piece.block].value for piece in one.pieces)


def compare(data: ProblemData, monkeypatch: pytest.MonkeyPatch, seed: int) -> int:
    """How many scenarios have recourse at purchases at which both ways of building are compared."""
    shared = laid_out(data)
    with monkeypatch.context() as patched:
        patched.setattr(templates, "are_alike", lambda _: False)
        own = laid_out(data)
    rng, compared = Random(seed), 0
    for at in (own.largest_purchases(), purchases(own, rng), purchases(own, rng)):
        expected = once_usd(own, at)
        # Both may add rows and columns to the first stage in another order.
        names = {x.name: value for x, value in zip(own.base.problem.variables, at, strict=True)}
        there = np.array([names[x.name] for x in shared.base.problem.variables])
        assert once_usd(shared, there) == pytest.approx(expected, rel=1e-6, abs=1.0)
        compared += int(np.isfinite(list(expected.values())).sum())
    assert [len(one.alone) for one in shared.failures] == [len(one.alone) for one in own.failures]
    return compared


@pytest.mark.parametrize("seed", range(24))
def test_scenarios_cost_what_they_do_alone(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(random_data(seed), monkeypatch, seed)


def test_stages_that_differ_in_demand_have_one_form(tiny) -> None:
    model: Model = tiny.model
    parts = laid_out(data_of(model))
    pieces = [piece for one in parts.failures for piece in one.pieces]
    forms = {piece.block.form for piece in pieces}
    assert len(forms) < len({piece.block for piece in pieces}) <= len(pieces)


def test_a_service_that_measures_enlarge_keeps_what_is_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where it may take too little; elsewhere stages that differ in demand share templates."""
    model = load_model("chatgpt-2023-measures").model
    data = ProblemData(model, select(model).scenarios[::80])
    assert compare(data, monkeypatch, 0)
    audit(*solve_in_parts(Decomposition(data, EXACT), replace(EXACT, gap=1e-3)))
