#!/bin/bash
# Stands in for Slurm's programs: its name says which. Tasks are processes of this machine; what is known of them lies in $FAKE_SLURM,
# where `mood` says what goes wrong. A real Slurm is asked in tests/slurm.
set -u
cd "$FAKE_SLURM" || exit 70
exec 9>lock
flock 9

mood() { grep -qx -- "$1" mood 2>/dev/null; }

alive() { [[ -s tasks/$1/pid ]] && kill -0 "$(<"tasks/$1/pid")" 2>/dev/null; }

running() {
    local count=0 task
    for task in tasks/*; do
        alive "${task#tasks/}" && count=$((count + 1))
    done
    echo $count
}

# Starts what waits, as far as there is room.
schedule() {
    local task
    for task in $(ls tasks | sort -V); do
        [[ -e tasks/$task/pid || -e tasks/$task/cancelled ]] && continue
        (($(running) < $(cat capacity 2>/dev/null || echo 99))) || return
        (
            exec 9>&- >>"tasks/$task/out" 2>&1 </dev/null
            export SLURM_JOB_ID=${task%_*} SLURM_ARRAY_JOB_ID=${task%_*} SLURM_ARRAY_TASK_ID=${task#*_} SLURMD_NODENAME=n${task#*_}
            exec setsid bash "$PWD/tasks/$task/script"
        ) &
        echo $! >"tasks/$task/pid"
    done
}

sbatch() {
    local script=${*: -1} last name array index
    name=$(sed -n 's/^#SBATCH --job-name=//p' "$script")
    last=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\).*/\1/p' "$script")
    if [[ $1 == --test-only ]]; then
        echo "sbatch: Job 1 to start at 2026-01-01T00:00:00" >&2
        exit 0
    fi
    if mood "one at a time" && ((last > 0)); then
        echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2
        exit 1
    fi
    array=$(($(cat arrays 2>/dev/null || echo 0) + 1))
    echo $array >arrays
    for ((index = 0; index <= last; index++)); do
        mkdir -p "tasks/${array}_$index"
        cp "$script" "tasks/${array}_$index/script"
        echo "$name" >"tasks/${array}_$index/name"
    done
    schedule
    if mood "lose the answer"; then
        rm mood
        echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
        exit 1
    fi
    echo "Welcome to this cluster!"
    echo $array
}

squeue() {
    local task id state
    schedule
    for task in tasks/*; do
        id=${task#tasks/}
        if alive "$id"; then
            state=RUNNING
        elif [[ -e $task/cancelled ]]; then
            state=CANCELLED
        elif [[ -e $task/pid ]]; then
            state=COMPLETED
        else
            state=PENDING
        fi
        echo "$id|${id%_*}|$state|None|10:00|$([[ -e $task/pid ]] && echo "n${id#*_}")|$(<"$task/name")"
    done
}

scancel() {
    local id
    if [[ $1 == -u ]]; then
        set -- $(grep -lx -- "$4" tasks/*/name | sed 's,tasks/\(.*\)/name,\1,')
    fi
    for id in "$@"; do
        touch "tasks/$id/cancelled"
        alive "$id" && kill -TERM "$(<"tasks/$id/pid")"
    done
    return 0
}

scontrol() {
    [[ $* == "show config" ]] || exit 1
    echo "MaxArraySize            = 1001"
}

sinfo() { echo "main*|up|1:00:00|(null)"; }

mkdir -p tasks
"${0##*/}" "$@"
