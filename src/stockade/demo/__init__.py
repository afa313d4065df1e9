"""The demo: what a user does with a cloud, told step by step."""
