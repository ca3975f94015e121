"""Record, edit and patch the activations of any torch module."""
