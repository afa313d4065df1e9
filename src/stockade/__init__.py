"""Stockade builds a highly available OpenStack from one file, keeps its machines alive, and proves it."""

__version__ = "0.1.0"
