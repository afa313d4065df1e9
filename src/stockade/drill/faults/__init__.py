"""What is broken, how it is seen to be broken, and how it is taken back: one file per kind of thing."""
