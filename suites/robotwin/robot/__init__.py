"""The two Panda arms: their MJCF, built from robosuite's installed files, and their kinematics."""
