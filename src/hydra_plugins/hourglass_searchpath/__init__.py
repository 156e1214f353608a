"""The folders of a person's own choices, where Hydra looks for them."""
