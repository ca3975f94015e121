"""One module a paper, named by its slug."""
