"""Features: causal, scale-free columns of the bars, and the scaler fitted on the training rows."""
