"""Workers of a Dask cluster: other machines that share the work of a run.

The scheduler gives batches to workers and gives those of a worker that dies to others. What all
batches need is sent to each worker once. Workers must have the client's versions of Python, of the
planner and of what computes, as another version may give other digits.
"""

from __future__ import annotations

import pickle
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from planner.errors import ClusterError, InputError
from planner.plan.assembly import versions
from planner.workers import AHEAD, Workers, in_order, shared_by

if TYPE_CHECKING:
    from distributed import Client, Future

SCHEMES = ("tcp", "tls")
#: Seconds to reach the scheduler, to wait for a first worker, and without any before giving up.
CONNECT_SECONDS, WORKER_SECONDS, LONELY_SECONDS = 10.0, 30.0, 120.0
#: Seconds between looks at the workers while a result is waited for.
LOOK_SECONDS = 5.0
#: How often a batch is sent again where the workers that had what it needs are gone.
TRIES = 5
#: Things that batches share which are kept by workers, and by this process.
MOST_SHARED = 4
#: Scenarios, or recourse programmes, that take longer than sending them.
FEWEST = 50
EXTRA = "--scheduler needs Dask: pip install 'resilience-planner[cluster]'"


@contextmanager
def cluster_at(address: str) -> Iterator[Workers]:
    """Share the work of what is called inside among the workers of a Dask cluster.

    Whoever reaches a scheduler can run programs on its workers: protect it as Dask says.

    Parameters
    ----------
    address
        Of the scheduler: ``tcp://host:8786``, or ``tls://`` as Dask is configured.

    Raises
    ------
    InputError
        If the address is none, or Dask is not installed.
    ClusterError
        If there is no scheduler, no worker, or workers have other versions.

    Examples
    --------
    >>> with cluster_at("tcp://10.0.0.5:8786"):  # doctest: +SKIP
    ...     optimize("hyperscaler-12", scenarios="n-2")
    """
    client = _connected(address)
    try:
        _check_workers(client, address)
        with shared_by(DaskWorkers(client, address)) as found:
            yield found
    finally:
        client.close()


class DaskWorkers:
    """Workers of a Dask cluster.

    Parameters
    ----------
    client
        Client of its scheduler.
    address
        Of the scheduler, for messages.
    """

    fewest = FEWEST

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address, self._versions = client, address, own_versions()
        self._sent: OrderedDict[int, tuple[Any, Future[Any]]] = OrderedDict()

    @property
    def count(self) -> int:
        """Threads of all workers."""
        threads: Mapping[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def map[Shared, Batch, Result](
        self,
        task: Callable[[Shared, Batch], Result],
        shared: Shared,
        batches: Iterable[Batch],
    ) -> Iterator[Result]:
        """Results of a task for batches, in their order."""
        ahead = AHEAD * self.count
        return in_order(lambda batch: _Sent(self, task, shared, batch), batches, ahead)

    def submit(self, task: Callable[..., Any], shared: Any, batch: bytes) -> Future[Any]:
        """Give a batch to the scheduler."""
        there = self._there(shared)
        return self.client.submit(_run, self._versions, task, there, batch, pure=False)

    def _there(self, shared: Any) -> Future[Any]:
        """What batches share, as it is on the workers."""
        known = self._sent.get(id(shared))
        if known is None or known[1].status != "finished":
            data = self.client.scatter(pickle.dumps(shared), broadcast=True, hash=False)
            # It is kept here as well, so that no other thing gets its identity.
            known = self._sent[id(shared)] = shared, data
        self._sent.move_to_end(id(shared))
        while len(self._sent) > MOST_SHARED:
            self._sent.popitem(last=False)
        return known[1]


class _Sent[Result]:
    """A batch that a worker is at, or will be."""

    def __init__(
        self, team: DaskWorkers, task: Callable[[Any, Any], Result], shared: Any, batch: Any
    ) -> None:
        self._team, self._task, self._shared = team, task, shared
        self._batch = pickle.dumps(batch)
        self._future = team.submit(task, shared, self._batch)

    def result(self) -> Result:
        """Wait for it.

        Raises
        ------
        ClusterError
            If workers die of it, or there are none any more.
        """
        from distributed import KilledWorker

        for _ in range(TRIES):
            try:
                found: Result = pickle.loads(self._waited())  # noqa: S301
            except KilledWorker as error:
                reason = f"{error}; they may lack memory (dask worker --memory-limit)"
                raise ClusterError(f"workers of {self._team.address} died: {reason}") from None
            except CancelledError:
                # All workers that had what it needs are gone.
                self._future = self._team.submit(self._task, self._shared, self._batch)
            else:
                return found
        raise ClusterError(f"workers of {self._team.address} keep disappearing")

    def _waited(self) -> bytes:
        lonely = None
        while True:
            try:
                found: bytes = self._future.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                now = time.monotonic()
                lonely = (lonely or now) if not self._team.client.nthreads() else None
                if lonely is not None and now - lonely > LONELY_SECONDS:
                    raise ClusterError(_no_worker(self._team.address)) from None
            else:
                return found

    def cancel(self) -> None:
        """Give it up."""
        self._future.cancel()


def own_versions() -> dict[str, str]:
    """Versions of all that digits depend on, in this process."""
    return versions() | {"numba": version("numba")}


def _run(
    expected: Mapping[str, str], task: Callable[[Any, Any], Any], shared: bytes, batch: bytes
) -> bytes:
    """Work on a batch, on a worker."""
    if _versions_here() != expected:
        different = _differences(_versions_here(), expected)
        raise ClusterError(f"a worker has other versions: {different}")
    return pickle.dumps(task(_unpacked(shared), pickle.loads(batch)))  # noqa: S301


_versions_here = cache(own_versions)


@lru_cache(maxsize=MOST_SHARED)
def _unpacked(shared: bytes) -> Any:
    return pickle.loads(shared)  # noqa: S301


def _connected(address: str) -> Client:
    try:
        parts = urlsplit(address)
        right = parts.scheme in SCHEMES and parts.hostname and parts.port
    except ValueError:
        right = None
    if not right:
        message = f"`{address}` is no address of a scheduler; expected tcp://HOST:PORT"
        raise InputError.single("--scheduler", message)
    try:
        from distributed import Client
    except ImportError:
        raise InputError.single("--scheduler", EXTRA) from None
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError):
        raise ClusterError(
            f"no scheduler answers at {address}; start one with `dask scheduler` and workers with "
            f"`dask worker {address}`, or leave --scheduler out to use the cores of this machine"
        ) from None


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError:
        raise ClusterError(_no_worker(address)) from None
    expected, wrong = own_versions(), []
    for worker, found in client.run(own_versions, on_error="return").items():
        if isinstance(found, Exception):
            wrong.append(f"{worker}: cannot import this version of the planner ({found})")
        elif found != expected:
            wrong.append(f"{worker}: {_differences(found, expected)}")
    if wrong:
        lines = "\n  ".join(sorted(wrong))
        raise ClusterError(f"workers of {address} need the versions of this process:\n  {lines}")


def _no_worker(address: str) -> str:
    return f"the scheduler at {address} has no workers; start some with `dask worker {address}`"


def _differences(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name} {there.get(name, 'missing')} there, {here.get(name, 'missing')} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    )
