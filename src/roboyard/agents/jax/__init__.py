"""The jax backend: stable_baselines3's updates, compiled by XLA.

The networks, their initial weights, the rollouts, the buffers and the acting are those of the
torch backend; a whole ``train`` call (all minibatches of all epochs, or all gradient steps) is one
compiled function over the same tensors. What is learnt goes back into the torch policy and
optimisers, so that checkpoints, bundles and evaluation are the same for both backends. Random
keys are drawn from NumPy's generator at each update: there is no state of its own to keep.

Nothing here is imported before a config asks for it, and JAX's first import reads
``runtime.prepare``'s settings, so this package's ``__init__`` imports nothing.
"""
