"""The command line: `sfbench <command> [overrides]`."""
