"""The randomised setting: clutter, textures, lighting, table height, camera jitter."""
