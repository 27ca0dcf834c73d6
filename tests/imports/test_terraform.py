"""Plans and states of Terraform as models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.errors import InputError
from planner.imports.inventory import Asked, Inventory
from planner.imports.model_text import completed, model_text
from planner.imports.terraform import KINDS, instances, read_terraform
from planner.infrastructure.loading import load_model

PLAN = Path(__file__).with_name("terraform-plan.json")


def imported(path: Path, planned: bool = False) -> Inventory:
    return completed(read_terraform(Asked(path, planned=planned)))


def resources(folder: Path, *found: dict[str, Any], **more: Any) -> Path:
    """A state of some resources."""
    listed = [{"address": f"{r['type']}.{r['name']}", "mode": "managed", **r} for r in found]
    path = folder / "state.json"
    shown = {"format_version": "1.0", "values": {"root_module": {"resources": listed}}, **more}
    path.write_text(json.dumps(shown), encoding="utf-8")
    return path


def resource(kind: str, name: str = "x", **values: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "values": values}


def gpus(inventory: Inventory) -> dict[str, tuple[int, int]]:
    return {
        name: (fields["existing_gpus"].value, fields["max_gpus"].value)
        for name, fields in inventory.sections["clusters"].items()
    }


IN_PLACE = {
    "eastus-1-h100-80gb": (8, 8),
    "eastus-3-h100-80gb": (8, 8),
    # Three machines of two T4 in two zones, up to six.
    "europe-west2-a-t4": (4, 6),
    "europe-west2-b-t4": (2, 6),
    # Two nodes in each zone, up to three.
    "us-central1-a-h100-80gb": (16, 24),
    "us-central1-c-h100-80gb": (16, 24),
    "us-east-1a-a10g": (4, 4),
    "us-east-1a-h100-80gb": (24, 32),
    "us-east-1b-h100-80gb": (16, 32),
}


def test_a_plan_has_what_is_in_place_and_what_is_planned():
    assert gpus(imported(PLAN)) == IN_PLACE
    planned = imported(PLAN, planned=True)
    # Its template is known by reference alone: it has no id before it is made.
    assert gpus(planned) == IN_PLACE | {
        "us-east-1a-h100-80gb": (32, 32),
        "us-east-1b-h100-80gb": (24, 32),
        "us-west-2b-b200": (16, 32),
    }
    assert planned.sections["clusters"]["us-east-1a-h100-80gb"]["existing_gpus"].confidence == (
        "medium"
    )
    texts = {f.subject: f.text for f in planned.findings}
    assert "spot capacity" in texts["aws_instance.lab[0]"]
    assert "gpu_instances.csv" in texts["azurerm_linux_virtual_machine_scale_set.odd"]


def test_a_state_is_what_is_in_place(tmp_path):
    state = json.loads(PLAN.read_bytes())["prior_state"]
    path = tmp_path / "state.json"
    path.write_text(json.dumps(state), encoding="utf-8")
    assert gpus(imported(path)) == gpus(imported(path, planned=True)) == IN_PLACE


def test_idle_reservations_are_offers(tmp_path):
    found = imported(PLAN)
    (offer,) = found.sections["offers"].values()
    # Four are reserved in us-east-1b, of which two run there.
    assert (offer["existing_instances"].value, offer["available_gpus"].value) == (2, 16)
    assert offer["from"].value == "aws-p5"
    path = tmp_path / "model.yaml"
    path.write_text(model_text(found), encoding="utf-8")
    assert load_model(path).model.offers["reserved-us-east-1b-p5-48xlarge"].prepaid


def test_no_secret_of_a_state_reaches_the_model():
    text = model_text(imported(PLAN, planned=True))
    for secret in ("IyEvYmlu", "ami-0123", "111122223333", "10.0.1.0", "subnet-0aaa"):
        assert secret in PLAN.read_text(encoding="utf-8")
        assert secret not in text


MACHINE = {"azurerm": "Standard_ND96isr_H100_v5", "aws": "p5.48xlarge", "google": "a3-highgpu-8g"}


@pytest.mark.parametrize("kind", [kind for kind, about in KINDS.items() if not about.reserved])
def test_every_kind_of_machine_counts(tmp_path, kind):
    """Three machines, said as the documentation of each provider says it."""
    about, machine = KINDS[kind], MACHINE[kind.split("_")[0]]
    values: dict[str, Any] = {"zone": "europe-west1-b", "location": "europe-west1"}
    template = []
    if about.templates and kind.startswith("google"):
        template = [resource(about.templates.split()[0], "t", id="t-1", machine_type=machine)]
        values["version"] = [{"instance_template": "t-1"}]
    else:
        put(values, about.machine.split()[-1], machine)
    for path in about.count.split()[:1]:
        put(values, path, 3)
    if about.most:
        put(values, about.most, 5)
    found = gpus(imported(resources(tmp_path, *template, resource(kind, **values))))
    each = 24 if about.count else 8
    assert list(found.values()) == [(each, 40 if about.most else each)]


def put(values: dict[str, Any], path: str, value: Any) -> None:
    *blocks, last = path.split(".")
    for block in blocks:
        values = values.setdefault(block, [{}])[0]
    values[last] = value


def test_what_a_template_does_not_say_is_asked_for(tmp_path):
    """A group whose template is in another state, and one in no region."""
    group = resource("aws_autoscaling_group", "elsewhere", desired_capacity=2)
    odd = resource("aws_instance", "odd", instance_type="p5.48xlarge")
    either = {
        "instance_types": ["p5.48xlarge", "p4d.24xlarge"],
        "scaling_config": [{"desired_size": 1}],
    }
    several = resource("aws_eks_node_group", "several", **either)
    found = imported(resources(tmp_path, group, odd, several))
    assert gpus(found) == {"one-region-h100-80gb": (16, 16)}
    assert any("may be of several types" in finding.text for finding in found.findings)
    texts = {f.subject: f.text for f in found.findings}
    assert "template that is not here" in texts["aws_autoscaling_group.elsewhere"]
    assert "region: neither it nor its provider says it" in texts["aws_instance.odd"]


def test_instances_of_offers_have_the_gpus_of_the_offers():
    from planner.infrastructure.catalogue import catalogue

    for offer in catalogue("cloud_offers.csv").values():
        for name in (offer["instance"], f"Standard_{offer['instance']}"):
            if name in instances():
                gpu, count = instances()[name]
                assert count == offer["gpus_per_instance"]
                assert gpu.split("-")[0] == offer["gpu"].split("-")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format_version": "2.0"}', "format_version: string should match pattern"),
        ('{"format_version": "1.0"}', "expected `terraform show -json`"),
        ('{"version": 4, "resources": []}', "format_version: field required"),
        ('{"format_version": "1.0", "values": {}}', "no machine with GPUs is in place"),
    ],
)
def test_terraform_refuses(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        imported(path)
