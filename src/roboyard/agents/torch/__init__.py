"""The torch backend: stable_baselines3's algorithms with the same arithmetic in less time.

Each class derives from the one of its name in stable_baselines3 or sb3-contrib and replaces how
rollouts are collected or how the networks learn. Weights are the same, bit for bit. On an
accelerator a gradient step is one CUDA graph. What is not covered (policies with a forward pass of
their own, other optimisers than Adam) takes the parent's way.
"""
