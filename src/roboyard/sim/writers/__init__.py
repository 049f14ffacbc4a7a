"""Writers: what an engine is given of a normalised robot model, valid by construction."""
