"""What leaves the house: the model, its file, and the roads that wire the rooms together."""
