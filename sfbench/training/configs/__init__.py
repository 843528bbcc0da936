"""Config files of the trainer: `recipe/NAME.yaml`."""
