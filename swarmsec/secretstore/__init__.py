"""Envelope encryption of records. Pure: keys and randomness are arguments; storage keeps the results."""
