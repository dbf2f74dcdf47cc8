"""Language models of rows: each row is written as text, one column after another."""
