"""Methods on language models."""
