"""A search over settings: its plan, one trial of it, what its trials come to together, and how it is shown."""
