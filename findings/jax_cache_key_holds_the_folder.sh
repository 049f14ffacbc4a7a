#!/usr/bin/env bash
# Guess: JAX's persistent compilation cache finds a program in whatever folder its files lie, so
#   that a cache can be copied, mounted elsewhere or baked into an image.
# Seen with jax 0.10.2, jaxlib 0.10.2 on a CPU: with the defaults the folder's path is part of each
#   program's key (by XLA's own caches for GPUs, which stand inside it), so a copied cache is never
#   hit. With jax_persistent_cache_enable_xla_caches = "none" the copy is hit.
# Output seen:
#   defaults: same folder hits=1, copied folder hits=0
#   none: same folder hits=1, copied folder hits=1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2
cat >program.py <<'P'
import sys

import jax
import jax.numpy as jnp

hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
if len(sys.argv) > 2:
    jax.config.update("jax_persistent_cache_enable_xla_caches", sys.argv[2])
jax.jit(lambda x: jnp.tanh(x) @ x)(jax.device_put(jnp.float32([[1.0]]))).block_until_ready()
print(min(1, hits.count("/jax/compilation_cache/cache_hits")))
P
report() {
  local name=$1 folder="$work/$1" option=("${@:2}")
  venv/bin/python program.py "$folder" "${option[@]}" >/dev/null
  local same; same=$(venv/bin/python program.py "$folder" "${option[@]}")
  cp -r "$folder" "$folder.copy"
  echo "$name: same folder hits=$same, copied folder hits=$(venv/bin/python program.py "$folder.copy" "${option[@]}")"
}
seen="$(report defaults; report none none)"
echo "$seen"
test "$seen" = "defaults: same folder hits=1, copied folder hits=0
none: same folder hits=1, copied folder hits=1"
