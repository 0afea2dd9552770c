"""A second generator of storms with labeled riders: each honest oddity and each way to attack, by name.

Belongs here: its own models of streets, motion, phones and radio, what attackers report, and riders' answers. Does
not: anything of the motion and noise of `sources/simulator/`, from which it is to be independent, or anything that
decides about a claim. Weather, reserves and the writing of files are the simulator's.
"""

from monsoon.sources.scenarios.answers import answer_step_ups
from monsoon.sources.scenarios.conditions import ATTACKS, HONEST_CONDITIONS, planned_counts
from monsoon.sources.scenarios.scenario import LabeledScenario, build_labeled_scenario, generate

__all__ = [
    "ATTACKS",
    "HONEST_CONDITIONS",
    "LabeledScenario",
    "answer_step_ups",
    "build_labeled_scenario",
    "generate",
    "planned_counts",
]
