"""Clients of the policy server: they need neither FastAPI nor onnxruntime."""
