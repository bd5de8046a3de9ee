"""The log's values: what an entry says, its exact bytes and its hash. Pure; storage keeps them."""
