"""The Flink engine: the keyed operators wired as one job graph, in batch and streaming.

Belongs here: the graph, process functions around operators, clusters and the JDK. Does not: any rule of a product, any
feature, any validation.
"""
