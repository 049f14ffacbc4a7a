"""Published fakes and conformance suites, for our tests and for yours."""
