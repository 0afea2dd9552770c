"""The Flink engine: the same transforms, wired as keyed operators of one job graph.

Belongs here: the graph, shells around transforms that take a key's records in and give records out, the JDK. Does not:
any rule of a product, any feature, any validation.
"""
