"""Prices of GPU instances, shipped or from public price lists, for the offers of a model.

Read are the AWS price list of EC2 (the offer file in JSON or CSV, or what `aws pricing
get-products` prints), answers of the Azure Retail Prices API and of Google's Cloud Billing Catalog.
Only instances with GPUs and prices in USD count, on AWS with Linux, shared and without software.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasPath, BaseModel, ConfigDict, Field, Json
from pydantic.alias_generators import to_camel

from planner.errors import InputError
from planner.files import read_bytes
from planner.imports.inventory import Asked, Finding, Importer, Inventory, Stated, shown
from planner.imports.reading import read_records
from planner.imports.terraform import instances
from planner.infrastructure.catalogue import CATALOGUES, catalogue

#: Largest price list, bytes.
MOST_BYTES = 500_000_000
HOURS_OF_YEAR = 8760
#: Terms of a price, with their attributes in the catalogue of offers.
TERMS = {
    "on demand": "usd_per_instance_hour",
    "spot": "spot_usd_per_instance_hour",
    "1 year": "reserved_1y_usd_per_instance_hour",
    "3 years": "reserved_3y_usd_per_instance_hour",
    "capacity block": "capacity_block_usd_per_instance_hour",
}
#: What tells the one product of an instance from those with licences, hosts or reservations.
PLAIN = {
    "operatingsystem": ("Linux",),
    "tenancy": ("Shared",),
    "preinstalledsw": ("NA", ""),
    "capacitystatus": ("Used", ""),
}
#: Terms by what Google's catalogue calls them.
USAGES = {
    "OnDemand": "on demand",
    "Preemptible": "spot",
    "Commit1Yr": "1 year",
    "Commit3Yr": "3 years",
}
Usd = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


@dataclass(frozen=True, order=True)
class Price:
    """Price of an instance for an hour, USD."""

    provider: str
    instance: str
    region: str
    term: str
    usd: float
    as_of: str


class _Record(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Dimension(_Record):
    unit: str = ""
    usd: Usd = Field(default=0.0, validation_alias=AliasPath("pricePerUnit", "USD"))


class _Term(_Record):
    term_attributes: dict[str, str] = {}
    price_dimensions: dict[str, _Dimension] = {}


class _Product(_Record):
    attributes: dict[str, str] = {}


class _Entry(_Record):
    product: _Product
    terms: dict[str, dict[str, _Term]] = {}
    publication_date: str = ""


class _Meter(_Record):
    currency_code: str = "USD"
    retail_price: Usd
    arm_region_name: str = ""
    arm_sku_name: str = ""
    product_name: str = ""
    sku_name: str = ""
    type: str = ""
    reservation_term: str = ""
    effective_start_date: str = ""


def _latest(*path: str | int) -> Any:
    return AliasPath("pricingInfo", -1, *path)


_UNIT_PRICE = ("pricingExpression", "tieredRates", -1, "unitPrice")


class _Sku(_Record):
    description: str = ""
    usage: str = Field(default="", validation_alias=AliasPath("category", "usageType"))
    service_regions: list[str] = []
    effective_time: str = Field(default="", validation_alias=_latest("effectiveTime"))
    currency: str = Field(default="", validation_alias=_latest(*_UNIT_PRICE, "currencyCode"))
    units: int = Field(default=0, validation_alias=_latest(*_UNIT_PRICE, "units"))
    nanos: int = Field(default=0, validation_alias=_latest(*_UNIT_PRICE, "nanos"))


class _List(_Record):
    """Any of the price lists."""

    publication_date: str = ""
    products: dict[str, _Product] = {}
    terms: dict[str, dict[str, dict[str, _Term]]] = {}
    price_list: list[Json[_Entry] | _Entry] = Field(default=[], alias="PriceList")
    items: list[_Meter] = Field(default=[], alias="Items")
    skus: list[_Sku] = []


def shipped_prices() -> list[Price]:
    """Prices of the catalogue of offers."""
    return [
        Price(
            e["provider"],
            e["instance"],
            str(e.get("price_region", "")),
            term,
            e[key],
            str(e["price_date"]),
        )
        for e in catalogue(CATALOGUES["offers"]).values()
        for term, key in TERMS.items()
        if key in e
    ]


def read_prices(path: Path) -> list[Price]:
    """Prices of a price list, or of all in a folder; of several of one kind the least.

    Raises
    ------
    InputError
        If there is none, or a file is no price list.
    """
    files = sorted([*path.glob("*.json"), *path.glob("*.csv")]) if path.is_dir() else [path]
    found: dict[tuple[str, ...], Price] = {}
    for file in files:
        content = read_bytes(file, str(file), MOST_BYTES)
        is_table = file.suffix.lower() == ".csv"
        for price in (_of_csv if is_table else _of_json)(content, str(file)):
            key = (price.provider, price.instance, price.region, price.term)
            if price.usd and (key not in found or price.usd < found[key].usd):
                found[key] = price
    if not found:
        message = (
            "has no price of an instance with GPUs; expected a price list of AWS, Azure or GCP"
        )
        raise InputError.single(str(path), message)
    return sorted(found.values())


def _of_json(content: bytes, place: str) -> Iterator[Price]:
    found = read_records(content, place, _List)
    for sku, product in found.products.items():
        terms = {kind: by_sku.get(sku, {}) for kind, by_sku in found.terms.items()}
        yield from _of_aws(product.attributes, terms, found.publication_date)
    for entry in found.price_list:
        yield from _of_aws(entry.product.attributes, entry.terms, entry.publication_date)
    for meter in found.items:
        yield from _of_azure(meter)
    yield from _of_google(found.skus)


def _of_aws(
    attributes: Mapping[str, str], terms: Mapping[str, Mapping[str, _Term]], date: str
) -> Iterator[Price]:
    for kind, offers in terms.items():
        for offer in offers.values():
            for dimension in offer.price_dimensions.values():
                told = {**attributes, **offer.term_attributes, "unit": dimension.unit}
                yield from _aws_price(told, kind, dimension.usd, date)


def _of_csv(content: bytes, place: str) -> Iterator[Price]:
    """Prices of an offer file of AWS, which has five lines of its own before the head."""
    try:
        yield from _of_offer_file(content)
    except csv.Error as error:
        raise InputError.single(place, f"is not a CSV table: {error}") from error


def _of_offer_file(content: bytes) -> Iterator[Price]:
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "replace", newline="")
    head = dict(row for row in csv.reader(islice(lines, 5)) if len(row) == 2)
    for row in csv.DictReader(lines):
        if row.get("Instance Type") not in instances() and not (row.get("GPU") or "").isdigit():
            continue
        try:
            usd = float(row.get("PricePerUnit") or 0) if row.get("Currency") == "USD" else 0.0
        except ValueError:
            continue
        told = {key: value or "" for key, value in row.items() if isinstance(key, str)}
        yield from _aws_price(told, told.get("TermType", ""), usd, head.get("Publication Date", ""))


def _aws_price(told: Mapping[str, str], kind: str, usd: float, date: str) -> Iterator[Price]:
    """The price of what is told of a product and its terms, if it is one of those that count."""
    plain = {"".join(filter(str.isalnum, key)).lower(): value for key, value in told.items()}
    lease = plain.get("leasecontractlength", "").replace(" ", "")
    term = {"OnDemand": "on demand"}.get(kind) or {"1yr": "1 year", "3yr": "3 years"}.get(lease)
    instance = plain.get("instancetype", "")
    reserved = (plain.get("purchaseoption"), plain.get("offeringclass")) == (
        "No Upfront",
        "standard",
    )
    if (
        term
        and (instance in instances() or plain.get("gpu", "").isdigit())
        and all(plain.get(key, "") in values for key, values in PLAIN.items())
        and plain.get("unit") == "Hrs"
        and (kind == "OnDemand" or reserved)
    ):
        yield Price("aws", instance, plain.get("regioncode", ""), term, usd, date[:10])


def _of_azure(meter: _Meter) -> Iterator[Price]:
    """Price of a meter; that of a reservation is for its whole term."""
    name = f"{meter.sku_name} {meter.product_name}"
    years = {"1 Year": 1, "3 Years": 3}.get(meter.reservation_term, 0)
    if (
        meter.arm_sku_name not in instances()
        or meter.currency_code != "USD"
        or "Windows" in name
        or "Low Priority" in name
        or meter.type not in ("Consumption", "Reservation")
        or (meter.type == "Reservation") != bool(years)
    ):
        return
    reserved = {1: "1 year", 3: "3 years"}.get(years)
    term, hours = (
        reserved or ("spot" if "Spot" in name else "on demand"),
        HOURS_OF_YEAR * years or 1,
    )
    usd, date = meter.retail_price / hours, meter.effective_start_date[:10]
    yield Price("azure", meter.arm_sku_name, meter.arm_region_name, term, usd, date)


def _of_google(skus: Iterable[_Sku]) -> Iterator[Price]:
    """Sums of what a machine is made of: GPUs, cores and memory are priced apart."""
    machines = [e for e in catalogue(CATALOGUES["offers"]).values() if "sku_gpu" in e]
    parts = {str(e[key]) for e in machines for key in ("sku_gpu", "sku_core", "sku_memory")}
    pattern = re.compile(
        rf"(?:Commitment v1: |Spot Preemptible )?({'|'.join(parts)}) (?:running|attached|in) "
    )
    rates: dict[tuple[str, str, str], tuple[float, str]] = {}
    for sku in skus:
        found, term = pattern.match(sku.description), USAGES.get(sku.usage)
        if found and term and sku.currency == "USD":
            price = sku.units + sku.nanos / 1e9, sku.effective_time[:10]
            rates |= {(found[1], term, region): price for region in sku.service_regions}
    for entry in machines:
        amounts = {
            entry["sku_gpu"]: entry["gpus_per_instance"],
            entry["sku_core"]: entry["vcpus"],
            entry["sku_memory"]: entry["memory_gb"],
        }
        for part, term, region in rates:
            if part == entry["sku_gpu"] and all((p, term, region) in rates for p in amounts):
                usd = sum(amount * rates[p, term, region][0] for p, amount in amounts.items())
                yield Price(
                    "gcp", entry["instance"], region, term, usd, rates[part, term, region][1]
                )


def price_offers(asked: Asked) -> Inventory:
    """What the offers of a model cost by a price list, or by the shipped catalogue.

    Raises
    ------
    InputError
        If there is no model, the list cannot be read, or it has no price in the region asked for.
    """
    if asked.model is None:
        raise InputError.single("plan import prices", "needs a model with offers: --into MODEL")
    prices = shipped_prices() if asked.path is None else read_prices(asked.path)
    region = asked.names["region"]
    offers: dict[str, dict[str, Stated]] = {}
    findings = []
    for name, offer in asked.model.offers.items():
        least: dict[str, Price] = {}
        for price in prices:
            same = (price.provider, _plain(price.instance)) == (
                offer.provider,
                _plain(offer.instance),
            )
            if same and region in ("", price.region):
                least[price.term] = min(price, least.get(price.term, price), key=lambda p: p.usd)
        where = f" in {region}" if region else ""
        if "on demand" not in least:
            findings.append(Finding("missing", shown(name), f"no price of its instance{where}"))
            continue
        offers[name] = {"usd_per_instance_hour": _stated(least["on demand"], 1)}
        if offer.prepaid and "1 year" in least:
            offers[name]["retainer_usd_per_instance_year"] = _stated(least["1 year"], HOURS_OF_YEAR)
    return Inventory("prices", {"offers": offers}, {}, tuple(findings))


def _plain(instance: str) -> str:
    return instance.removeprefix("Standard_").lower()


def _stated(price: Price, hours: int) -> Stated:
    return Stated(
        round(price.usd * hours, 6 if hours == 1 else 0),
        f"{price.term}, {price.region}, {price.as_of}",
    )


IMPORTER = Importer(price_offers, {"region": ""}, shipped=True)
