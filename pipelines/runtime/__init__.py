"""The base of keyed operators: messages, timers and state, the job's configuration, watermarks of sources.

Belongs here: what all operators share. Does not: the logic of a single operator, nor anything of an engine.
"""
