"""The wall: the curator answers questions about private rows, with noise, and charges first."""
