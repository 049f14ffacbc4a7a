#!/bin/bash
# Starts a submission's agent from its image. However it ends, the instance ends with it: the
# fleet starts another one as long as there is work, and none once the agent has cancelled it.
set -uo pipefail
export AWS_DEFAULT_REGION='@REGION@'
image='@IMAGE@'
trap 'shutdown -h now' EXIT
systemd-run --on-active='@MAX_HOURS@h' shutdown -h now # ends it even if all of this hangs
command -v aws >/dev/null || dnf install --assumeyes --quiet awscli-2
pulled=
for pause in 5 20 60; do
  aws ecr get-login-password | docker login --username AWS --password-stdin "${image%%/*}"
  if docker pull "$image"; then pulled=yes && break; fi
  sleep "$pause"
done
if [ -z "$pulled" ]; then
  echo "error: image $image cannot be pulled" >&2
  exit 1
fi
docker run --rm --network host --shm-size 1g --stop-timeout 110 \
  --env AWS_DEFAULT_REGION "$image" \
  cloud agent --bucket '@BUCKET@' --submission '@SUBMISSION@'
