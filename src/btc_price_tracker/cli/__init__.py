"""The commands, one file each: they parse their flags and call, and hold no logic."""
