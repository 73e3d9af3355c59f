"""Loss functions for NumPy by the contract of `lossparity check`: right, wrong on purpose, and right by other means.

The wrong ones (`arithmetic`, `conventions`) differ from `honest` in one method each. The suite must catch every one of
them, and must not flag `correct`. Whoever finds a bug in a real library that the suite missed adds its liar here.
"""
