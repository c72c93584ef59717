"""The night: sessions to lifter to scores to engine."""
