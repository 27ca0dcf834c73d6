"""Kubernetes: nodes with GPUs become clusters by zone, what asks for GPUs services and tiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, Field

from planner.amounts import counted
from planner.errors import InputError, Problem, refuse
from planner.imports.drafts import UNKNOWN_OF_CLOUDS, Draft, Pool, add_pools
from planner.imports.inventory import Asked, Importer, Inventory, Stated, Total
from planner.imports.reading import read_files
from planner.infrastructure.source import MOST_VALUES

#: What clusters may call otherwise.
NAMES = {
    "gpus": "nvidia.com/gpu",
    "gpu": "nvidia.com/gpu.product",
    "replicas": "nvidia.com/gpu.replicas",
    "region": "topology.kubernetes.io/region",
    "zone": "topology.kubernetes.io/zone",
}
INSTANCE = "node.kubernetes.io/instance-type"
MIG = "nvidia.com/mig-"
#: Replicas of a service that a model can have in a region.
MOST_REPLICAS = 1000
#: Taints that say what states and resources of a node say too.
OF_STATE = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
UNKNOWN = (
    *UNKNOWN_OF_CLOUDS,
    ("services", "what they depend on, and through which of them requests enter (`entry`)"),
    ("zones", "where users are, requests per second, shape of the week"),
)


class _Meta(BaseModel):
    name: str
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    ownerReferences: tuple[dict[str, Any], ...] = ()  # noqa: N815


class _Resources(BaseModel):
    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class _Container(BaseModel):
    resources: _Resources = _Resources()
    restartPolicy: str = ""  # noqa: N815


class _Spec(BaseModel):
    unschedulable: bool = False
    taints: tuple[dict[str, str], ...] = ()
    nodeName: str = ""  # noqa: N815
    containers: tuple[_Container, ...] = ()
    initContainers: tuple[_Container, ...] = ()  # noqa: N815
    priority: int = 0
    priorityClassName: str = ""  # noqa: N815


class _Status(BaseModel):
    allocatable: dict[str, str | int] = {}
    capacity: dict[str, str | int] = {}
    conditions: tuple[dict[str, Any], ...] = ()
    phase: str = ""


class _Item(BaseModel):
    kind: str
    metadata: _Meta
    spec: _Spec = _Spec()
    status: _Status = _Status()


def _known(items: Any) -> Any:
    """Items that are read; a list may have objects of any kind."""
    if not isinstance(items, list):
        return items
    return [i for i in items if not isinstance(i, dict) or i.get("kind") in ("Node", "Pod")]


class _List(BaseModel):
    kind: str
    items: Annotated[tuple[_Item, ...], BeforeValidator(_known), Field(max_length=MOST_VALUES)]


class _Home(NamedTuple):
    """Where pods of a node run: region, cluster, and among how many pods a GPU is shared."""

    region: str
    cluster: str
    parts: int


def read_kubernetes(asked: Asked) -> Inventory:
    """Read what ``kubectl get nodes,pods -A -o json`` printed: a file, or a folder of such.

    Raises
    ------
    InputError
        With all problems of all files, or if no node in place has GPUs.
    """
    assert asked.path is not None
    draft, problems = Draft("kubernetes"), list[Problem]()
    nodes, pods = dict[str, _Item](), list[_Item]()
    for file, found in read_files(asked.path, _List):
        for item in found.items:
            problems += _bad_amounts(file, item, asked.names["gpus"])
            if item.kind == "Pod":
                pods.append(item)
            elif (
                nodes.setdefault(name := item.metadata.name, item).metadata.uid != item.metadata.uid
            ):
                text = "another node has this name; import each of both clusters by itself"
                problems.append(Problem(file, 0, 0, f"Node {name}", text))
    refuse(problems)
    pools, totals = dict[str, Pool](), Counter[tuple[str, str]]()
    for name, node in nodes.items():
        state, pool = _state(node), _pool(draft, node, asked.names)
        if pool is None:
            continue
        totals[pool.region, state] += pool.gpus
        if state == "Ready" or asked.planned:
            pools[name] = pool
        else:
            draft.find("left out", f"node {name}", f"{state}, {counted(pool.gpus, 'GPU')} each")
    if not pools:
        message = f"no node in place has GPUs: allocatable `{asked.names['gpus']}`"
        hint = "" if asked.planned else "; --planned counts those that are cordoned or not ready"
        raise InputError.single(asked.place, message + hint)
    named = add_pools(draft, tuple(pools.values()), "allocatable GPUs of its nodes")
    homes = {
        name: _Home(*named[pool.region, pool.zone, pool.gpu], _parts(nodes[name], asked.names))
        for name, pool in pools.items()
    }
    _add_demand(draft, pods, homes, asked.names["gpus"])
    sums = (Total(region, "GPUs", state, n) for (region, state), n in sorted(totals.items()))
    return draft.inventory(UNKNOWN, tuple(sums))


def _bad_amounts(file: str, item: _Item, resource: str) -> Iterable[Problem]:
    amounts = [item.status.allocatable, item.status.capacity]
    for container in (*item.spec.containers, *item.spec.initContainers):
        amounts += [container.resources.requests, container.resources.limits]
    for found in amounts:
        text = str(found.get(resource, 0))
        if not (text.isascii() and text.isdigit() and len(text) <= 6):
            where = f"{item.kind} {item.metadata.name}: {resource}"
            yield Problem(file, 0, 0, where, f"expected a whole number, not {text[:40]!r}")


def _state(node: _Item) -> str:
    """State of a node, in the words of kubectl."""
    ready = any(
        said.get("type") == "Ready" and said.get("status") == "True"
        for said in node.status.conditions
    )
    cordoned = "SchedulingDisabled" if node.spec.unschedulable else ""
    return ", ".join(part for part in ("Ready" if ready else "NotReady", cordoned) if part)


def _pool(draft: Draft, node: _Item, names: Mapping[str, str]) -> Pool | None:
    """The GPUs of a node; None if it has none that are counted."""
    labels, here = node.metadata.labels, f"node {node.metadata.name}"
    have = int(node.status.allocatable.get(names["gpus"], 0))
    product = labels.get(names["gpu"], "")
    parts = _parts(node, names)
    if "-MIG-" in product or any(
        key.startswith(MIG) and value not in ("0", 0)
        for key, value in node.status.allocatable.items()
    ):
        draft.find("missing", here, "number of GPUs: they are cut into MIG slices")
        return None
    if not have:
        if product:
            draft.find("missing", here, f"number of GPUs: none of `{names['gpus']}` is allocatable")
        return None
    if parts > 1:
        draft.find("suspect", here, f"shares each GPU among {parts}: counted once")
    if have < int(node.status.capacity.get(names["gpus"], have)):
        of = node.status.capacity[names["gpus"]]
        draft.find("suspect", here, f"{have} of its {of} GPUs are allocatable: one may be broken")
    for taint in node.spec.taints:
        key = taint.get("key", "")
        if key != names["gpus"] and not key.startswith(OF_STATE):
            text = f"{key}={taint.get('value', '')}:{taint.get('effect', '')}"
            draft.find("suspect", here, f"only pods that tolerate {text!a} may use its GPUs")
    kind = labels.get(INSTANCE, "")
    if not product:
        draft.find("missing", here, f"type of its GPUs: no label {names['gpu']}")
    region, zone = labels.get(names["region"], ""), labels.get(names["zone"], "")
    if not region:
        draft.find("missing", here, f"region: no label {names['region']}")
    gpu = product.removeprefix("NVIDIA-").removesuffix("-SHARED") or kind or "gpu"
    count = max(1, have // parts)
    return Pool(region or "one-region", zone, gpu, count, count, kind or "nodes")


def _parts(node: _Item, names: Mapping[str, str]) -> int:
    """Among how many pods each GPU of a node is shared by time."""
    text = node.metadata.labels.get(names["replicas"], "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 5 else 1


def _requested(pod: _Item, resource: str) -> int:
    """GPUs that a pod asks for: its containers together, or one that initialises, if more."""

    def of(container: _Container) -> int:
        asked = container.resources
        return int(asked.requests.get(resource, asked.limits.get(resource, 0)))

    beside = [of(c) for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    first = [of(c) for c in pod.spec.initContainers if c.restartPolicy != "Always"]
    return max(sum(map(of, pod.spec.containers)) + sum(beside), *first, 0)


def _workload(pod: _Item) -> tuple[str, str]:
    """Kind and full name of what a pod belongs to."""
    meta = pod.metadata
    owners = [owner for owner in meta.ownerReferences if owner.get("controller") is True]
    kind, name = (str((owners or [{}])[0].get(key, "")) for key in ("kind", "name"))
    stem = name.removesuffix(f"-{meta.labels.get('pod-template-hash', '')}")
    if kind == "ReplicaSet" and stem != name:
        kind = "Deployment"
    return kind or "Pod", f"{meta.namespace} {stem or meta.name}".strip()


def _add_demand(
    draft: Draft, pods: Iterable[_Item], homes: Mapping[str, _Home], resource: str
) -> None:
    """Add what uses the GPUs: services by workload, tiers by priority, demand as it asks for."""
    placed: dict[tuple[str, str], list[_Home]] = {}
    gpus, tiers = dict[tuple[str, str], float](), dict[tuple[int, str], float]()
    for pod in pods:
        workload, wanted = _workload(pod), _requested(pod, resource)
        if not wanted or pod.status.phase in ("Succeeded", "Failed"):
            continue
        if not pod.spec.nodeName:
            text = "wait for GPUs: their demand is not in the model"
            draft.find("suspect", f"pods of {workload[1]}", text)
        elif home := homes.get(pod.spec.nodeName):
            placed.setdefault(workload, []).append(home)
            tier = pod.spec.priority, pod.spec.priorityClassName or "no-priority-class"
            gpus[workload] = gpus.get(workload, 0.0) + wanted / home.parts
            tiers[tier] = tiers.get(tier, 0.0) + wanted / home.parts
    for (kind, name), count in sorted(gpus.items()):
        if kind == "Job":
            text = "is batch: state `checkpoint_minutes` of its tier if it yields to requests"
            draft.find("missing", f"job {name}", text)
            continue
        homes_of = placed[kind, name]
        pods_by_region = Counter(home.region for home in homes_of)
        fields = {
            "plane": Stated("service", "asks for GPUs", "medium", "pods"),
            "replicas": Stated(
                {r: min(n, MOST_REPLICAS) for r, n in pods_by_region.items()}, "pods"
            ),
            "runs_on": Stated(sorted({home.cluster for home in homes_of})),
        }
        draft.add("services", draft.names.new(name), f"{kind}, GPUs: {count:g}", fields)
    total = sum(tiers.values())
    if not total:
        draft.find("missing", "zones", "demand: no pod asks for GPUs")
        return
    for rank, ((priority, name), count) in enumerate(sorted(tiers.items(), reverse=True), 1):
        fields = {
            "priority": Stated(rank, f"pods' priority {priority}", "medium", "pods"),
            "share": Stated(
                count / total, f"{count:g} of {total:g} GPUs asked for", "medium", "pods"
            ),
        }
        draft.add("tiers", draft.names.new(name), f"priority class {name}", fields)
    demand = Stated(
        round(total, 6), "GPUs that pods ask for are busy at the peak", "medium", "pods"
    )
    draft.add("zones", "users", "", {"demand_rps": demand})


IMPORTER = Importer(read_kubernetes, NAMES)
