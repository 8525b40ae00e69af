"""The scoring server, the gateway and the supervisor that serve one endpoint.

The package imports nothing of the toolkit and nothing outside the standard library at import time, so that it can be
packed into any environment or image.
"""

__version__ = "0.1.0"
