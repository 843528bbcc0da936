"""The LeRobot dataset layouts, v3.0 (written and read) and v2.1 (read).

Published with huggingface/lerobot (Apache-2.0); read here without that package.
"""
