"""The tests of the example: C{trial sockhost_example}."""
