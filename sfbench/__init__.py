"""sfbench: trustworthy simulation benchmarks for vision-language-action policies."""

__version__ = "0.1.0"
