"""Files -> checked records."""
