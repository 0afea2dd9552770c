"""Geometry on the sphere and in H3: distances, areas, zones.

Belongs here: pure geometry, vectorized. Does not: what a place means for a claim.
"""
