"""Methods on molecules: which of them may bind, given some that do."""
