"""Training and evaluation end to end: simulated storms, the replay's own evidence, the model's folder.

Belongs here: which storms, how many riders, which moments they claim at. Does not: how a forest is fitted, exported
or judged (monsoon.models), or what riders do (monsoon.sources.simulator).
"""
