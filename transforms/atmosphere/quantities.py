"""What a feed may speak of: quantities, the units each comes in, and what is no weather any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monsoon.transforms.atmosphere.cpcb import POLLUTANTS
from monsoon.transforms.atmosphere.heat_index import LEAST_TEMPERATURE_C, MOST_TEMPERATURE_C


@dataclass(frozen=True)
class Quantity:
    """`units` gives factor and offset into the first of them; `least` and `most` are in that one. `metric` is that of
    the oracle reading which says the quantity as it is, None where it only goes into others."""

    units: Mapping[str, tuple[float, float]]
    least: float
    most: float
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

QUANTITIES: Mapping[str, Quantity] = {
    # Particle monitors end at 10,000 ug/m3; the limits of weather lie a little beyond the world's records.
    **{name: Quantity(_CO if name == "co" else _MASS, 0.0, 10_000.0) for name in POLLUTANTS},
    "aqi": Quantity({"index": (1.0, 0.0)}, 0.0, 2_000.0, "aqi"),
    "temperature": Quantity(
        {"C": (1.0, 0.0), "K": (1.0, -273.15), "F": (5 / 9, -160 / 9)},
        LEAST_TEMPERATURE_C, MOST_TEMPERATURE_C, "temperature_c",
    ),
    "relative_humidity": Quantity({"%": (1.0, 0.0)}, 0.0, 100.0),
    "rain_1h": Quantity({"mm": (1.0, 0.0)}, 0.0, 400.0, "rain_mm_h"),
    "rain_24h": Quantity({"mm": (1.0, 0.0)}, 0.0, 2_000.0, "rain_mm_24h"),
    "wind_speed": Quantity({"km/h": (1.0, 0.0), "m/s": (3.6, 0.0)}, 0.0, 500.0, "wind_kmh"),
    "visibility": Quantity({"m": (1.0, 0.0), "km": (1000.0, 0.0)}, 0.0, 100_000.0, "visibility_m"),
}  # fmt: skip


def unit_name(text: str) -> str:
    """A unit as it is written here: `µg/m³` is `ug/m3`, `°C` is `C`."""
    return text.strip().translate(_SPELLING)


_SPELLING = {ord("µ"): "u", ord("μ"): "u", ord("³"): "3", ord("°"): None}
