"""Where rows live, and how values become lattice indices and back."""
