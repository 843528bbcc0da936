"""The rollout engine: plan -> scheduler -> workers <-> policy -> journal."""
