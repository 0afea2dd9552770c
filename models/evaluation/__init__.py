"""What decisions do to honest riders and attackers, counted from claim records and the truth of a simulation.

Belongs here: pure measures, their targets and the comparison of both. Does not: simulating, replaying, files, pages.
"""
