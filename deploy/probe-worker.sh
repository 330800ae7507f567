#!/bin/sh
# The worker's health check. Engines restart what ends, not what is unhealthy: a worker that fails its
# liveness probe six times in a row (a minute, in docker-compose.yml) is ended, and its restart policy
# does the rest. Needs `init: true`: nobody can kill process 1 from inside.
failures=/tmp/probe-failures

if python -m worker.healthcheck; then
    rm -f "$failures"
    exit 0
fi
count=$(($(cat "$failures" 2>/dev/null || echo 0) + 1))
echo "$count" >"$failures"
if [ "$count" -ge 6 ]; then
    rm -f "$failures"
    # shellcheck disable=SC2046 # several numbers are several arguments
    kill -KILL $(cat /proc/1/task/1/children)
fi
exit 1
