"""How much depth can be read off a frozen policy's visual tokens."""
