"""LIBERO (Liu et al., 2023) over hf-libero, robosuite and MuJoCo: equal physics, less waste."""
