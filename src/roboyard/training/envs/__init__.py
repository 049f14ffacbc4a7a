"""The vectorised training environments and the wrappers around them."""
