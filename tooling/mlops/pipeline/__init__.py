"""The verbs as functions: the command line, CI and tests call these and nothing below them."""
