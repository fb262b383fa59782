"""Runs beside each other: what each found, and whether the best is more than luck."""
