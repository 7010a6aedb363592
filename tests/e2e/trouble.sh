#!/bin/bash
# A damaged file, a full disk, a read-only file, a wrong clock: each is told once, shown by status, and over when it is over.
. "$(dirname "$0")/lib.sh"

# A limit on the size of files is met as a full disk is: no_room PID, room PID. Logs go through a pipe, which has no size.
no_room() { prlimit --pid "$1" --fsize=1024: ; }
room() { prlimit --pid "$1" --fsize=unlimited: ; }

run_remote()
{
	(
		trap '' XFSZ
		SYNC_DATABASE=sqlite:p.db exec "$REMOTE" run "$@" 2> >(exec cat >>run.log)
	) &
	pid_run=$!
}

serve_piped()
{
	rm -f main.port
	(
		trap '' XFSZ
		exec "$CENTRAL" serve --listen "${1:-127.0.0.1:0}" --port-file main.port 2> >(exec cat >>main.log)
	) &
	pid_main=$!
	eventually 10 "central serves" test -s main.port
	url=http://127.0.0.1:$(cat main.port)
}

# ended TEXT STATUS PID
ended()
{
	local got=0

	wait "$3" || got=$?
	same "$1" "$2" "$got"
}

# damage FILE TABLE: the first page of a table is overwritten
damage()
{
	local page

	page=$(at "$1" "PRAGMA wal_checkpoint(TRUNCATE); SELECT rootpage FROM sqlite_schema WHERE name = '$2'" | tail -n 1)
	dd if=/dev/urandom of="$1" bs=4096 seek=$((page - 1)) count=1 conv=notrunc 2>/dev/null
}

troubles()
{
	"$@" --json | grep -o '"trouble":\[[^]]*\]'
}

name_database sqlite
serve_piped
country
new_site Post p.db s2
new_site District d.db s1
new_site Other o.db
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0

echo "-- clock"
holds "a clock that is right is no trouble" eval '[ "$(troubles remote p.db status)" = "\"trouble\":[]" ]'
SHIFT=7500 LD_PRELOAD=$SHIFTED remote p.db sync 2>clock.log >/dev/null
holds "a site whose clock is 2 hours ahead says so" grep -q "warning clock wrong ahead_s=7[45].. text=\"2 h . min ahead of central's\"" clock.log
SHIFT=7500 LD_PRELOAD=$SHIFTED remote p.db sync 2>clock.log >/dev/null
same "once" 0 "$(grep -c clock clock.log)"
refused "status tells what to do" 0 "trouble   clock since 20.*2 h . min ahead of central's: set it" remote p.db status
refused "and programs too" 0 '"trouble":\[{"code":"clock","since":"20' remote p.db status --json
remote p.db sync 2>clock.log >/dev/null
holds "when it is right again that is told" grep -q "notice clock right ahead_s=-\?[0-9]$" clock.log
same "and over" '"trouble":[]' "$(troubles remote p.db status)"

echo "-- full disk at a site"
run_remote --interval 1s
eventually 10 "remote runs" grep -q running run.log
no_room "$pid_run"
requisition p.db r1
eventually 5 "a full disk is told" grep -q 'error trouble code=diskfull text="\?p.db: .*free some space' run.log
refused "status tells it" 0 '"trouble":\[{"code":"diskfull","since":"20' remote p.db status --json
refused "and what to do" 0 'trouble   diskfull since 20.*free some space' remote p.db status
sql "UPDATE item SET name = 'new'"
sleep 2
same "once, however often it was tried" 1 "$(grep -c 'diskfull' run.log)"
room "$pid_run"
eventually 5 "when there is room again it goes on by itself" eval '[ "$(sql "SELECT count(*) FROM requisition")" = 1 ]'
eventually 5 "both ways" eval '[ "$(at p.db "SELECT name FROM item")" = new ]'
eventually 5 "and says so" grep -q 'trouble over code=diskfull' run.log
same "status knows" '"trouble":[]' "$(troubles remote p.db status)"
stop "$pid_run"

