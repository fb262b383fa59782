"""The networks. Shapes: B batch, S steps, L lags (oldest bar first), F features, H hidden units."""
