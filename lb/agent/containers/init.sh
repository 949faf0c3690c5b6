# The first process of a container. Standard input: shell text that exports the variables, a NUL, and then nothing; its
# end is the end of whoever started the container, by kill -9 too, and ends the container at once.
# Arguments: the script, and the seconds that what it leaves running has to end.
IFS= read -r -d '' exports
eval "$exports"
unset exports
trap 'asked=1; kill -TERM -- "-$engine" 2>/dev/null' TERM
trap 'kill -KILL -- "-$engine" 2>/dev/null; exit 137' USR1
set -m # a process group of its own
bash -c "$1" </dev/null &
engine=$!
set +m
{ while read -r _; do :; done; kill -USR1 $$; } <&0 2>/dev/null &
lifeline=$!
while :; do
    asked=
    wait "$engine"
    code=$?
    [ -n "$asked" ] || break
done
kill -TERM -- "-$engine" 2>/dev/null
for ((tenth = 0; tenth < 10 * $2; tenth++)); do
    kill -0 -- "-$engine" 2>/dev/null || break
    sleep 0.1
done
kill "$lifeline" 2>/dev/null
exit "$code"
