"""MuJoCo helpers that suites share: a GL context per process, and an offscreen renderer."""
