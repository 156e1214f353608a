"""The launcher of multiruns, where Hydra looks for it."""
