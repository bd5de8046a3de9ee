"""Migrations, forward only; one branch label per part."""
