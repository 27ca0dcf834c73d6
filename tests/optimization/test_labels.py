"""Names of variables, rows and keys: no two things share one, whatever they are called."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from support import model_of, often, solved

from planner.optimization.formulation.labels import joined, label
from planner.optimization.formulation.problem import offer_target
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings

#: Names that joined by dots, dashes, underscores or nothing look like others.
NAMES = ("a", "b", "c", "a.b", "b.c", "a.b.c", "a-b", "a_b", "b-c", "a@b", "offer", "normal", "x0")
KINDS = {"region": 2, "cluster": 2, "unit": 2, "plant": 2, "tier": 2, "zone": 2, "offer": 2}

MODEL = """
regions:
  {region[0]}: {{power_limit_mw: 50.0, electricity_usd_per_mwh: 50.0}}
  {region[1]}: {{power_limit_mw: 50.0, electricity_usd_per_mwh: 60.0}}
gpus:
  g: {{power_mw: 0.001, static_share: 0.2, rps: 1.0, capital_usd: 10000.0}}
clusters:
  {cluster[0]}: {{region: {region[0]}, gpu: g, block_gpus: 10, max_gpus: 5000}}
  {cluster[1]}: {{region: {region[1]}, gpu: g, existing_gpus: 300, block_gpus: 50, max_gpus: 900}}
cooling_units:
  {unit[0]}: {{capacity_mw: 1.0, capital_usd: 100000.0}}
  {unit[1]}: {{capacity_mw: 0.4, capital_usd: 50000.0}}
plants:
  {plant[0]}: {{region: {region[0]}, cools: [{cluster[0]}], options: [{unit[0]}, {unit[1]}],
               redundancy: 1, max_added: 9}}
  {plant[1]}: {{region: {region[1]}, cools: [{cluster[1]}], options: [{unit[1]}], redundancy: 1,
               existing: {{{unit[0]}: 1}}, max_added: 9}}
tiers:
  {tier[0]}: {{priority: 1, share: 0.5, latency_limit_ms: 40.0}}
  {tier[1]}: {{priority: 2, share: 0.5, value_usd_per_1000_requests: 0.4}}
zones:
  {zone[0]}: {{demand_rps: 700.0, latency_ms: {{{region[0]}: 10.0, {region[1]}: 30.0}}}}
  {zone[1]}: {{demand_rps: 400.0, latency_ms: {{{region[0]}: 50.0, {region[1]}: 20.0}}}}
offers:
  {offer[0]}: {{provider: p, gpus_per_instance: 8, available_gpus: 800, lead_time_minutes: 10.0,
               usd_per_instance_hour: 20.0, retainer_usd_per_instance_year: 900.0,
               rps_per_gpu: 1.0, region: {region[0]}}}
  {offer[1]}: {{provider: q, gpus_per_instance: 4, available_gpus: 400, lead_time_minutes: 30.0,
               usd_per_instance_hour: 9.0, retainer_usd_per_instance_year: 300.0,
               rps_per_gpu: 1.0, region: {region[1]}}}
finance: {{emergency_budget_usd: 2000000.0}}
standard:
  region: [{{tier: each, from_minute: 15, least_served: 0.6}}]
  common: [{{tier: each, from_minute: 5, least_served: 0.9}}]
generators:
  region: {{severity: region, frequency_per_year: 0.1, repair_hours: 5.0}}
  heat_wave: {{severity: common, frequency_per_year: 0.5, repair_hours: 24.0}}
"""
ORDINARY = {
    kind: tuple(f"{kind}{number}" for number in range(count)) for kind, count in KINDS.items()
}


def chosen() -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    """Names for everything; those of one kind differ, those of different kinds need not."""
    some = {
        kind: st.lists(st.sampled_from(NAMES), min_size=count, max_size=count, unique=True).map(
            tuple
        )
        for kind, count in KINDS.items()
    }
    return st.fixed_dictionaries(some)


@pytest.fixture(scope="module")
def ordinary_cost(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Cost of the plan with names that nobody confuses."""
    model = model_of(tmp_path_factory.mktemp("ordinary"), MODEL.format(**ORDINARY))
    return solved(model)[1].objective


SAME = dict.fromkeys(KINDS, ("a", "a.b"))
DOTS = {**dict.fromkeys(KINDS, ("a.b", "a")), "unit": ("c", "b.c"), "tier": ("b.c", "c")}


@pytest.mark.parametrize("name", ["highs", "cbc"])
@settings(
    max_examples=often(6, 60),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@example(names=SAME)
@example(names=DOTS)
@example(names={**SAME, "zone": ("a", "a_b"), "tier": ("b_c", "c"), "offer": ("a-b", "a_b")})
@given(names=chosen())
def test_the_plan_does_not_depend_on_names(tmp_path, ordinary_cost, name, names) -> None:
    model = model_of(tmp_path, MODEL.format(**names))

    programme, solution = solved(model, SolverSettings(name, gap=0.0))

    variables = [one.name for one in programme.problem.variables]
    rows = [one.name for one in programme.problem.constraints]
    assert len(set(variables)) == len(variables)
    assert len(set(rows)) == len(rows) == len(programme.constraints)
    assert rows == list(programme.constraints)
    assert solution.objective == pytest.approx(ordinary_cost, rel=1e-6)
    audit(programme, solution)


TEXT = st.text(st.sampled_from("ab.-_@ é/:"), min_size=1, max_size=4)
PLAIN = st.text(st.sampled_from("ab.-_@ é"), min_size=1, max_size=4)


class TestLabel:
    @given(st.lists(PLAIN, min_size=1, max_size=4), st.lists(PLAIN, min_size=1, max_size=4))
    @example(["a.b", "c"], ["a", "b.c"])
    @example(["a-b"], ["a_b"])
    @example(["a", ""], ["a"])
    def test_only_the_same_names_have_the_same_label(self, one, other) -> None:
        assert (label("f", *one) == label("f", *other)) == (one == other)

    @given(st.lists(PLAIN, min_size=1, max_size=4), st.lists(PLAIN, min_size=1, max_size=4))
    def test_only_the_same_names_have_the_same_key(self, one, other) -> None:
        assert (joined(*one) == joined(*other)) == (one == other)

    @given(TEXT)
    def test_file_formats_and_solvers_accept_any_label(self, text) -> None:
        found = label("family", text)
        assert found.isascii()
        assert not set(found) & set("-+[] */:")

    def test_names_as_people_write_them_stay_readable(self) -> None:
        assert label("blocks", "us-west-gpus") == "blocks.us_west_gpus"
        assert label("flow", joined("region-west", "4"), "cloud") == "flow.region_west.4.cloud"

    def test_an_offer_and_a_cluster_of_one_name_are_told_apart(self) -> None:
        assert offer_target("west-gpus") != "west-gpus"
