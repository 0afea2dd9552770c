"""Kafka topics as input: records to lines, and how far event time has come in each partition."""
