"""A sweeper that asks Optuna what to try next, and can be killed: `hydra/sweeper=ask_tell`."""
