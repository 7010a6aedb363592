#!/bin/bash
# kill -9 of central and of remote in the middle of whatever they do: nothing is lost, nothing is twice, and running again goes on.
. "$(dirname "$0")/lib.sh"

locations=${LOCATIONS:-4000}
items=${ITEMS:-8000}

# some milliseconds: spread over what the operation takes
a_while()
{
	sleep "0.$(printf '%03d' $((RANDOM % ${1:-300} + 5)))"
}

# crash COMMAND…: starts it and kills it after a while
crash()
{
	"$@" >/dev/null 2>&1 &
	local pid=$!

	a_while "${within:-300}"
	kill -9 $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
}

# The digest of a table's ids and one field, in any order of rows
digest_at() { at "$1" "SELECT id || '|' || $3 FROM $2" | LC_ALL=C sort | cksum; }
digest() { sql "SELECT id || '|' || $2 FROM $1" | LC_ALL=C sort | cksum; }

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	country
	for i in $(seq "$items"); do
		printf '{"id":"item%d","name":"Item %d","code":"%d","ven_category":"N","default_pack_size":1,"type":"STOCK","legacy_record":"{}","is_active":true,"is_vaccine":false,"vaccine_doses":0,"volume_per_pack":0}\n' "$i" "$i" "$i"
	done >many.jsonl
	central import item many.jsonl >/dev/null
	serve main
	address=${url#http://}
	central site add Post --store s2 >secret 2>/dev/null

	export SYNC_DATABASE="sqlite:$here/p.db"
	crashes=0
	for _ in 1 2 3 4 5; do
		within=600 crash "$REMOTE" init --url "$url" --site Post --secret-file secret
		crashes=$((crashes + 1))
	done
	export SYNC_DATABASE=$database
	holds "init goes on after $crashes crashes" remote p.db init --url "$url" --site Post --secret-file secret
	same "all records are there" "$(digest item name)" "$(digest_at p.db item name)"

	at p.db "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < $locations)
		INSERT INTO location(id, name, code, on_hold, store_id, volume) SELECT 'l' || i, 'Shelf ' || i, i, 0, 's2', i FROM n"
	for _ in 1 2 3 4; do
		SYNC_DATABASE="sqlite:$here/p.db" within=250 crash "$REMOTE" sync
		at p.db "UPDATE location SET name = name || '.' WHERE id IN ('l1', 'l$((RANDOM % locations + 1))')"
	done
	holds "a push goes on after kill -9 of remote" remote p.db sync
	same "central has every location once, as it is" "$(digest_at p.db location name)" "$(digest location name)"

	for round in 1 2 3 4; do
		at p.db "UPDATE location SET name = 'round $round ' || id WHERE volume % 2 = $((round % 2))"
		remote p.db sync >/dev/null 2>&1 &
		pid_sync=$!
		a_while 300
		kill -9 "$pid_main"
		wait "$pid_main" 2>/dev/null || true
		wait $pid_sync || true
		"$CENTRAL" serve --listen "$address" >>main.log 2>&1 &
		pid_main=$!
		eventually 10 "central is back after kill -9" curl -sf -o /dev/null "$url/sync/v1/health"
		sql "UPDATE item SET name = 'round $round' WHERE id = 'item$round'"
	done
	holds "and everything goes on" remote p.db sync
	same "central has what the site has" "$(digest_at p.db location name)" "$(digest location name)"
	eventually 10 "the site has what central has" eval 'remote p.db sync >/dev/null && [ "$(digest item name)" = "$(digest_at p.db item name)" ]'
	same "nothing waits" "0 0" "$(sql 'SELECT count(*) FROM sync_inbox') $(at p.db 'SELECT count(*) FROM sync_inbox')"
	stop "$pid_main"
done
