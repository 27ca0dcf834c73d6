"""Workers: results in order, little taken ahead, and the same results for any number of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.reliability.evaluation import simulate_all
from planner.scenarios.generators import all_scenarios
from planner.workers import AHEAD, Threads, shared_by, side_by_side, usable_cores, workers


def times(factor: int, number: int) -> int:
    return factor * number


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_batches(count: int) -> None:
    assert list(Threads(count).map(times, 3, range(20))) == [3 * number for number in range(20)]


@pytest.mark.parametrize("count", [1, 3])
def test_few_batches_are_taken_ahead(count: int) -> None:
    taken: list[int] = []

    def batches() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    assert list(islice(Threads(count).map(times, 1, batches()), 5)) == [0, 1, 2, 3, 4]
    assert len(taken) <= 5 + AHEAD * count


def test_threads_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=30)

    def meet(_: None, __: int) -> int:
        return together.wait()

    assert sorted(Threads(3).map(meet, None, range(3))) == [0, 1, 2]


def test_tasks_side_by_side_share_nothing_further() -> None:
    together = threading.Barrier(3, timeout=30)

    def meet(number: int) -> tuple[int, int]:
        together.wait()
        return number, workers(1000).count

    with shared_by(Threads(3)):
        assert side_by_side(meet, (5, 6, 7)) == [(5, 1), (6, 1), (7, 1)]
    with shared_by(Threads(1)):
        assert side_by_side(lambda _: threading.get_ident(), "ab") == 2 * [threading.get_ident()]


def test_an_error_of_a_batch_ends_the_run() -> None:
    with pytest.raises(ZeroDivisionError):
        list(Threads(2).map(lambda one, number: one // number, 1, [1, 0, 2]))


def test_all_cores_unless_told_and_one_where_there_is_little_to_do() -> None:
    assert workers(10**6).count == usable_cores()
    with shared_by(Threads(5)):
        assert workers(100).count == 5
        assert workers(2 * Threads().fewest - 1).count == 1
    assert workers(10**6).count == usable_cores()


def test_losses_are_the_same_for_any_number_of_threads(tiny: LoadedModel) -> None:
    model, scenarios = tiny.model, all_scenarios(tiny.model)
    found = []
    for count in (1, 2, 5):
        with shared_by(Threads(count, fewest=1)):
            found.append(simulate_all(model, Fleet.existing(model), scenarios))
    for other in found[1:]:
        assert np.array_equal(found[0].lost_requests, other.lost_requests)
        assert np.array_equal(found[0].unserved_minutes, other.unserved_minutes)
        assert np.array_equal(found[0].minutes, other.minutes)
