"""Engines in a SQL database: what they have in common, and a file for each database."""
