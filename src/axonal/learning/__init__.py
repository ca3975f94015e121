"""How networks form and adapt: the circuits that training builds, and when."""
