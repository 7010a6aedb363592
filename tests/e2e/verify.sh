#!/bin/bash
# Digests are compared, and what differs is repaired on the ordinary ways.
. "$(dirname "$0")/lib.sh"

# SQL on a site's file that no trigger captures: of one record
behind()
{
	at "$1" "INSERT INTO sync_mark(entity, record_id, source) VALUES ('$2', '$3', 0); $4; DELETE FROM sync_mark"
}

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	country
	serve main
	new_site District d.db s1
	new_site Post p.db s2
	requisition p.db r1
	location p.db l1
	holds "both sides are equal after a round" remote p.db verify
	cp "$work/out" seen
	holds "one line says so" grep -q "^equal: site 'Post' at .* records of .* entities, digest [0-9a-f]\{32\}, 0 differences found, 0 left$" seen

	behind p.db item i1 "UPDATE item SET name = 'spoiled' WHERE id = 'i1'"
	refused "a dry run lists what differs" 1 "item i1 differs: left as it is" remote p.db verify --dry-run
	same "and leaves it" spoiled "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"
	holds "a record of central's is repaired" remote p.db verify
	cp "$work/out" seen
	holds "which the report tells" grep -q "item i1 differs: central's version is sent" seen
	same "it is as central has it" "$(sql "SELECT name FROM item WHERE id = 'i1'")" "$(at p.db "SELECT name FROM item WHERE id = 'i1'")"

	behind p.db location l1 "UPDATE location SET name = 'moved' WHERE id = 'l1'"
	holds "a record of the site's own, too" remote p.db verify --json
	cp "$work/out" seen
	holds "JSON says whether all is well" grep -q '^{"ok":true,"equal":true' seen
	holds "the other way" grep -q '"entity":"location","id":"l1","kind":"differs","fate":"yours"' seen
	same "central has it" moved "$(sql "SELECT name FROM location WHERE id = 'l1'")"

	behind p.db requisition r1 "DELETE FROM requisition WHERE id = 'r1'"
	holds "a lost record comes back" remote p.db verify requisition
	same "as it was" 1 "$(at p.db "SELECT count(*) FROM requisition WHERE id = 'r1'")"
	at p.db "INSERT INTO location(id, name, code, on_hold, store_id, volume, location_type_id) VALUES ('w', 'Shelf', 'w', 0, 's2', 0, 'none')"
	remote p.db sync >/dev/null 2>&1 || true
	refused "what waits at central differs until it goes on" 1 "location w is here only: it waits: status tells for what" remote p.db verify
	cp "$work/err" seen
	holds "which the end says" grep -q "1 difference left: what waits is different until it goes on" seen
	at p.db "UPDATE location SET location_type_id = NULL WHERE id = 'w'"
	holds "then all is equal" remote p.db verify
	holds "at the other site as well" remote d.db verify
	holds "central asks for it" central verify Post
	refused "and waits in vain while the site is away" 1 "has not answered yet" central verify Post --wait 1ms
	holds "the site does after its next round" remote p.db sync
	holds "and central has the answer" eval 'central verify Post | grep -q "^equal: site .Post. at .*, digest [0-9a-f]\{32\}$"'
	"$REMOTE" run --database p.db --interval 200ms 2>run.log &
	pid_run=$!
	holds "a running site answers while central waits" central verify Post --wait 20s
	stop "$pid_run"
	refused "an entity that is none" 64 "no entity is called 'itm': is it item?" remote p.db verify itm
	stop "$pid_main"
	refused "central is down" 1 "" remote p.db verify
done
