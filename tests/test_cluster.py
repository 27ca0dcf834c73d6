"""A Dask cluster of real worker processes: the same results as here, also when workers die."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

import planner.cluster
from planner.cluster import DaskWorkers, cluster_at, own_versions
from planner.commands import main
from planner.errors import ClusterError
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.decomposition import evaluation
from planner.optimization.decomposition.loop import Loop
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.settings import SolverSettings
from planner.reliability.evaluation import simulate_all
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import judge
from planner.workers import Threads, shared_by

if TYPE_CHECKING:  # it takes a second in every process that only collects this
    from distributed import LocalCluster

Plan = Callable[..., tuple[int, str, str]]

SETTINGS = SolverSettings(gap=1e-6, method="decomposed")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCluster]:
    """Two worker processes."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DaskWorkers, "fewest", 1)
    monkeypatch.setattr(evaluation, "BATCH", 3)
    monkeypatch.setattr("planner.cluster.LOOK_SECONDS", 0.2)


def optimum(model: LoadedModel, progress: Callable[[str], None] = lambda _: None) -> Any:
    """What decides on the plan of a model."""
    data = ProblemData(model.model, all_scenarios(model.model), {})
    solution = Loop(Decomposition(data, SETTINGS, progress), SETTINGS).run()
    return solution.objective, solution.bound, dict(solution.values), solution.once_usd


def test_results_are_those_of_threads(local: LocalCluster, tiny: LoadedModel) -> None:
    model, scenarios = tiny.model, all_scenarios(tiny.model)
    fleet = Fleet.existing(model)
    found = []
    for team in (shared_by(Threads(1)), cluster_at(local.scheduler_address)):
        with team:
            losses = simulate_all(model, fleet, scenarios)
            found.append((judge(model, fleet, scenarios), optimum(tiny), losses.lost_requests))
    (here, best, lost), (there, same, lost_there) = found
    assert here == there
    assert best == same
    assert lost.tobytes() == lost_there.tobytes()


def test_workers_killed_in_mid_run_change_nothing(local: LocalCluster, tiny: LoadedModel) -> None:
    with shared_by(Threads(1)):
        alone = optimum(tiny)
    with cluster_at(local.scheduler_address) as team:
        assert isinstance(team, DaskWorkers)
        processes = list(team.client.run(os.getpid).values())
        assert len(processes) == 2

        def kill_one(_: str) -> None:
            """The second dies before the first is back: what was sent to both is gone."""
            if processes:
                os.kill(processes.pop(), signal.SIGKILL)

        assert optimum(tiny, kill_one) == alone
        assert not processes


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str]) -> Plan:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


class TestCommands:
    def test_simulate_prints_the_same(self, local: LocalCluster, plan: Plan) -> None:
        here = plan("simulate", "tiny", "--json", "-j", "1")
        there = plan("simulate", "tiny", "--json", "--scheduler", local.scheduler_address)
        assert here[0] == there[0] == 4
        assert json.loads(here[1])["scenarios"] == json.loads(there[1])["scenarios"]

    def test_no_scheduler_there(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("planner.cluster.CONNECT_SECONDS", 0.5)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        code, _, told = plan("simulate", "tiny", "--scheduler", address)
        assert code == 1
        assert f"no scheduler answers at {address}; start one with `dask scheduler`" in told

    @pytest.mark.parametrize(
        "address", ["", "host", "tcp://host", "tcp://:1", "http://a:80", "tcp://a:b"]
    )
    def test_no_address(self, plan: Plan, address: str) -> None:
        code, _, told = plan("simulate", "tiny", "--scheduler", address)
        assert code == 2
        assert f"`{address}` is no address of a scheduler; expected tcp://HOST:PORT" in told

    def test_threads_and_a_cluster(self, plan: Plan) -> None:
        code, _, told = plan("optimize", "tiny", "-j", "2", "--scheduler", "tcp://a:1")
        assert code == 2
        assert "-j is for threads here" in told

    def test_without_dask(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "distributed", None)
        code, _, told = plan("finance", "tiny", "--scheduler", "tcp://a:1")
        assert code == 2
        assert "pip install 'resilience-planner[cluster]'" in told

    def test_workers_of_other_versions(
        self, local: LocalCluster, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        others = own_versions() | {"numpy": "0.1"}
        monkeypatch.setattr(planner.cluster, "versions", lambda: others)
        code, _, told = plan("simulate", "tiny", "--scheduler", local.scheduler_address)
        assert code == 1
        assert re.search(r"tcp://127.0.0.1:\d+: numpy \S+ there, 0.1 here", told)


def test_a_worker_that_joins_late_with_other_versions_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"a worker has other versions: .*numpy \S+ there, 0.1"):
        planner.cluster._run(own_versions() | {"numpy": "0.1"}, max, b"", b"")


def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr("planner.cluster.WORKER_SECONDS", 0.3)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        pytest.raises(ClusterError, match="has no workers; start some with `dask worker inproc"),
    ):
        planner.cluster._check_workers(empty.get_client(), empty.scheduler_address)
