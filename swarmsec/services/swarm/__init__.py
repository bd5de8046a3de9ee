"""A Docker Swarm on this authority: adopted, watched, locked, led to another root, released."""
