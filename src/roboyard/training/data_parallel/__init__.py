"""Several processes that train one run: the same data and the same steps as one process.

Every process holds the whole learner and steps its own environments; what the environments return
is exchanged at every control step, so that rollouts, replay buffers, normalisers, schedules and
generators are the same everywhere. Of each minibatch a process computes the gradients of its own
rows, which are added up before every optimiser step. The first process leads: it alone drives the
run's folder, evaluates and decides when to stop; the others follow it from boundary to boundary.
"""
