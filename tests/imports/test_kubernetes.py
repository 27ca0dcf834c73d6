"""Nodes and pods of Kubernetes as a model."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planner.errors import InputError
from planner.imports.inventory import Asked, Inventory
from planner.imports.kubernetes import NAMES, read_kubernetes
from planner.imports.model_text import completed, model_text
from planner.infrastructure.graph import blast_radius, build_graph
from planner.infrastructure.loading import load_model

LIST = Path(__file__).with_name("kubernetes.json")
EAST, WEST = "us-east-1a-h100-80gb-hbm3", "us-west-2a-a10g"


def imported(path: Path, planned: bool = False, **names: str) -> Inventory:
    return completed(read_kubernetes(Asked(path, planned=planned, names={**NAMES, **names})))


def changed(folder: Path, change: Callable[[list[Any]], None]) -> Path:
    """The list with other items."""
    found = json.loads(LIST.read_bytes())
    change(found["items"])
    path = folder / "changed.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def gpus(inventory: Inventory) -> dict[str, int]:
    return {n: f["existing_gpus"].value for n, f in inventory.sections["clusters"].items()}


def said(inventory: Inventory, kind: str) -> str:
    return "\n".join(f"{f.subject}: {f.text}" for f in inventory.findings if f.kind == kind)


def test_ready_nodes_are_clusters_by_zone():
    found = imported(LIST)
    # Five of six nodes with four H100s each are ready; one has lost a GPU. Sixteen A10G are four.
    assert gpus(found) == {EAST: 4 * 8, "us-east-1b-h100-80gb-hbm3": 3 * 8 + 7, WEST: 3 * 4}
    assert found.sections["gpus"]["h100-80gb-hbm3"]["from"].value == "H100-SXM5-80GB"
    left_out = said(found, "left out")
    assert "ip-10-0-2-5.ec2.internal: Ready, SchedulingDisabled, 8 GPUs" in left_out
    assert "ip-10-0-1-9.ec2.internal: NotReady, 8 GPUs" in left_out
    assert "7 of its 8 GPUs are allocatable" in said(found, "suspect")
    assert "dedicated=embeddings:NoSchedule" in said(found, "suspect")
    assert "MIG slices" in said(found, "missing")
    assert sum(gpus(imported(LIST, planned=True)).values()) == sum(gpus(found).values()) + 16


def test_pods_say_what_serves_what(tmp_path):
    found = imported(LIST)
    services = found.sections["services"]
    assert services.keys() == {"serving-chat", "serving-embed", "serving-moderate"}
    assert services["serving-chat"]["replicas"].value == {"us-east-1": 7}
    assert services["serving-embed"]["runs_on"].value == [WEST]
    # 50 of chat, 8 of embed, 4 shared by four of moderate: 1; 7 of a job; a pod that waits: none.
    assert found.sections["zones"]["users"]["demand_rps"].value == 50 + 8 + 1 + 7
    tiers = found.sections["tiers"]
    assert [(n, f["priority"].value) for n, f in tiers.items()] == [
        ("interactive", 1),
        ("batch", 2),
    ]
    assert tiers["batch"]["share"].value == pytest.approx(7 / 66)
    assert "pods of research eval: wait for GPUs" in said(found, "suspect")
    path = tmp_path / "model.yaml"
    path.write_text(model_text(found), encoding="utf-8")
    graph = build_graph(load_model(path).model)
    assert {f"cluster:{WEST}", "service:serving-embed", "plant:us-west-2a-cooling"} <= blast_radius(
        graph, "feed:us-west-2a"
    )


def test_a_folder_and_other_kinds_are_read(tmp_path):
    items = json.loads(LIST.read_bytes())["items"]
    for kind in ("Node", "Pod"):
        part = [item for item in items if item["kind"] == kind]
        part.append({"kind": "Service", "metadata": {"name": "x"}, "spec": {"containers": 3}})
        text = json.dumps({"kind": "List", "items": part})
        (tmp_path / f"{kind}.json").write_text(text, encoding="utf-8")
    assert imported(tmp_path) == imported(LIST)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_what_kubectl_prints_is_read(tmp_path):
    """kubectl decodes the objects by their types and prints them: nothing is lost or renamed."""
    command = ["kubectl", "annotate", "--local", "-f", str(LIST), "a=b", "-o", "json"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    items = json.loads(f"[{printed.strip().replace('}\n{', '},{')}]")
    path = changed(tmp_path, lambda found: found.__setitem__(slice(None), items))
    assert imported(path) == imported(LIST)


def test_clusters_whose_nodes_have_the_same_names_are_told(tmp_path):
    shutil.copy(LIST, tmp_path / "one.json")
    text = LIST.read_text(encoding="utf-8").replace("00000000-0000-4000-8", "00000000-0000-4000-b")
    (tmp_path / "two.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"two\.json: Node .*: another node has this name"):
        imported(tmp_path)


def test_other_vendors_have_other_names(tmp_path):
    text = LIST.read_text(encoding="utf-8").replace("nvidia.com/gpu", "amd.com/gpu")
    path = tmp_path / "amd.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"no node in place has GPUs: allocatable `nvidia\.com/gpu`"
    ):
        imported(path)
    names = {key: NAMES[key].replace("nvidia", "amd") for key in ("gpus", "gpu", "replicas")}
    assert imported(path, **names) == imported(LIST)


def test_nodes_without_labels_are_asked_for(tmp_path):
    def bare(items):
        for item in items:
            item["metadata"].pop("labels", None)

    found = imported(changed(tmp_path, bare))
    assert sum(gpus(found).values()) == 9 * 8 - 1 + 4 + 4 + 16 - 8
    assert "no label topology.kubernetes.io/region" in said(found, "missing")
    assert "no label nvidia.com/gpu.product" in said(found, "missing")


def test_what_is_no_number_is_told(tmp_path):
    def break_two(items):
        items[0]["status"]["allocatable"]["nvidia.com/gpu"] = "many"
        items[-1]["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/gpu": "-1"}

    with pytest.raises(InputError) as raised:
        imported(changed(tmp_path, lambda items: items[1]["status"].update(conditions="good")))
    assert "items.1.status.conditions: input should be a valid array" in str(raised.value)
    with pytest.raises(InputError) as raised:
        imported(changed(tmp_path, break_two))
    assert "Node ip-10-0-1-1.ec2.internal: nvidia.com/gpu: expected a whole" in str(raised.value)
    assert "not '-1'" in str(raised.value)
