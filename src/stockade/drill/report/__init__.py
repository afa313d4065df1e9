"""The report of any number of trials: one HTML file that needs nothing else, and the same facts as JSON. Pure."""
