"""The sweeper of multiruns, where Hydra looks for it."""
