"""Use cases, one file each: they ask a leaf to decide and word the log entry; storage makes both durable."""
