"""The audit: are a run's figures to be believed, and if not, is it a leak or are the data too easy?

Train again where the answer is known (`surrogates.py`, `retrained.py`), corrupt what had not happened yet
(`perturbed.py`), and say in one sentence what that means (`diagnosis.py`). `audit.py` is the whole way.
"""
