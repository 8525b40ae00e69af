"""The toolkit: declare models, environments and endpoints in Git; plan and apply what they say."""

__version__ = "0.1.0"
