"""The side of nodes, drivers and agents: their files, and speaking with an authority's server."""
