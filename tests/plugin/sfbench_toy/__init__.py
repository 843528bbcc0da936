"""A small suite as a third party would write it, used to test the engine with real processes."""
