"""From one tick to every client of this instance."""
