"""What becomes of failed requests, of shared services and of connection pools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.exact import amplification

from planner.laws.retries import RetryTerms, admitted_share, pool_rate, repeat

shares = st.floats(0.0, 1.0)
policies = st.lists(
    st.tuples(st.integers(0, 6), st.floats(0.05, 60.0), shares), min_size=1, max_size=4
)


def terms_of(policies: list[tuple[int, float, float]]) -> RetryTerms:
    return RetryTerms.of(*(list(column) for column in zip(*policies, strict=True)))


class TestTerms:
    @given(policies)
    def test_a_client_makes_no_more_attempts_than_its_tier_allows(
        self, policies: list[tuple[int, float, float]]
    ) -> None:
        terms = terms_of(policies)
        most = max(attempts for attempts, _, _ in policies)
        assert terms.repeats.shape == (len(policies), most + 1)
        assert terms.attempts == most + 1
        for row, (attempts, _, gives_up) in zip(terms.repeats, policies, strict=True):
            assert row[:attempts] == pytest.approx(1 - gives_up)
            assert not row[attempts:].any()

    @pytest.mark.parametrize("backoff", [0.1, 1.0, 1.5, 7.5, 1000.0])
    def test_backoff_is_the_mean_number_of_steps_until_the_next_attempt(
        self, backoff: float
    ) -> None:
        """Clients come back with the same chance in every step, in the next at the earliest."""
        returning = float(terms_of([(1, backoff, 0.0)]).returning[0])
        assert 0 < returning <= 1
        steps = np.arange(1, 200_000)
        chance = returning * (1 - returning) ** (steps - 1.0)
        assert chance.sum() == pytest.approx(1.0)
        assert (steps * chance).sum() == pytest.approx(max(1.0, backoff))


class TestRepeat:
    @given(policies, st.integers(0, 2**32 - 1))
    def test_failed_requests_come_back_or_are_given_up(
        self, policies: list[tuple[int, float, float]], seed: int
    ) -> None:
        terms = terms_of(policies)
        failed = np.random.default_rng(seed).uniform(0, 1e5, (3, 2, *terms.repeats.shape))
        again, gave_up = repeat(failed, terms.repeats)
        assert (again >= 0).all()
        assert (gave_up >= 0).all()
        assert again + gave_up == pytest.approx(failed)
        for k, (attempts, _, gives_up) in enumerate(policies):
            assert again[:, :, k, :attempts] == pytest.approx(
                failed[:, :, k, :attempts] * (1 - gives_up)
            )
            assert not again[:, :, k, attempts:].any()

    def test_without_retries_all_are_given_up(self) -> None:
        again, gave_up = repeat(np.array([[[5.0]]]), terms_of([(0, 1.0, 0.0)]).repeats)
        assert not again.any()
        assert gave_up.tolist() == [[[5.0]]]


class TestAmplification:
    @given(shares, st.integers(0, 10), shares)
    def test_amplification_agrees_with_following_one_request(
        self, success: float, attempts: int, gives_up: float
    ) -> None:
        there, made = 1.0, 0.0
        for number in range(attempts + 1):
            made += there
            failed = np.zeros((1, attempts + 1))
            failed[0, number] = there * (1 - success)
            there = float(repeat(failed, terms_of([(attempts, 1.0, gives_up)]).repeats)[0].sum())
        assert amplification(success, attempts, gives_up) == pytest.approx(made)

    @given(shares, shares, st.integers(0, 9), shares)
    def test_amplification_falls_with_success_and_rises_with_attempts(
        self, success: float, better: float, attempts: int, gives_up: float
    ) -> None:
        low, high = sorted((success, better))
        law = amplification(low, attempts, gives_up)
        assert amplification(high, attempts, gives_up) <= law + 1e-12
        assert amplification(low, attempts + 1, gives_up) >= law
        assert 1.0 <= law <= attempts + 1


class TestServices:
    @given(st.lists(st.floats(0.0, 50.0), min_size=1, max_size=4), shares)
    def test_the_tightest_service_on_the_path_limits_a_tier(
        self, use: list[float], weight: float
    ) -> None:
        share = admitted_share(np.array(use), weight).min()
        tightest = max(1.0, max(use))
        assert share == pytest.approx(1 - weight * (1 - 1 / tightest))

    def test_only_tiers_that_pass_a_service_are_turned_away(self) -> None:
        weights = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
        share = admitted_share(np.array([4.0, 0.5]), weights).min(axis=1)
        assert share.tolist() == [0.25, 1.0, 0.625]

    @given(st.floats(0.0, 1e6), st.floats(0.1, 1e6))
    def test_what_a_service_lets_through_is_its_capacity(
        self, wanted: float, capacity: float
    ) -> None:
        """Of tiers that all pass it in full."""
        share = admitted_share(wanted / capacity, 1.0)
        assert wanted * share <= capacity * (1 + 1e-6)
        if wanted <= capacity:
            assert share == 1.0


class TestPools:
    CONNECTIONS, SECONDS = 1000.0, 2.0

    def rate(self, entered: float, held: float, before: float) -> float:
        arrays = [np.array(value) for value in (entered, held, before)]
        pool = np.array(self.CONNECTIONS), np.array(self.SECONDS)
        return float(pool_rate(*arrays, *pool, 60.0))

    def test_without_waiting_a_pool_admits_connections_over_service_time(self) -> None:
        assert self.rate(10.0, 0.0, 0.0) == 500.0
        assert self.rate(0.0, 0.0, 0.0) == 500.0

    @given(st.floats(0.0, 1e5), st.floats(0.0, 1e5), st.floats(0.0, 1e5))
    def test_a_pool_never_admits_more_than_the_service_time_allows(
        self, entered: float, held: float, before: float
    ) -> None:
        assert 0.0 <= self.rate(entered, held, before) <= 500.0

    def test_a_pool_full_of_waiting_requests_admits_nothing(self) -> None:
        assert self.rate(0.0, 1500.0, 1500.0) == 0.0

    @pytest.mark.parametrize("waits_minutes", [0.5, 2.0, 20.0])
    @pytest.mark.parametrize("wanted", [1.0, 100.0, 20_000.0])
    def test_a_pool_settles_with_all_its_connections_in_use(
        self, waits_minutes: float, wanted: float
    ) -> None:
        """Every request waits some time with its connection, then works two seconds and leaves."""
        held, before, admitted, rate = 0.0, 0.0, 0.0, np.inf
        for _ in range(400):
            admitted = min(wanted, rate)
            before, stays = held, np.exp(-1.0 / waits_minutes)
            held = held * stays + admitted * 60.0 * waits_minutes * (1.0 - stays)
            rate = self.rate(admitted, held, before)
        in_use = held + admitted * self.SECONDS
        if admitted == wanted:
            assert in_use <= self.CONNECTIONS
        else:
            assert in_use == pytest.approx(self.CONNECTIONS, rel=1e-3)
