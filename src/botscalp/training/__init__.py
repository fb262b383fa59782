"""Fitting one head on one window with Lightning; the only package that imports it."""
