"""One file per method: what to measure, in which order, at what price."""
