"""Records of output streams, with the least that their contracts ask for."""


def claim(number, revision=0, **changes):
    """A revision of a claim."""
    return {
        "claim_id": f"c-{number}",
        "revision": revision,
        "status": "approved",
        "decided_at": 1_700_000_000_000 + revision,
        "worker_id": f"w-{number}",
        "policy_id": f"p-{number}",
        "product": "gic",
        "disruption_id": "d-1",
        "zone": "8960145b483ffff",
        "features": {"claims_7d": 1, "ring_score": None},
        "reasons": [],
        "product_version": "1",
        "model_version": "1",
        **changes,
    }


def payout(number, **changes):
    """A payout."""
    return {
        "reference_id": f"r-{number}",
        "claim_id": f"c-{number}",
        "policy_id": f"p-{number}",
        "worker_id": f"w-{number}",
        "amount_paise": 100 * (number + 1),
        "currency": "INR",
        "mode": "UPI",
        "purpose": "payout",
        "created_at": 0,
        **changes,
    }
