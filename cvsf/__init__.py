"""The method and the nouns every room shares."""
