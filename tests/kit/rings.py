"""A curfew in which five of many riders share a phone, a payout account and a home, and three others an account."""

from kit import LAT, LON, reading_record
from kit.streams import policy_record, report

HONEST = 160
RING = [f"r{n}" for n in range(5)]
FAMILY = [f"f{n}" for n in range(2)]
CUSTOMERS = [f"a{n}" for n in range(3)]
"""Of one payout account, and nothing else."""

PLACES = [(0.02 * (n % 4), 0.02 * (n // 4 % 2)) for n in range(8)]


def ring_storm(honest=HONEST, every_min=10):
    """Curfews one after another in eight places, some hours apart in all; one is corrected away."""
    telemetry, policies = [], []

    def rider(name, place, home=None, **policy):
        north, east = PLACES[place]
        where = {"lat": LAT + north, "lon": LON + east}
        seen = {"ip_prefix": f"ip-{name}-home", "bssids": [f"ap-{name}-home"]} if home is None else home
        seen = {"cell": f"LTE-404-45-5000-{place}", **where, **seen}
        telemetry.extend(report(name, minutes, **seen) for minutes in range(-60, 120, every_min))
        number = len(policies)
        policies.append(
            policy_record(
                name,
                f"p-{name}",
                -1000 - 3 * number,
                home_lat=where["lat"],
                home_lon=where["lon"],
                **({"payout_account": f"upi-{name}-own"} | policy),
            )
        )

    for n in range(honest):
        rider(f"h{n:03d}", n % 8)
    for n, name in enumerate(RING):
        home = {"device_id": "dev-ring", "ip_prefix": "ip-ring-home", "bssids": ["ap-ring-home", "ap-ring-two"]}
        rider(name, (4, 4, 5, 5, 6)[n], home, device_id="dev-ring", payout_account="upi-ring")
    for name in FAMILY:
        home = {"ip_prefix": "ip-family", "bssids": ["ap-family-home"]}
        rider(name, 0, home, payout_account="upi-family")
    for name in CUSTOMERS:
        rider(name, 1, payout_account="upi-customers")
    readings = []
    for place, (north, east) in enumerate(PLACES):
        where = {"lat": LAT + north, "lon": LON + east, "radius_km": 1.0}
        for value, minutes in ((1, -35 + 12 * place), (0, -5 + 12 * place)):
            readings.append(
                reading_record("curfew", value, minutes, reading_id=f"c{place}-{minutes}", provider="imd", **where)
            )
    return {"telemetry": telemetry, "oracle_readings": readings, "subscriptions": policies}
