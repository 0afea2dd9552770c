"""The storm simulator: a historical storm's readings, and riders (honest and not) who report through it.

Belongs here: the storm file's schema, what riders do, what their phones would report, and writing it in the formats
of the contracts. Does not: anything that decides about a claim, or any figure taken from the model that scores one.
"""

from monsoon.sources.simulator.frames import Frames, Scenario, build_scenario, riders_for_rows, simulate_frames
from monsoon.sources.simulator.storm import Storm, StormError, available_storms, load_storm, storms_that_show
from monsoon.sources.simulator.write import SimulationSummary, refuse_what_was_not_simulated, simulate

__all__ = [
    "Frames",
    "Scenario",
    "SimulationSummary",
    "Storm",
    "StormError",
    "available_storms",
    "build_scenario",
    "load_storm",
    "refuse_what_was_not_simulated",
    "riders_for_rows",
    "simulate",
    "simulate_frames",
    "storms_that_show",
]
