"""A camera node: lens to stamped frame to wire; and the simulated slope."""
