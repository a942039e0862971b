"""The ``train`` command: people and programs come in here; it prints and never computes."""
