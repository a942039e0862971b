"""Build aside, verify, switch at once, tell the service: how a version comes into service."""
