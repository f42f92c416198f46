"""Which figures stay: one module for each filter, and what the image filters share."""
