"""Measurements of speed and memory beside peers: `make bench`, or `python -m bench NAME...`.

Nothing here is a test and nothing in the tests is timed. Peers run in the same minutes on the same machine, because
only then do two numbers compare.
"""
