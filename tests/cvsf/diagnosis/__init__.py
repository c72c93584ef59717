"""Tests of `cvsf.diagnosis`."""
