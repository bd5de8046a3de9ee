"""What a report is told: by the home, and by the agents of nodes."""
