"""The sweeper that searches, where Hydra looks for it."""
