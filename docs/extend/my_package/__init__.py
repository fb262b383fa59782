"""Parts of your own for botscalp, one a file."""
