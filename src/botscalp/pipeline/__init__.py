"""The data's way, from bars to a verdict: one module a stage, `walkforward` puts them in order."""
