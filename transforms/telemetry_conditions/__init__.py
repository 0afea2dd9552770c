"""What the riders' own telemetry says of a zone at a moment: whether they fell silent, whether orders dropped.

Belongs here: the measures that triggers with a telemetry condition ask for, as integers that add up over any division
of the riders. Does not: when a trigger asks (monsoon.transforms.triggers), what a rider's claim is worth.
"""
