"""The graph and the questions asked of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.infrastructure.entities import Model, Service
from planner.infrastructure.graph import (
    Graph,
    blast_radius,
    build_graph,
    dependencies,
    down_nodes,
    node,
    offer_in_reach,
    reachable_regions,
    shared_supports,
    single_points_of_failure,
)
from planner.infrastructure.loading import load_model
from planner.scenarios.system_state import dependency_index

REFERENCE = load_model("chatgpt-2023").model
GRAPH = build_graph(REFERENCE)
TINY = load_model("tiny").model
NODES = sorted(GRAPH)


def edges(relation: str, source: str, target: str) -> set[tuple[str, str]]:
    """Names at both ends of the edges of a relation between two kinds of nodes."""
    kinds = GRAPH.nodes(data="kind")
    return {
        (one.split(":", 1)[1], other.split(":", 1)[1])
        for one, other, found in GRAPH.edges(data="relation")
        if found == relation and (kinds[one], kinds[other]) == (source, target)
    }


class TestReferenceModel:
    def test_every_entity_is_a_node(self):
        for kind in ("region", "cluster", "plant", "feed", "service", "tier", "zone", "offer"):
            names = {GRAPH.nodes[n]["name"] for n in GRAPH if GRAPH.nodes[n]["kind"] == kind}
            assert names == set(getattr(REFERENCE, f"{kind}s")), kind

    def test_relations(self):
        relations = set(nx.get_edge_attributes(GRAPH, "relation").values())
        assert relations == {"hosts", "cools", "powers", "depends_on", "routes_to", "supplies"}

    def test_cools(self):
        assert edges("cools", "plant", "cluster") == {
            (plant, cluster) for plant, e in REFERENCE.plants.items() for cluster in e.cools
        }
        assert ("us-west-loops", "us-west-primary") in edges("cools", "plant", "cluster")
        assert len(edges("cools", "plant", "cluster")) == 9

    def test_powers(self):
        """Batteries carry clusters, not the cooling; feed and generator carry both."""
        west = "us-west-feed"
        plants = {(west, n) for n, e in REFERENCE.plants.items() if e.region == "us-west"}
        for kind in ("feed", "generator"):
            assert {e for e in edges("powers", kind, "plant") if e[0] == west} == plants
            assert (west, "us-west-primary") in edges("powers", kind, "cluster")
        assert (west, "us-west-primary") in edges("powers", "ups", "cluster")
        assert edges("powers", "ups", "plant") == set()

    def test_depends_on(self):
        services = edges("depends_on", "service", "service")
        assert ("user-database", "authentication") in services
        assert ("edge-cache", "cdn") in services
        assert edges("depends_on", "service", "plant") == {
            ("us-west-cooling-control", "us-west-loops"),
            ("us-west-cooling-control", "us-west-chillers"),
            ("us-west-cooling-control", "us-west-standby"),
            ("us-east-cooling-control", "us-east-loops"),
            ("us-east-cooling-control", "us-east-chillers"),
        }
        assert edges("depends_on", "service", "tier") == {
            ("load-balancer", "enterprise_critical"),
            ("load-balancer", "enterprise_standard"),
            ("load-balancer", "research_priority"),
            ("cdn", "consumer_plus"),
            ("cdn", "consumer_free"),
        }

    def test_routes_and_supplies(self):
        """All zones reach all regions within the longest limit, 400 ms."""
        everywhere = {(c, z) for c in REFERENCE.clusters for z in REFERENCE.zones}
        assert edges("routes_to", "cluster", "zone") == everywhere
        latency = GRAPH.edges["cluster:us-east-backup", "zone:europe"]["latency_ms"]
        assert latency == REFERENCE.zones["europe"].latency_ms["us-east"] == 84
        assert edges("supplies", "provider", "offer") == {
            ("aws", "aws-p4d"),
            ("gcp", "gcp-a2-ultra"),
            ("azure", "azure-nd-a100"),
        }
        assert edges("supplies", "cluster", "service") == {
            (cluster, "gpu-clusters") for cluster in REFERENCE.clusters
        }
        assert len(edges("supplies", "offer", "zone")) == 12

    def test_four_planes(self):
        planes: dict[str, set[str]] = {}
        for name, entry in REFERENCE.services.items():
            planes.setdefault(entry.plane, set()).add(name)
            assert GRAPH.nodes[node("service", name)]["plane"] == entry.plane
        assert planes["edge"] == {"cdn", "load-balancer", "firewall", "edge-cache"}
        assert planes["service"] == {"web", "api", "inference", "authentication", "request-queue"}
        assert {"user-database", "session-store", "model-store"} <= planes["state"]
        assert {"gpu-clusters", "monitoring", "auto-scaling", "deployment"} <= planes["control"]

    def test_chain_from_gpu_to_edge(self):
        chain = ["cluster:us-west-primary", "service:gpu-clusters", "service:inference"]
        chain += ["service:api", "service:web", "service:cdn", "tier:consumer_free"]
        assert nx.is_path(GRAPH, chain)
        assert nx.is_directed_acyclic_graph(GRAPH)


class TestBlastRadius:
    def test_of_a_region(self):
        radius = blast_radius(GRAPH, "region:us-west")
        for name in (
            "cluster:us-west-primary",
            "plant:us-west-loops",
            "plant:us-west-standby",
            "plant:us-west-emergency",
            "feed:us-west-feed",
            "ups:us-west-feed",
            "generator:us-west-feed",
            "replica:user-database@us-west#1",
            "service:us-west-cooling-control",
        ):
            assert name in radius
        assert "region:us-west" not in radius
        assert not [name for name in radius if name.startswith(("tier:", "zone:"))]
        services = {name for name in radius if name.startswith("service:")}
        assert services == {"service:us-west-cooling-control"}
        assert not [name for name in radius if "us-east" in name or "eu-west" in name]

    def test_of_both_regions_with_replicas(self):
        down = down_nodes(GRAPH, ["region:us-west", "region:us-east"])
        assert {f"tier:{name}" for name in REFERENCE.tiers} <= down
        assert "cluster:eu-west" not in down

    def test_of_a_service(self):
        assert blast_radius(GRAPH, "service:session-store") == {
            "service:web",
            "service:cdn",
            "tier:consumer_plus",
            "tier:consumer_free",
        }
        assert {f"tier:{name}" for name in REFERENCE.tiers} <= blast_radius(
            GRAPH, "service:model-store"
        )

    @pytest.mark.parametrize("name", ["logging-database", "monitoring", "edge-cache"])
    def test_of_a_service_that_only_degrades_others(self, name):
        assert blast_radius(GRAPH, f"service:{name}") == frozenset()

    def test_of_a_cooling_control(self):
        """The 2023 lesson: standby cooling hangs on the controls that it should replace."""
        assert blast_radius(GRAPH, "service:us-west-cooling-control") == {
            "plant:us-west-loops",
            "plant:us-west-chillers",
            "plant:us-west-standby",
        }

    def test_of_all_plants_of_a_cluster(self):
        plants = [f"plant:us-west-{name}" for name in ("loops", "standby", "emergency")]
        assert "cluster:us-west-primary" not in down_nodes(GRAPH, plants[:2])
        assert "cluster:us-west-primary" in down_nodes(GRAPH, plants)
        ignoring = frozenset({"cools"})
        assert "cluster:us-west-primary" not in down_nodes(GRAPH, plants, ignoring)

    def test_of_power(self):
        """A cluster is up while feed, batteries or generator are; a plant needs one of two."""
        feed, ups, generator = (f"{kind}:us-west-feed" for kind in ("feed", "ups", "generator"))
        assert blast_radius(GRAPH, feed) == frozenset()
        assert "plant:us-west-loops" in down_nodes(GRAPH, [feed, generator])
        assert "cluster:us-west-primary" not in down_nodes(
            GRAPH, [feed, generator], frozenset({"cools"})
        )
        assert "cluster:us-west-primary" in down_nodes(GRAPH, [feed, generator, ups])

    def test_the_blast_radius_of_an_unknown_node_is_an_error(self):
        with pytest.raises(KeyError):
            blast_radius(GRAPH, "region:nowhere")
        assert down_nodes(GRAPH, ["region:nowhere"]) == frozenset()


class TestSinglePointsOfFailure:
    def test_reference_has_no_place_or_machine(self):
        points = single_points_of_failure(GRAPH)
        assert set(points) == set(REFERENCE.tiers)
        for nodes in points.values():
            assert nodes
            assert all(name.startswith("service:") for name in nodes)
        assert "service:session-store" in points["consumer_free"]
        assert "service:session-store" not in points["enterprise_critical"]
        assert "service:logging-database" not in points["consumer_free"]

    def test_one_replica_region_is_one(self):
        model = load_model("chatgpt-2023", ("services.user-database.replicas={us-west: 2}",)).model
        for tier, nodes in single_points_of_failure(build_graph(model)).items():
            places = [name for name in nodes if not name.startswith("service:")]
            assert places == ["region:us-west"], tier

    def test_one_replica_is_one(self):
        model = load_model("chatgpt-2023", ("services.session-store.replicas={us-east: 1}",)).model
        points = single_points_of_failure(build_graph(model))
        assert "replica:session-store@us-east#1" in points["consumer_plus"]
        assert "replica:session-store@us-east#1" not in points["enterprise_critical"]

    def test_a_tier_without_an_entry_has_none_in_two_regions(self, tiny):
        points = single_points_of_failure(build_graph(tiny.model))
        assert points == {"business": (), "free": ()}

    def test_the_only_region_that_a_tier_reaches_is_one(self, tiny):
        """West is 70 ms away from east: beyond the limit of `business`, within that of `free`."""
        near = tiny.model.tiers["business"].replace(latency_limit_ms=40.0)
        zones = {"west-users": tiny.model.zones["west-users"]}
        model = tiny.model.replace(tiers=tiny.model.tiers | {"business": near}, zones=zones)
        points = single_points_of_failure(build_graph(model))
        alone = ("cluster:west-gpus", "region:west")
        assert points == {"business": alone, "free": ()}

    def test_the_only_cluster_with_gpus_is_one(self, tiny):
        """Whatever could be bought elsewhere."""
        graph = build_graph(tiny.model)
        points = single_points_of_failure(graph, frozenset({"cluster:east-gpus"}))
        assert points["free"] == points["business"] == ("cluster:west-gpus", "region:west")

    def test_a_tier_without_clusters_is_left_to_the_cloud_by_programme_and_simulation(self, tiny):
        index = dependency_index(tiny.model, build_graph(tiny.model))
        state = index.state(frozenset({"region:west", "region:east"}))
        assert not state.tiers_down


class TestIndependence:
    def test_of_emergency_from_primary_cooling(self):
        shared = shared_supports(GRAPH, "us-west-standby", "us-west-loops")
        assert shared == (
            "replica:us-west-cooling-control@us-west#1",
            "service:us-west-cooling-control",
        )
        assert shared_supports(GRAPH, "us-west-loops", "us-west-standby") == shared
        assert shared_supports(GRAPH, "us-west-emergency", "us-west-loops") == ()

    def test_a_second_control_makes_it_independent(self):
        model = load_model(
            "chatgpt-2023",
            (
                "services.us-west-second-control={plane: control, replicas: {us-west: 1}}",
                "plants.us-west-standby.depends_on=[us-west-second-control]",
            ),
        ).model
        assert shared_supports(build_graph(model), "us-west-standby", "us-west-loops") == ()

    def test_a_single_feed_is_shared(self):
        model = load_model("chatgpt-2023", ("feeds.us-west-feed.generator_mw=0",)).model
        shared = shared_supports(build_graph(model), "us-west-emergency", "us-west-loops")
        assert shared == ("feed:us-west-feed",)


class TestReach:
    def test_regions_within_the_limit_of_a_tier(self):
        """Europe is 146 ms from us-west, 84 from us-east, 226 from asia-pacific."""
        limits = {name: tier.latency_limit_ms for name, tier in REFERENCE.tiers.items()}
        assert (limits["enterprise_critical"], limits["enterprise_standard"]) == (150, 200)
        near = {"eu-west", "us-east", "us-west"}
        assert reachable_regions(REFERENCE, "europe", "enterprise_critical") == near
        assert reachable_regions(REFERENCE, "europe", "enterprise_standard") == near
        assert reachable_regions(REFERENCE, "europe", "consumer_free") == {*near, "asia-pacific"}
        assert reachable_regions(REFERENCE, "asia", "enterprise_critical") == {
            "asia-pacific",
            "us-west",
        }

    def test_the_limit_itself_is_within(self):
        model = load_model("tiny", ("tiers.business.latency_limit_ms=70",)).model
        assert reachable_regions(model, "west-users", "business") == {"west", "east"}
        model = load_model("tiny", ("tiers.business.latency_limit_ms=69.9",)).model
        assert reachable_regions(model, "west-users", "business") == {"west"}

    def test_a_region_not_named_is_out_of_reach(self):
        model = load_model("tiny", ("zones.west-users.latency_ms={west: 10}",)).model
        assert reachable_regions(model, "west-users", "free") == {"west"}
        graph = build_graph(model)
        assert graph.has_edge("cluster:west-gpus", "zone:west-users")
        assert not graph.has_edge("cluster:east-gpus", "zone:west-users")

    def test_offers(self):
        model = load_model("tiny", ("zones.west-users.latency_ms={west: 10}",)).model
        tier = model.tiers["business"]
        assert offer_in_reach(model, "west-users", "cloud", tier)
        placed = load_model(
            "tiny", ("zones.west-users.latency_ms={west: 10}", "offers.cloud.region=east")
        ).model
        assert not offer_in_reach(placed, "west-users", "cloud", None)
        assert offer_in_reach(placed, "east-users", "cloud", tier)
        strict = tier.replace(latency_limit_ms=9.0)
        assert not offer_in_reach(placed, "east-users", "cloud", strict)
        assert offer_in_reach(placed, "east-users", "cloud", tier.replace(latency_limit_ms=10.0))
        assert offer_in_reach(placed, "east-users", "cloud", None)
        assert not build_graph(placed).has_edge("offer:cloud", "zone:west-users")


def with_services(model: Model, **services: Service) -> Graph:
    named = {name: one.replace(name=name) for name, one in services.items()}
    return build_graph(model.replace(services=named))


class TestDependencies:
    """One rule states them all: of each group of supporters so many must be up."""

    def down(self, graph: Graph, *failed: str) -> set[str]:
        return {
            name.removeprefix("service:")
            for name in down_nodes(graph, failed)
            if name.startswith("service:")
        }

    def test_hard(self, tiny):
        one = Service(plane="state")
        top = Service(plane="service", depends_on=("a", "b"))
        graph = with_services(tiny.model, a=one, b=one, top=top)
        assert self.down(graph, "service:a") == {"a", "top"}
        assert self.down(graph, "service:b") == {"b", "top"}

    def test_soft(self, tiny):
        graph = with_services(
            tiny.model,
            a=Service(plane="state"),
            top=Service(plane="service", degrades_without=("a",)),
        )
        assert self.down(graph, "service:a") == {"a"}

    def test_any_of(self, tiny):
        one = Service(plane="state")
        graph = with_services(
            tiny.model, a=one, b=one, top=Service(plane="edge", any_of=("a", "b"))
        )
        assert self.down(graph, "service:a") == {"a"}
        assert self.down(graph, "service:a", "service:b") == {"a", "b", "top"}

    def test_any_of_and_hard_together(self, tiny):
        one = Service(plane="state")
        top = Service(plane="edge", any_of=("a", "b"), depends_on=("c",))
        graph = with_services(tiny.model, a=one, b=one, c=one, top=top)
        assert self.down(graph, "service:c") == {"c", "top"}
        assert self.down(graph, "service:a") == {"a"}

    def test_k_of_n_replicas(self, tiny):
        quorum = Service(plane="state", replicas={"west": 1, "east": 2}, needs_replicas=2)
        graph = with_services(tiny.model, quorum=quorum)
        assert self.down(graph, "region:west") == set()
        assert self.down(graph, "region:east") == {"quorum"}
        assert self.down(graph, "replica:quorum@east#1") == set()
        pair = ("replica:quorum@east#1", "replica:quorum@west#1")
        assert self.down(graph, *pair) == {"quorum"}

    def test_not_tied_to_a_region(self, tiny):
        graph = with_services(tiny.model, edge=Service(plane="edge"))
        assert self.down(graph, "region:west", "region:east") == set()

    def test_runs_on_any_of_its_clusters(self, tiny):
        graph = with_services(
            tiny.model, gpus=Service(plane="control", runs_on=("west-gpus", "east-gpus"))
        )
        assert self.down(graph, "region:west") == set()
        assert self.down(graph, "region:west", "cluster:east-gpus") == {"gpus"}

    def test_a_loop_through_machines(self, tiny):
        """A plant may need a service on the cluster that it cools: losing one loses all three."""
        plants = dict(tiny.model.plants)
        plants["west-chillers"] = plants["west-chillers"].replace(depends_on=("control",))
        del plants["west-air"]
        model = tiny.model.replace(plants=plants)
        graph = with_services(model, control=Service(plane="control", runs_on=("west-gpus",)))
        knot = {"service:control", "plant:west-chillers", "cluster:west-gpus"}
        assert down_nodes(graph, []) == frozenset()
        for name in knot:
            assert blast_radius(graph, name) == knot - {name}
        assert down_nodes(graph, ["service:control"], frozenset({"cools"})) == {
            "service:control",
            "plant:west-chillers",
        }


FAILED = st.sets(st.sampled_from(NODES), max_size=6)
RELATIONS = st.sampled_from([frozenset[str](), frozenset({"cools"}), frozenset({"depends_on"})])


@given(FAILED, FAILED, RELATIONS)
def test_more_failures_never_bring_anything_up(some, more, ignoring):
    down = down_nodes(GRAPH, some, ignoring)
    assert some <= down
    assert down <= down_nodes(GRAPH, some | more, ignoring)


@given(FAILED, RELATIONS)
def test_what_is_down_takes_nothing_more_down(some, ignoring):
    down = down_nodes(GRAPH, some, ignoring)
    assert down_nodes(GRAPH, down, ignoring) == down


@given(FAILED)
def test_ignoring_a_relation_takes_less_down(some):
    assert down_nodes(GRAPH, some, frozenset({"cools"})) <= down_nodes(GRAPH, some)


@st.composite
def service_webs(draw: st.DrawFn) -> dict[str, Service]:
    """Services that depend on earlier ones in every way there is."""
    webs: dict[str, Service] = {}
    for index in range(draw(st.integers(1, 6))):
        earlier = draw(st.permutations(list(webs)))
        cuts = sorted(draw(st.lists(st.integers(0, len(earlier)), min_size=3, max_size=3)))
        replicas = draw(
            st.dictionaries(st.sampled_from(["west", "east"]), st.integers(1, 3), max_size=2)
        )
        webs[f"s{index}"] = Service(
            name=f"s{index}",
            plane="service",
            depends_on=tuple(earlier[: cuts[0]]),
            any_of=tuple(earlier[cuts[0] : cuts[1]]),
            degrades_without=tuple(earlier[cuts[1] : cuts[2]]),
            replicas=replicas,
            needs_replicas=draw(st.integers(0, sum(replicas.values()))) if replicas else 1,
            runs_on=draw(st.sampled_from([(), ("west-gpus",), ("west-gpus", "east-gpus")])),
        )
    return webs


def is_up(name: str, webs: dict[str, Service], failed: set[str]) -> bool:
    """What the docstrings of `Service` say, without a graph."""
    one = webs[name]
    where = {"west-gpus": "west", "east-gpus": "east"}
    alive = sum(n for region, n in one.replicas.items() if f"region:{region}" not in failed)
    return (
        f"service:{name}" not in failed
        and all(is_up(other, webs, failed) for other in one.depends_on)
        and (not one.any_of or any(is_up(other, webs, failed) for other in one.any_of))
        and (not one.replicas or alive >= one.needs_replicas)
        and (not one.runs_on or any(f"region:{where[c]}" not in failed for c in one.runs_on))
    )


@given(service_webs(), st.data())
def test_down_nodes_agree_with_the_meaning_of_services(webs, data):
    graph = build_graph(TINY.replace(services=webs))
    choices = [f"service:{name}" for name in webs] + ["region:west", "region:east"]
    failed = data.draw(st.sets(st.sampled_from(choices), max_size=3))
    down = down_nodes(graph, failed)
    for name in webs:
        assert (f"service:{name}" not in down) == is_up(name, webs, failed)


def down_by_trying(graph: Graph, failed: Iterable[str], ignoring: frozenset[str]) -> set[str]:
    """What the module says, node by node until nothing changes: slow and plain."""
    down = set(failed) & set(graph)
    while True:
        more = {name for name in set(graph) - down if lacks_support(graph, name, down, ignoring)}
        if not more:
            return down
        down |= more


def lacks_support(graph: Graph, name: str, down: set[str], ignoring: frozenset[str]) -> bool:
    up: dict[str, int] = {}
    for source, _, data in graph.in_edges(name, data=True):
        if data["relation"] not in ignoring:
            up[data["group"]] = up.get(data["group"], 0) + (source not in down)
    return any(count < graph.nodes[name]["needs"][group] for group, count in up.items())


@st.composite
def random_graphs(draw: st.DrawFn) -> Graph:
    """Any graph: loops, nodes that support themselves, groups that need more than there is."""
    names = [f"n{index}" for index in range(draw(st.integers(1, 9)))]
    graph: Graph = nx.DiGraph()
    for name in names:
        graph.add_node(name, needs={})
    ends = st.tuples(st.sampled_from(names), st.sampled_from(names))
    for source, target in draw(st.lists(ends, max_size=30)):
        group = draw(st.sampled_from("abc"))
        relation = draw(st.sampled_from(["cools", "powers", "hosts"]))
        graph.add_edge(source, target, relation=relation, group=group)
        graph.nodes[target]["needs"][group] = draw(st.sampled_from([1, 1, 1, 2, 0, 3]))
    return graph


IGNORED = st.frozensets(st.sampled_from(["cools", "powers", "hosts"]))


@given(random_graphs(), st.data(), IGNORED)
def test_prepared_graphs_agree_with_removal_of_nodes(graph, data, ignoring):
    failed = data.draw(st.frozensets(st.sampled_from([*graph, "nowhere"]), max_size=4))
    expected = down_by_trying(graph, failed, ignoring)
    assert down_nodes(graph, failed, ignoring) == expected
    nx.freeze(graph)
    assert down_nodes(graph, failed, ignoring) == expected
    again = data.draw(st.frozensets(st.sampled_from(list(graph)), max_size=4))
    assert down_nodes(graph, again, ignoring) == down_by_trying(graph, again, ignoring)


@given(FAILED, RELATIONS)
def test_down_nodes_of_the_reference_agree_with_removal_of_nodes(failed, ignoring):
    assert down_nodes(GRAPH, failed, ignoring) == down_by_trying(GRAPH, failed, ignoring)


class TestPrepared:
    def test_a_graph_that_is_built_is_frozen_and_prepared_once(self):
        graph = build_graph(TINY)
        with pytest.raises(nx.NetworkXError, match="Frozen"):
            graph.remove_node("region:west")
        assert dependencies(graph) is dependencies(graph)
        assert dependencies(graph) is not dependencies(graph, frozenset({"cools"}))

    def test_a_copy_may_be_changed_and_is_not_stale(self):
        graph = build_graph(TINY)
        assert down_nodes(graph, ["plant:east-chillers"]) == {
            "plant:east-chillers",
            "cluster:east-gpus",
        }
        copy = nx.DiGraph(graph)
        assert "cluster:east-gpus" in down_nodes(copy, ["plant:east-chillers"])
        copy.add_edge("plant:west-air", "cluster:east-gpus", relation="cools", group="cooling")
        assert down_nodes(copy, ["plant:east-chillers"]) == {"plant:east-chillers"}
        assert "cluster:east-gpus" in down_nodes(graph, ["plant:east-chillers"])

    def test_what_is_prepared_goes_with_the_graph(self):
        graph = build_graph(TINY)
        prepared = weakref.ref(dependencies(graph))
        del graph
        gc.collect()
        assert prepared() is None

    def test_without_power(self):
        feed, ups, generator = (f"{kind}:us-west-feed" for kind in ("feed", "ups", "generator"))
        depends = dependencies(GRAPH)
        plants = {f"plant:{n}" for n, one in REFERENCE.plants.items() if one.region == "us-west"}
        assert depends.without_power(frozenset({feed})) == frozenset()
        assert depends.without_power(frozenset({feed, generator})) == plants
        assert depends.without_power(frozenset({feed, generator, ups})) == {
            *plants,
            "cluster:us-west-primary",
        }
        assert dependencies(build_graph(TINY)).without_power(frozenset()) == frozenset()
