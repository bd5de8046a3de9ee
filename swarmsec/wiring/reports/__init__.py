"""What reports are made of: the home, the Swarm, and the hosts that agents look at."""
