"""The documents that a repository holds: names, quantities, and one strict model for each kind of file.

Importing this package, `names`, `quantities`, `problems` or `kinds` does not import pydantic; the models do.
"""
