"""Public facts about a table: kinds of column, the privacy unit, constraints; as YAML and JSON."""
