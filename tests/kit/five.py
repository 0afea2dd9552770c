"""One input for all five products: the worked examples laid over one another, in the same places and times."""

import gzip
import json
from pathlib import Path

PRODUCTS = ("gic", "jugaad", "kawaach", "nexora", "offshift")
_NAMES = {
    "telemetry": ("event_id", "worker_id", "device_id"),
    "oracle_readings": ("reading_id",),
    "subscriptions": ("event_id", "policy_id", "worker_id", "device_id", "payout_account"),
}


def five_at_once(shared: Path, period: str = "901") -> dict[str, list[dict]]:
    """The records of the five examples of a period, by stream; every rider also holds a policy of the next product.

    Names are told apart by their product, places are not: a reading of one example speaks to the riders of all.
    """
    records: dict[str, list[dict]] = {}
    for stream, names in _NAMES.items():
        records[stream] = [
            record | {name: f"{product}-{record[name]}" for name in names if record.get(name)}
            for product in PRODUCTS
            for record in _records(shared / "examples" / f"{product}-{period}" / stream)
        ]
    plans = {"jugaad": "full_shield", "offshift": "monthly_pro"}
    for event in list(records["subscriptions"]):
        product = PRODUCTS[(PRODUCTS.index(event["product"]) + 1) % len(PRODUCTS)]
        names = {name: f"{product}-{event[name]}" for name in ("event_id", "policy_id")}
        records["subscriptions"].append(event | names | {"product": product, "plan": plans.get(product, "standard")})
    return records


def _records(folder: Path) -> list[dict]:
    lines = []
    for file in sorted(folder.iterdir()):
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        lines.extend(content.splitlines())
    return [json.loads(line) for line in lines if line.strip()]
