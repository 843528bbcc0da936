"""Config files of the family: `recipe/NAME.yaml`."""
