"""What a keyed operator is: its messages, timers and state, the configuration of its job, watermarks of sources.

Belongs here: what all operators share. Does not: anything that only one of them does, nor anything of an engine.
"""
