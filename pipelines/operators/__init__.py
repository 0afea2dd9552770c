"""The operators of the job graph: what happens at a key, one module an operator and its helpers.

Belongs here: an operator's messages, state entries and timers, around the pure functions of `monsoon.transforms`. Does
not: anything of an engine. What an operator is stands in `monsoon.pipelines.runtime`, which follows which in
`monsoon.pipelines.topology`; Flink in batch, Flink streaming and the tests drive them.
"""
