"""Evidence: every figure of a run with its 95 % interval, from the predictions and the trades. `weigh.py` is the way in."""
