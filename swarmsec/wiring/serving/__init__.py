"""``swarmsec serve`` put together: the server's ports over this home's store, keys and authority."""
