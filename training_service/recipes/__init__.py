"""One file per system: the data's way through the stages."""
