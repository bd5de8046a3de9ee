"""Work on a Swarm from its beginning to its end: engines and endpoints reached, steps put on record."""
