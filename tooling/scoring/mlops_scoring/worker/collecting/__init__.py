"""Data collection in a worker: what is captured without code, and what a script's collectors send."""
