"""Reports: facts in, results out, and one file per format. No input or output of its own."""
