"""The project's public interface: JSON Schemas of every stream, and of product, storm and provider files; the topics.

Schemas of files are made of their models (`monsoon schema --write contracts`); those of streams are the source itself.

Belongs here: schemas, and the names and keys under which records travel (`topics.py`). Does not: what decides;
`monsoon.transforms.validation` reads the input schemas and is strict about them.
"""
