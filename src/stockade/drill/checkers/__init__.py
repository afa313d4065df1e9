"""The checkers: each looks at one trial and says whether one thing holds. Pure.

A checker says FAIL if the history shows a violation, UNKNOWN if it cannot show that there is none, and else PASS. A
violation that is seen is a FAIL also where other evidence is missing: what is missing cannot undo it.
"""
