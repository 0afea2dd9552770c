"""Everything that decides: validation, coverage, triggers, evidence, scoring, adjudication.

Belongs here: pure functions on numpy columns where rows are many, and state machines driven by events and a clock
where they are few, with a versioned state of their own. Does not: an engine (no Polars, no Flink), a file that was
not handed in, the time of day, or chance.
"""
