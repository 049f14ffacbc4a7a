"""A fleet on this machine: the whole flow with an emulated AWS, for nothing."""
