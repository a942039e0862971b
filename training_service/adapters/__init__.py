"""The vendors: every library with a side effect, behind a port."""
