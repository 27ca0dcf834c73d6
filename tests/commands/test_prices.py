"""Prices of GPU instances from public price lists."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from planner.errors import InputError
from planner.imports.prices import read_prices, shipped_prices


def aws_product(instance: str = "p5.48xlarge", **others: str) -> dict[str, Any]:
    attributes = {
        "instanceType": instance,
        "regionCode": "us-east-1",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "gpu": "8",
    }
    return {"productFamily": "Compute Instance", "attributes": attributes | others}


def aws_terms(on_demand: str, **reserved: str) -> dict[str, Any]:
    def term(usd: str, unit: str = "Hrs", **attributes: str) -> dict[str, Any]:
        dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
        return {"priceDimensions": {"rate": dimension}, "termAttributes": attributes}

    plain = {"OfferingClass": "standard", "PurchaseOption": "No Upfront"}
    return {
        "OnDemand": {"a": term(on_demand)},
        "Reserved": {
            **{y: term(u, LeaseContractLength=y, **plain) for y, u in reserved.items()},
            "up": term("9", "Quantity", LeaseContractLength="1yr", **plain),
            "conv": term(
                "1", LeaseContractLength="1yr", **plain | {"OfferingClass": "convertible"}
            ),
        },
    }


def bulk() -> dict[str, Any]:
    """An offer file with one product that counts, and its likes that do not."""
    products = {
        "ok": aws_product(),
        "windows": aws_product(operatingSystem="Windows"),
        "dedicated": aws_product(tenancy="Dedicated"),
        "software": aws_product(preInstalledSw="SQL Ent"),
        "reserved": aws_product(capacitystatus="AllocatedCapacityReservation"),
        "cpu": aws_product("m5.large", gpu=""),
        "new": aws_product("p9.48xlarge", regionCode="eu-west-1"),
    }
    terms = {
        sku: aws_terms("55.04" if sku in ("ok", "new") else "1", **{"1yr": "34.9", "3yr": "23.777"})
        for sku in products
    }
    return {
        "formatVersion": "v1.0",
        "offerCode": "AmazonEC2",
        "publicationDate": "2026-09-17T00:00:00Z",
        "products": products,
        "terms": {
            kind: {sku: terms[sku][kind] for sku in products} for kind in ("OnDemand", "Reserved")
        },
    }


def bulk_csv() -> str:
    """The same offer file as CSV."""
    found, head = (
        bulk(),
        ["SKU", "TermType", "Unit", "PricePerUnit", "Currency", "LeaseContractLength"],
    )
    head += ["PurchaseOption", "OfferingClass", "Instance Type", "Region Code", "Operating System"]
    head += ["Tenancy", "Pre Installed S/W", "CapacityStatus", "GPU"]
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerows(
        [
            ["FormatVersion", "v1.0"],
            ["Disclaimer", "none"],
            ["Publication Date", "2026-09-17T00:00:00Z"],
        ]
    )
    writer.writerows([["Version", "1"], ["OfferCode", "AmazonEC2"], head])
    for sku, product in found["products"].items():
        a = product["attributes"]
        where = [a["instanceType"], a["regionCode"], a["operatingSystem"], a["tenancy"]]
        where += [a["preInstalledSw"], a["capacitystatus"], a["gpu"]]
        for kind, offers in found["terms"].items():
            for offer in offers[sku].values():
                (rate,), told = offer["priceDimensions"].values(), offer["termAttributes"]
                terms = [
                    told.get(k, "")
                    for k in ("LeaseContractLength", "PurchaseOption", "OfferingClass")
                ]
                writer.writerow(
                    [sku, kind, rate["unit"], rate["pricePerUnit"]["USD"], "USD", *terms, *where]
                )
    return stream.getvalue()


def query() -> dict[str, Any]:
    """What `aws pricing get-products` prints."""
    found = bulk()
    entries = [
        {
            "product": product,
            "publicationDate": found["publicationDate"],
            "terms": {kind: offers[sku] for kind, offers in found["terms"].items()},
        }
        for sku, product in found["products"].items()
    ]
    return {"PriceList": [json.dumps(entry) for entry in entries], "FormatVersion": "aws_v1"}


def azure() -> dict[str, Any]:
    def meter(price: float, sku: str = "ND96isr H100 v5", **others: Any) -> dict[str, Any]:
        return {
            "currencyCode": "USD",
            "retailPrice": price,
            "armRegionName": "eastus",
            "armSkuName": "Standard_ND96isr_H100_v5",
            "productName": "Virtual Machines NDsr H100 v5 Series",
            "skuName": sku,
            "meterName": sku,
            "type": "Consumption",
            "unitOfMeasure": "1 Hour",
            "effectiveStartDate": "2026-09-01T00:00:00Z",
        } | others

    items = [
        meter(98.32),
        meter(18.17, "ND96isr H100 v5 Spot"),
        meter(9.0, "ND96isr H100 v5 Low Priority"),
        meter(120.0, productName="Virtual Machines NDsr H100 v5 Series Windows"),
        meter(3 * 8760 * 43.2, type="Reservation", reservationTerm="3 Years"),
        meter(1.0, type="DevTestConsumption"),
        meter(1.0, currencyCode="EUR"),
        meter(0.1, armSkuName="Standard_D2s_v5"),
    ]
    return {"BillingCurrency": "USD", "Items": items, "NextPageLink": None, "Count": len(items)}


def google() -> dict[str, Any]:
    def sku(description: str, units: str, nanos: int, usage: str = "OnDemand") -> dict[str, Any]:
        rate = {
            "startUsageAmount": 0,
            "unitPrice": {"currencyCode": "USD", "units": units, "nanos": nanos},
        }
        return {
            "description": description,
            "category": {"resourceFamily": "Compute", "usageType": usage},
            "serviceRegions": ["us-central1", "us-east4"],
            "pricingInfo": [
                {
                    "effectiveTime": "2026-09-17T00:00:00Z",
                    "pricingExpression": {"usageUnit": "h", "tieredRates": [rate]},
                }
            ],
        }

    return {
        "skus": [
            sku("Nvidia H100 80GB GPU running in Americas", "9", 796550569),
            sku("A3 Instance Core running in Americas", "0", 29270000),
            sku("A3 Instance Ram running in Americas", "0", 2550000),
            sku(
                "Nvidia H100 80GB GPU attached to Spot Preemptible VMs running in Americas",
                "5",
                0,
                "Preemptible",
            ),
            sku("N2 Instance Core running in Americas", "0", 30000000),
        ]
    }


def found(path: Path, content: object) -> dict[tuple[str, str], float]:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return {
        (p.instance, p.term): round(p.usd, 6) for p in read_prices(path) if p.region != "us-east4"
    }


@pytest.mark.parametrize(
    ("name", "content"), [("b.json", bulk()), ("b.csv", bulk_csv()), ("q.json", query())]
)
def test_aws_has_linux_shared_and_plain_instances_with_gpus(tmp_path, name, content):
    prices = {"on demand": 55.04, "1 year": 34.9, "3 years": 23.777}
    assert found(tmp_path / name, content) == {
        (instance, term): usd
        for instance in ("p5.48xlarge", "p9.48xlarge")
        for term, usd in prices.items()
    }
    assert {price.as_of for price in read_prices(tmp_path / name)} == {"2026-09-17"}


def test_azure_has_hours_of_reservations_too(tmp_path):
    instance = "Standard_ND96isr_H100_v5"
    assert found(tmp_path / "azure.json", azure()) == {
        (instance, "on demand"): 98.32,
        (instance, "spot"): 18.17,
        (instance, "3 years"): 43.2,
    }


def test_google_prices_the_parts_of_a_machine(tmp_path):
    usd = 8 * 9.796550569 + 208 * 0.02927 + 1872 * 0.00255
    # Of spot machines only the GPU has a price here: a sum without the rest would be too low.
    assert found(tmp_path / "g.json", google()) == {("a3-highgpu-8g", "on demand"): round(usd, 6)}
    (shipped,) = (
        p for p in shipped_prices() if (p.instance, p.term) == ("a3-highgpu-8g", "on demand")
    )
    assert usd == pytest.approx(shipped.usd, rel=0.02)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "has no price of an instance with GPUs"),
        ('{"Items": [{"retailPrice": "much"}]}', "retailPrice"),
        ('{"Items": [{"retailPrice": -1}]}', "retailPrice"),
        ('{"PriceList": ["{"]}', "PriceList"),
        ('{"skus": 5}', "skus"),
        ("[", "invalid JSON"),
    ],
)
def test_what_is_no_price_list_is_refused(tmp_path, content, said):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(InputError) as raised:
        read_prices(tmp_path / "list.json")
    assert said in str(raised.value)


def test_pages_in_a_folder_are_one_list(tmp_path):
    (tmp_path / "1.json").write_text(json.dumps(azure()))
    (tmp_path / "2.csv").write_text(bulk_csv())
    assert {price.provider for price in read_prices(tmp_path)} == {"aws", "azure"}


def test_prices_come_into_the_offers_of_a_model(plan, tmp_path):
    prices, mine, after = tmp_path / "p.json", tmp_path / "mine.yaml", tmp_path / "after.yaml"
    dear = azure()
    dear["Items"][0]["retailPrice"] = 99.0
    prices.write_text(json.dumps(dear))
    mine.write_text(
        "extends: tiny\noffers:\n  azure: {provider: azure, instance: ND96isr_H100_v5,\n"
        "    gpus_per_instance: 8, available_gpus: 80, lead_time_minutes: 30.0,\n"
        "    usd_per_instance_hour: 98.32, rps_per_gpu: 1.0}  # by hand\n"
    )
    ran = plan("import", "prices", prices, "--into", mine, "--json")
    (difference,) = ran.json["merge"]["differences"]
    assert (difference["model"], difference["inventory"], difference["taken"]) == (
        98.32,
        99.0,
        False,
    )
    assert [finding["subject"] for finding in ran.json["findings"]] == ["cloud"]
    assert ran.json["assumed"] == []
    take = ("--take", "offers.*.usd*", "-o", after)
    assert plan("import", "prices", prices, "--into", mine, *take).code == 0
    assert after.read_text() == mine.read_text().replace("98.32", "99.0")
    ran = plan("import", "prices", prices, "--into", mine, "--name", "region=mars", "--json")
    assert ran.json["merge"]["differences"] == []
    assert plan("import", "prices", prices).code == 2


def test_shipped_prices_are_those_of_the_shipped_models(plan):
    for model in ("chatgpt-2023", "hyperscaler-12"):
        ran = plan("import", "prices", "--into", model, "--json")
        assert (ran.json["merge"]["differences"], ran.json["merge"]["added"]) == ([], [])
        assert ran.json["counts"]["offers"] >= 3


def test_the_catalogue_shows_prices(plan, tmp_path):
    ran = plan("catalogue", "prices")
    assert "p5.48xlarge  us-east-1  2026-09      55.04  20.79" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    listed = plan("catalogue", "prices", "--json").json["prices"]
    assert {(p["provider"], p["term"]) for p in listed} > {
        ("aws", "capacity block"),
        ("gcp", "spot"),
    }
    assert "98.32 until June 2025" in " ".join(plan("catalogue", "prices", "aws-p5").out.split())
    (tmp_path / "list.json").write_text(json.dumps(azure()))
    ran = plan("catalogue", "prices", "--file", tmp_path / "list.json", "--json")
    assert [price["usd"] for price in ran.json["prices"]] == pytest.approx([43.2, 98.32, 18.17])
    assert plan("catalogue", "gpus", "--file", tmp_path).code == 2
