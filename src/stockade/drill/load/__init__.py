"""Open-loop load: what users do, at times drawn beforehand, in a process of its own."""
