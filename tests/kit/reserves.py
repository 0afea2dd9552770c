"""Reserves and answers of the contracts for the small storm of `kit.streams`."""

from kit import LAT, LON, at
from monsoon.transforms.exposure import reserve_bucket_of
from monsoon.transforms.geo.cells import cell_name, cell_of

POOL = reserve_bucket_of("kawaach", cell_name(cell_of(LAT, LON, 9)), at(0))


def reserve(name, minutes, amount_inr, **fields):
    """A reserve of the contract for the storm's pool."""
    record = {
        "reserve_id": name,
        "event_time": at(minutes),
        "product": POOL.product,
        "day": POOL.day,
        "cell": POOL.cell,
        "amount_paise": amount_inr * 100,
    }
    return record | fields


def answer(name, minutes, **fields):
    """An answer of the contract, to a claim that does not exist."""
    record = {
        "answer_id": name,
        "event_time": at(minutes),
        "worker_id": "w1",
        "policy_id": "p1",
        "claim_id": "c0",
        "answer": "confirm",
    }
    return record | fields


RESERVES = [
    reserve("first", -600, 400),
    reserve("second", 20, 700),
    reserve("too little", 40, 710),
    reserve("lowered", 70, 300),
    reserve("raised", 90, 1_000_000),
    reserve("elsewhere", 0, 0, cell="853c8d33fffffff"),
    reserve("another day", 0, 0, day="2024-06-29"),
]
