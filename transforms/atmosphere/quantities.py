"""The quantities that feeds report: the units that each comes in, and the range beyond which a value is refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from monsoon.transforms.atmosphere.cpcb import POLLUTANTS
from monsoon.transforms.atmosphere.heat_index import MAX_TEMPERATURE_C, MIN_TEMPERATURE_C


@dataclass(frozen=True)
class Quantity:
    """A quantity of feeds. `units`: by unit the factor and offset that convert into the first of them, in which
    `min_value` and `max_value` are. `metric`: of the oracle reading that carries the quantity unchanged; None for one
    that only enters others."""

    units: Mapping[str, tuple[float, float]]
    min_value: float
    max_value: float
    metric: str | None = None

    @property
    def unit(self) -> str:
        return next(iter(self.units))

    def converted(self, value: float, unit: str) -> float:
        """`value` in the quantity's own unit; raises KeyError for a unit it does not come in."""
        factor, offset = self.units[unit]
        return value * factor + offset


_MASS = {"ug/m3": (1.0, 0.0), "mg/m3": (1000.0, 0.0)}
_CO = {"mg/m3": (1.0, 0.0), "ug/m3": (0.001, 0.0)}
_RAIN = {"mm": (1.0, 0.0), "inch": (25.4, 0.0)}

RATE_UNIT = "mm/h"
"""Rain as an intensity, and not as the amount that fell in an interval."""

QUANTITIES: Mapping[str, Quantity] = {
    # Particle monitors end at 10,000 ug/m3; what becomes a reading as it is has the range of its metric in
    # contracts/oracle_reading.schema.json.
    **{name: Quantity(_CO if name == "co" else _MASS, 0.0, 10_000.0) for name in POLLUTANTS},
    "aqi": Quantity({"index": (1.0, 0.0)}, 0.0, 2_000.0, "aqi"),
    "temperature": Quantity(
        {"C": (1.0, 0.0), "K": (1.0, -273.15), "F": (5 / 9, -160 / 9)},
        MIN_TEMPERATURE_C, MAX_TEMPERATURE_C, "temperature_c",
    ),
    "relative_humidity": Quantity({"%": (1.0, 0.0)}, 0.0, 100.0),
    "rain_1h": Quantity({**_RAIN, RATE_UNIT: (1.0, 0.0)}, 0.0, 500.0, "rain_mm_h"),
    "rain_24h": Quantity(_RAIN, 0.0, 2_000.0, "rain_mm_24h"),
    "wind_speed": Quantity(
        {"km/h": (1.0, 0.0), "m/s": (3.6, 0.0), "mph": (1.609344, 0.0), "kn": (1.852, 0.0)}, 0.0, 450.0, "wind_kmh"
    ),
    "visibility": Quantity({"m": (1.0, 0.0), "km": (1000.0, 0.0), "ft": (0.3048, 0.0)}, 0.0, 100_000.0, "visibility_m"),
}  # fmt: skip


@lru_cache(maxsize=256)
def unit_name(text: str) -> str:
    """A unit as it is written here: `\u00b5g/m\u00b3` is `ug/m3`, `\u00b0C` is `C`.

    Both of Unicode's micro signs count, and what is left of one after a wrong decoding: UTF-8 read as Latin-1, or
    a character that was replaced. Only a micro sign is ever lost so: the m of mg is ASCII.
    """
    for broken, right in _MISDECODED.items():
        text = text.replace(broken, right)
    plain = unicodedata.normalize("NFKC", text).translate(_SPELLING)
    plain = _LOST_MICRO.sub("ug/", "".join(plain.split()))
    plain = _LOST_CUBE.sub("/m3", plain)
    return _ALIASES.get(plain.lower(), plain)


_MISDECODED = {
    "\u00c2\u00b5": "u", "\u00ce\u00bc": "u", "\u00c2\u00b3": "3", "\u00c2\u00b0": "\u00b0",
}  # fmt: skip
_SPELLING = {ord("\u03bc"): "u", ord("\u00b0"): None, ord("^"): None}
_LOST_MICRO, _LOST_CUBE = re.compile("^[\ufffd?]g/"), re.compile("/m[\ufffd?]$")
_ALIASES = {
    "c": "C", "degc": "C", "degreec": "C", "celsius": "C", "k": "K", "kelvin": "K", "f": "F", "degf": "F",
    "fahrenheit": "F", "kmh": "km/h", "kmph": "km/h", "km/hr": "km/h", "m/sec": "m/s", "mps": "m/s", "mp/h": "mph",
    "knots": "kn", "kt": "kn", "mm/hr": RATE_UNIT, "in": "inch", "percent": "%",
}  # fmt: skip
