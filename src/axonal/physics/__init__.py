"""Methods on membranes, light harvesting, active matter and PDE emulators."""
