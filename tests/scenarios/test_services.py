"""Who passes which service, and how much each lets through."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from support import model_of

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import build_graph
from planner.scenarios.services import (
    degradation,
    limited_services,
    passing_share,
    replicas_up,
    service_rps,
)
from planner.scenarios.system_state import SystemState, normal_state

MODEL = """
extends: tiny
services:
  desk: {plane: edge, depends_on: [login], any_of: [east-cache, west-cache]}
  login: {plane: service, replicas: {west: 2, east: 1}, needs_replicas: 1, capacity_rps: 400.0,
          depends_on: [database], degrades_without: [log], degraded_share: 0.5}
  database: {plane: state, connections: 300.0, connection_seconds: 0.5}
  log: {plane: state}
  east-cache: {plane: state, depends_on: [database]}
  west-cache: {plane: state, capacity_rps: 900.0}
tiers: {business: {entry: desk}}
"""


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return model_of(tmp_path, MODEL)


@pytest.fixture
def normal(model: Model) -> SystemState:
    return normal_state(model, build_graph(model))


def test_only_services_with_a_limit_count(model: Model) -> None:
    assert limited_services(model) == ("login", "database", "west-cache")


def test_dependencies_are_passed_in_full_and_alternatives_shared(model: Model) -> None:
    share = passing_share(model, "business")
    assert share["login"] == share["database"] == 1.0
    assert share["east-cache"] == share["west-cache"] == 0.5
    assert passing_share(model, "free") == {}


def test_alternatives_that_are_down_leave_all_to_the_others(model: Model) -> None:
    share = passing_share(model, "business", frozenset({"east-cache"}))
    assert share["west-cache"] == 1.0
    assert "east-cache" not in share


def test_pool_capacity_follows_littles_law(model: Model) -> None:
    assert service_rps(model, "database") == 600.0
    assert service_rps(model, "database", more_connections=100.0) == 800.0
    assert service_rps(model, "login") == 400.0
    assert math.isinf(service_rps(model, "log"))


def test_service_capacity_follows_replicas_and_degradation(
    model: Model, normal: SystemState
) -> None:
    assert replicas_up(model, "login", normal) == 3.0
    assert replicas_up(model, "database", normal) == 1.0
    hit = replace(normal, replicas_down={"login": 2}, services_down=frozenset({"log", "desk"}))
    assert replicas_up(model, "login", hit) == 1.0
    assert degradation(model, "login", hit) == 0.5
    assert degradation(model, "desk", hit) == 0.0
    assert degradation(model, "desk", hit, itself_up=True) == 1.0
