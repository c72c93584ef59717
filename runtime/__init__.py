"""The hub: wire to instant to 2D to 3D to clients and disk."""
