"""A module a picture: each function takes what it draws and gives a `Picture`."""
