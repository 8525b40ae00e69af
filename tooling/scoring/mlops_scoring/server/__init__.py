"""The scoring server of an image: worker processes that share one address, without a gateway before them."""