echo "-- full disk at central"
remote d.db sync >/dev/null
sql "UPDATE item SET name = 'newer'"
holds "what central has is routed when any site comes" remote o.db sync
location p.db l1
no_room "$pid_main"
refused "a push is refused for a full disk" 1 "diskfull\|free some space" remote p.db sync
same "with its own code" diskfull "$(remote p.db status --json | grep -o '"code":"diskfull"' | head -n 1 | cut -d'"' -f4)"
same "which is not the site's trouble" '"trouble":[]' "$(troubles remote p.db status)"
same "but what central has is given all the same" newer "$(at p.db 'SELECT name FROM item')"
holds "also to a site that has nothing to push" remote d.db sync
same "there it is" newer "$(at d.db 'SELECT name FROM item')"
refused "again" 1 "" remote p.db sync
same "central tells it once" 1 "$(grep -c 'diskfull' main.log)"
refused "central status tells it" 0 "trouble   diskfull since 20" central status
same "nothing of the push is there" 0 "$(sql 'SELECT count(*) FROM location')"
room "$pid_main"
eventually 10 "central finds that there is room again" grep -q 'trouble over code=diskfull' main.log
holds "and takes the push" remote p.db sync
same "whole" 1 "$(sql 'SELECT count(*) FROM location')"
same "central's status knows" '"trouble":[]' "$(troubles central status)"

echo "-- read-only"
mkdir ro
mv d.db d.db-remote ro/
at ro/d.db "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('l2', 'Shelf', 'l2', 0, 's1', 0)"
chmod 444 ro/d.db
[ "$(id -u)" != 0 ] || chown -R 65534 ro
as_owner() { remote_as_nobody "$work/ro/d.db" "$@"; }
refused "a file that cannot be written is told" 1 "check the permissions" as_owner sync
refused "status tells it" 0 '"code":"readonly","since":"20' as_owner status --json
chmod 644 ro/d.db*
holds "it goes on when it can be written" as_owner sync
same "status knows" '"trouble":[]' "$(troubles as_owner status)"
mv ro/d.db .

echo "-- damage at a site"
cp p.db whole.db
at whole.db "UPDATE sync_meta SET value = '1' WHERE key = 'checked_us'"
cp whole.db p.db
damage p.db sync_inbox_root
run_remote --interval 1h
ended "remote run reads the file once a week, and ends with 1 when it is damaged" 1 "$pid_run"
holds "it is told" grep -q 'error trouble code=corrupt text="\?p.db: .*restore it from a backup' run.log
refused "status tells it" 0 'trouble   corrupt since 20.*restore it from a backup' remote p.db status
cp p.db before.db
refused "nothing is written to it any more" 1 "damaged" remote p.db sync
holds "not a byte" cmp p.db before.db
rm -f p.db-wal p.db-shm
cp whole.db p.db
: >p.db-remote
damage p.db sync_changelog_seq
run_remote --interval 1h
ended "damage that a round meets ends it as well" 1 "$pid_run"
refused "status says so when it cannot be read" 1 '"error":"corrupt","text":"p.db: ' remote p.db status --json
rm -f p.db-wal p.db-shm
cp whole.db p.db
holds "a file that was restored is used again" remote p.db sync
same "and status knows" '"trouble":[]' "$(troubles remote p.db status)"
holds "it was checked" eval '[ "$(at p.db "SELECT value FROM sync_meta WHERE key = '"'checked_us'"'")" -gt 1000 ]'
dd if=/dev/zero of=p.db bs=100 count=1 conv=notrunc 2>/dev/null
refused "a file whose beginning is gone is refused at once" 1 '"error":"corrupt","text":"p.db: ' remote p.db sync --json

echo "-- damage at central"
file=${database#sqlite:}
stop "$pid_main"
at "$file" "UPDATE sync_meta SET value = '1' WHERE key = 'checked_us'; INSERT OR IGNORE INTO sync_meta VALUES ('checked_us', '1')"
cp "$file" whole.db
damage "$file" sync_outbox_gone
serve_piped "${url#http://}"
remote d.db sync >/dev/null
ended "central ends with 1 when the weekly check finds damage" 1 "$pid_main"
holds "it is told" grep -q 'error trouble code=corrupt text=.*restore it from a backup' main.log
refused "status tells it" 0 'trouble   corrupt since 20' central status
refused "central does not serve it" 1 "restore it from a backup" central serve --listen 127.0.0.1:0
refused "nor is it edited" 1 "restore it from a backup" central import item items.jsonl
cp whole.db "$file"
rm -f "$file"-wal "$file"-shm
serve_piped "${url#http://}"
holds "a file that was restored is served again" remote d.db sync
same "and status knows" '"trouble":[]' "$(troubles central status)"
stop "$pid_main"
