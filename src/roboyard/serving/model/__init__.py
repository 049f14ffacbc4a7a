"""The models behind the server: loaded policies, versions, batches, reloading."""
