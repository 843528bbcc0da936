"""The room that all tasks share: table, arms, cameras, lights, and the view of a running scene."""
