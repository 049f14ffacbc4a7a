"""A run's life, whoever trains it: folder, index, owner, resumption, supervision and notices."""
