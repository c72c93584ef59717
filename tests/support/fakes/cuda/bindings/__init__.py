"""In the place of cuda-bindings."""
