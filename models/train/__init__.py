"""Trains the candidate models that serveflow tune chooses a cascade from."""
