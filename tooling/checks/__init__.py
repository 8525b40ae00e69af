"""Checks of the tree that no published tool makes; `make check` runs them."""
