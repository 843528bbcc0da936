"""The suites that ship with sfbench; they come in by entry point, as a third party's would."""
