"""Faults under load, written down as they happen, and judged from what was written: see docs/design/drill.md."""
