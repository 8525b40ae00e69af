"""HTTP/1.1 on both sides of the gateway: raw asyncio protocols over httptools.

Nothing that a client sent is passed on as bytes: a message is parsed strictly, kept as values and written anew, so that
the two sides cannot disagree about where a message ends.
"""
