"""Binance's bars: from the public archive, and for the last days from the exchange itself, to the store."""
