#!/bin/bash
# remote run: an edit by any program goes at once, a link that is down costs nothing, and a signal ends it cleanly.
. "$(dirname "$0")/lib.sh"

new_database sqlite
country
serve main
new_site Post p.db s2
new_site District d.db s1

run_remote()
{
	SYNC_DATABASE=sqlite:p.db "$REMOTE" run "$@" >>run.log 2>&1 &
	pid_run=$!
	eventually 10 "remote run watches the file" grep -q running run.log
}

run_remote --interval 1h
requisition p.db r1
eventually 5 "an edit by the sqlite3 shell is at central within 5 seconds" eval '[ "$(sql "SELECT count(*) FROM requisition")" = 1 ]'
holds "and at the other site after its next round" remote d.db sync
same "there it is" 1 "$(at d.db 'SELECT count(*) FROM requisition')"
rounds=$(grep -c 'name=Post' main.log)
sleep 2
same "our own commits start no round" "$rounds" "$(grep -c 'name=Post' main.log)"

for i in 1 2 3 4 5; do location p.db "many$i"; done
eventually 5 "edits that follow each other go together" eval '[ "$(sql "SELECT count(*) FROM location")" = 5 ]'
same "in few rounds" yes "$([ $(($(grep -c 'name=Post' main.log) - rounds)) -le 3 ] && echo yes)"

refused "a second remote on one file is refused" 1 "another remote is at work on" remote p.db sync
ln -s p.db link.db
refused "whatever it is called" 1 "another remote is at work on" remote link.db sync
holds "but status may look" remote p.db status

stop "$pid_main"
location p.db down1
eventually 10 "a link that is down is told" grep -q 'round failed.*again_in_ms' run.log
holds "and that nothing is lost" grep -q 'round failed.*nothing is lost, remote run tries again by itself' run.log
failures=$(grep -c 'round failed' run.log)
for i in 2 3 4; do location p.db "down$i"; sleep 0.3; done
same "edits meanwhile do not hammer" "$failures" "$(grep -c 'round failed' run.log)"
"$CENTRAL" serve --listen "${url#http://}" >>main.log 2>&1 &
pid_main=$!
eventually 15 "it goes on by itself when central is back" eval '[ "$(sql "SELECT count(*) FROM location")" = 9 ]'

kill -TERM "$pid_run"
wait "$pid_run" && status=0 || status=$?
same "SIGTERM ends it with 0" 0 "$status"
holds "and says so" grep -q 'stopped' run.log
location p.db late
run_remote --interval 1s
eventually 5 "what was edited meanwhile goes when it starts" eval '[ "$(sql "SELECT count(*) FROM location")" = 10 ]'
sql "UPDATE item SET name = 'changed'"
eventually 5 "the interval brings what is new at central" eval '[ "$(at p.db "SELECT name FROM item")" = changed ]'
kill -9 "$pid_run"
wait "$pid_run" 2>/dev/null || true
holds "kill -9 leaves no lock" remote p.db sync
stop "$pid_main"
