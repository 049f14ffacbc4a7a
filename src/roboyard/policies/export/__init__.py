"""Export: a policy as an ONNX graph or a TorchScript module, checked against its network."""
