"""The keyed steps of the job graph: transforms and stores put under keys, driven by event time, with state that can be
kept and found again. What drives them - Flink in batch, Flink streaming, a test - lies elsewhere and imports nothing
of an engine here."""
