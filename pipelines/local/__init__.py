"""The local engine: one process, no Java. Polars for the relational part, then one pass in event-time order.

Belongs here: wiring of the transforms. Does not: any rule of a product, any feature, reading or writing of files.
"""
