"""Pages that people look at. They are drawn from summaries and tables; what is drawn is computed elsewhere."""
