"""The price itself: what sources say, what we conclude, what we publish. Pure: no clock, no I/O."""
