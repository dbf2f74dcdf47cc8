"""Dropping risky synthetic rows, and saying what that does to the guarantee."""
