"""JSON Schemas of every stream, and of product, storm and provider files: the project's public interface.

Those of files are made of their models (`monsoon schema --write contracts`); those of streams are the source itself.

Belongs here: schemas. Does not: code; `monsoon.transforms.validation` reads the input schemas and is strict about them.
"""
