"""Container images: built, pushed by digest, and run, with whichever engine a machine has."""
