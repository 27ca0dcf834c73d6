"""Waiting: random queues below capacity, and a backlog whose clients time out.

Below capacity a queue of many servers (M/M/c) says how long requests wait because they come at
random. At or above capacity a backlog builds up; `competing_queue` moves it by one step and tells
work done for clients who still wait from work done in vain.

Symbols: c servers, ρ load (utilisation), s mean service time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from planner.laws.compiling import chosen, compilable
from planner.laws.ratios import ratio
from planner.laws.traffic import NEGLIGIBLE_RPS

#: Least number that divides like any other.
SMALLEST = float(np.finfo(np.float64).tiny)
#: Requests waiting longer than the 99th percentile.
SLOWEST = 0.01
#: Backlog, as a share of the requests there were in a step, that counts as none.
NEGLIGIBLE_SHARE = 1e-9
#: Backlog that is rounding, small enough to leave room for a division.
NEGLIGIBLE_BACKLOG = 1e-100


@compilable
def waiting_probability(servers: Any, load: Any) -> Any:
    """Probability that a request waits in M/M/c, in closed form.

    Erlang C with the share lost, B, from an asymptotic series that holds for all loads::

        1/B = 1 + (1 + 1/(12c))·(√c·Φ(α)/φ(α) − 1/3 − α/(12√c)),   α = √(2c·(ρ − 1 − ln ρ))

    with Φ, φ of the normal distribution. The time it takes does not depend on the servers, whose
    number may be fractional. It errs by less than 0.0007 for one server, less than 0.00015 from two
    servers on and less than 0.00003 from ten on, at any load (checked against Erlang's recursion up
    to 10,000 servers). Fewer than one server count as one.

    Sources: 1/B is the incomplete gamma function ratio Q(c + 1, cρ) over the Poisson probability of
    c requests (DLMF 8.4.10); its uniform expansion is N. M. Temme, "The asymptotic expansion of the
    incomplete gamma functions", SIAM J. Math. Anal. 10 (1979) 757-766 (DLMF 8.12.3-8.12.8), here
    with the first term of the series and that to first order in α/√c.

    Parameters
    ----------
    servers
        Number of servers, any shape.
    load
        Utilisation, a shape that broadcasts with it; 1 and more means that every request waits.

    Returns
    -------
    numpy.ndarray
        Probability in [0, 1].

    >>> waiting_probability(np.array([2.0, 55.0, 1e5]), np.array([0.5, 48 / 55, 1.0])).round(3)
    array([0.333, 0.239, 1.   ])
    """
    count = np.maximum(servers, 1.0)
    below_one = np.minimum(1.0, np.maximum(load, SMALLEST))
    alpha = np.sqrt(2.0 * count * np.maximum(0.0, below_one - 1.0 - np.log(below_one)))
    density = np.exp(-0.5 * alpha**2) / np.sqrt(2.0 * np.pi)
    series = density * (1.0 / 3.0 + alpha / (12.0 * np.sqrt(count)))
    fits = (1.0 + 1.0 / (12.0 * count)) * (np.sqrt(count) * _normal(alpha, density) - series)
    lost = density / (density + fits)
    return chosen(load < 1.0, lost / (1.0 - below_one * (1.0 - lost)), 1.0)


@compilable
def _normal(deviation: Any, density: Any) -> Any:
    """Normal distribution function of a deviation of 0 or more, to within 7.5e-8.

    Source: M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", formula 26.2.17.
    """
    t = 1.0 / (1.0 + 0.2316419 * deviation)
    tail = t * 0.0
    for term in (1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530):
        tail = (tail + term) * t
    return 1.0 - density * tail


@compilable
def p99_wait_seconds(servers: Any, load: Any, service_seconds: Any) -> Any:
    """Wait that 99 % of the requests stay below in M/M/c.

    From ``P(W > t) = P(wait)·exp(−c·(1 − ρ)·t/s)``: ``ln(P(wait)/0.01)·s/(c·(1 − ρ))``, 0 where
    fewer than one in a hundred wait at all. Infinite at a load of 1 and more, where a backlog grows
    that the caller adds up, and where there is load but no server; 0 without load. Source: R. B.
    Cooper, "Introduction to Queueing Theory", 2nd ed., North Holland 1981, chapter 3.

    Parameters
    ----------
    servers, load
        As for `waiting_probability`.
    service_seconds
        Mean time that a server takes for a request.

    >>> p99_wait_seconds(np.array([1.0, 100.0]), np.array([0.5, 0.5]), np.array(2.0)).round(1)
    array([15.7,  0. ])
    """
    waits = waiting_probability(servers, load)
    longest = np.log(np.maximum(waits, SLOWEST) / SLOWEST) * service_seconds
    spare = servers * (1.0 - load)
    possible = spare > 0
    # Without load and without servers nobody waits; with load and without servers, for ever.
    endless = chosen(load > 0, np.inf, 0.0)
    return chosen(possible, longest / chosen(possible, spare, 1.0), endless)


@compilable
def busy_seconds(
    load_rps: Any, powered_gpus: Any, clock: Any, rps_per_gpu: Any, service_seconds: Any
) -> Any:
    """Time that 99 % of the requests of a cluster stay below, 0 without load.

    Service time over clock, plus the wait of an M/M/c queue of as many servers as the cluster works
    on requests at once.
    """
    speed = np.maximum(clock, 1e-3)
    at_once = powered_gpus * rps_per_gpu * service_seconds
    use = ratio(load_rps, powered_gpus * rps_per_gpu * speed)
    seconds = service_seconds / speed
    waits = p99_wait_seconds(np.maximum(at_once, 1.0), np.minimum(use, 0.9999), seconds)
    return chosen(load_rps > NEGLIGIBLE_RPS, seconds + waits, 0.0)


@compilable
def response_seconds(busiest_seconds: Any, waiting: Any, load_rps: Any) -> Any:
    """Time that 99 % of requests stay below, queue included.

    That of the busiest cluster, plus the time that the requests waiting take at the present rate;
    one hour at most.
    """
    queue = chosen(waiting > 0, waiting / np.maximum(load_rps, NEGLIGIBLE_RPS), 0.0)
    return np.minimum(busiest_seconds + queue, 3600.0)


class QueueOutcome(NamedTuple):
    """What one step made of a backlog whose clients time out; requests, all of one shape.

    Parameters
    ----------
    live, stale
        Waiting after the step: those whose clients still wait, and those whose clients have gone.
    good
        Served for clients who waited.
    timed_out
        Clients who went without an answer.
    wasted
        Served in vain, the client having gone.
    """

    live: Any
    stale: Any
    good: Any
    timed_out: Any
    wasted: Any


@compilable
def competing_queue(
    live: Any, stale: Any, arriving: Any, capacity: Any, patience_steps: Any
) -> QueueOutcome:
    """One step of a backlog in which service and time-outs compete for each request.

    Requests are served in random order at a constant rate; a client times out after an exponential
    time, but its request stays and takes service all the same. With backlog B (live and stale),
    capacity C, arrivals a, hazard of a time-out θ = 1/patience, live share x = live/B::

        dB/dt = a − C   (not below 0),      dx/dt = a·(1 − x)/B − θ·x

    Service takes live and stale alike and so leaves x as it is. With B from B₀ to B₁ in the step,
    ``x₁ = x* + (x₀ − x*)·exp(−a/L − θ)``, ``x* = a/(a + θ·M)``, L the logarithmic and M the
    arithmetic mean of B. Of the requests that stop being live the share ``S/(S + θ·M)`` was served,
    S being all that is served. A backlog that is gone before the step ends counts in M for the time
    it lasted; without any backlog nobody waits and all is good.

    ``live + arriving = live after + good + timed_out`` and
    ``stale + timed_out = stale after + wasted`` to rounding; ``good + wasted = S``. Exact without
    time-outs, without arrivals and service, and where the backlog is constant; otherwise off by at
    most 4 % of the requests in the step where the patience is one step or more and 7 % where it is
    half a step, in the mean by 0.7 % and 1.2 % (checked against 4096 steps in place of one); two
    half steps err by about half of that or less. At a tenth of a step it may be off by 16 %, in the
    mean by 2 %.

    Sources: the equations are the fluid limit of M/M/c with random service and abandonment (W.
    Whitt, "Fluid models for multiserver queues with abandonments", Operations Research 54 (2006)
    37-54), with service for clients who have gone added.

    Parameters
    ----------
    live, stale
        Waiting before the step.
    arriving
        Joining in the step, at a constant rate; what a full queue turns away is already taken off.
    capacity
        Requests that service can take in the step. What is served is at most all there are.
    patience_steps
        Mean time that a client waits, in steps, above 0; infinite where nobody times out.

    >>> full = competing_queue(*(np.array([n]) for n in (100.0, 0.0, 50.0, 50.0, 2.0)))
    >>> [round(float(part[0]), 1) for part in (full.live, full.good, full.timed_out, full.wasted)]
    [68.4, 40.8, 40.8, 9.2]
    """
    leaving = 1.0 / patience_steps
    before = live + stale
    there = before + arriving
    served = np.minimum(capacity, there)
    left = there - served
    after = chosen(left > NEGLIGIBLE_SHARE * there, left, 0.0)
    share = _live_share(live, before, after, arriving, leaving)
    still = np.minimum(after * share, live + arriving)
    exits = live + arriving - still
    mean = 0.5 * (before + after) * _backlogged_share(before, after, arriving, capacity)
    pulls = served + leaving * mean
    answered = ratio(served, pulls, most=1.0)
    good = np.minimum(served, exits * answered)
    return QueueOutcome(still, np.maximum(0.0, left - still), good, exits - good, served - good)


@compilable
def _live_share(live: Any, before: Any, after: Any, arriving: Any, leaving: Any) -> Any:
    """Live share of the backlog after a step; of no account where nothing is left."""
    both = np.minimum(before, after) > NEGLIGIBLE_BACKLOG
    first, last = chosen(both, before, 1.0), chosen(both, after, 1.0)
    growth = np.log(last / first)
    change = last - first
    # Where the backlog hardly changes, the quotient would lose digits.
    level = np.abs(growth) < 1e-4
    turns = chosen(level, 2.0 / (first + last), growth / chosen(level, 1.0, change))
    memory = chosen(both, np.exp(-arriving * turns - leaving), 0.0)
    joining = arriving + leaving * 0.5 * (before + after)
    settled = ratio(arriving, joining, none=1.0, most=1.0)
    return settled + (live / chosen(before > 0, before, 1.0) - settled) * memory


@compilable
def _backlogged_share(before: Any, after: Any, arriving: Any, capacity: Any) -> Any:
    """Share of a step for which there is a backlog, service outrunning arrivals."""
    gone = (after <= 0) & (capacity - arriving > before)
    return chosen(gone, before / chosen(gone, capacity - arriving, 1.0), 1.0)
