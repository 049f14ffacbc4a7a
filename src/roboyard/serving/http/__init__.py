"""The HTTP and WebSocket face of the policy server: routes, limits, formats, telemetry."""
