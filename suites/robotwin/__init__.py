"""RoboTwin-style bimanual tasks in plain MuJoCo: two Franka Panda arms at a table."""
