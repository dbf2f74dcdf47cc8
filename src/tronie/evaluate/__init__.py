"""How useful a synthetic table is, by looking at the real one."""
