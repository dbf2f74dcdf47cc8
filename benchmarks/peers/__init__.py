"""The benchmark against the peers: tables, peers, errors, and one runner for each peer's environment."""
