"""JSON Schemas of every stream, input and output, and of product files: the project's public interface.

Belongs here: schemas. Does not: code; `monsoon.transforms.validation` reads the input schemas and is strict about them.
"""
