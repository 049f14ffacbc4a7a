"""Many runs at once, on one machine or a cluster: experiments and searches, on Ray.

The data's way::

    experiment.yaml -> ExperimentDefinition -> Plan: one resolved config a run
        -> ledger: <store>/<name>/experiment.json, written once, all that --resume needs
        -> executor: one Ray task a run; Ray decides where
             -> keeper -> roboyard train    a process of its own on the node
                 -> an ordinary run directory in the store
        -> comparison: read from the run directories alone

A run is always the ordinary ``roboyard train`` in a process of its own, not a ``Trainer`` inside a
Ray worker: signals reach its main thread, torch's threads are its own, its exit code says whether
it may be continued, and a lease fences it. Ray's worker only starts it, and watches. What a run
has learnt is known from the store, never from Ray: so any part of Ray may die.

===============  ==================================================================
``experiment_definition``   what an experiment's file may hold
``plan``         from a definition to the configs of its runs
``experiment_record``       an experiment's record in its store; who owns a name
``cluster``      a local Ray, or an existing one; what it has and whether it fits
``cores``        cores of one node, shared out among runs
``child_process``       one child process, none of whose descendants outlives it
``run_task``      one process of a run on a node, as a Ray task
``executor``     starts attempts until every run has ended; budgets
``live_table``        how far every run is, for people
``comparison``   runs against each other; ``aggregates`` has the statistics
===============  ==================================================================
"""
