#!/bin/bash
# A site's file is damaged before its edits were pushed: what can be read of them arrives at central in a bundle, and the site begins anew.
. "$(dirname "$0")/lib.sh"

# damage FILE TABLE: the first page of a table or index is overwritten, as a dying card does
damage()
{
	local page

	page=$(at "$1" "PRAGMA wal_checkpoint(TRUNCATE); SELECT rootpage FROM sqlite_schema WHERE name = '$2'" | tail -n 1)
	dd if=/dev/urandom of="$1" bs=4096 seek=$((page - 1)) count=1 conv=notrunc 2>/dev/null
}

# Many locations, so that they are on many pages: shelves FILE FIRST LAST
shelves()
{
	at "$1" "WITH RECURSIVE n(i) AS (VALUES ($2) UNION ALL SELECT i + 1 FROM n WHERE i < $3)
		INSERT INTO location(id, name, code, on_hold, store_id, volume) SELECT 'l' || i, 'Shelf ' || i, i, 0, 's2', i / 4.0 FROM n"
}

# figure NAME: of the report in out
figure()
{
	sed -n "s/.*\"$1\":\([a-z0-9]*\).*/\1/p" "$work/out"
}

digest_at() { at "$1" "SELECT id || '|' || name || '|' || CAST(volume * 4 AS integer) FROM location" | LC_ALL=C sort | cksum; }
digest() { sql "SELECT id || '|' || name || '|' || CAST(volume * 4 AS integer) FROM location" | LC_ALL=C sort | cksum; }

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	country
	serve main
	new_site Post p.db s2
	shelves p.db 1 400
	requisition p.db r1
	remote p.db sync >/dev/null

	shelves p.db 401 900
	at p.db "UPDATE location SET name = 'moved' WHERE id = 'l7'; DELETE FROM location WHERE id = 'l8'"
	requisition p.db r2
	cp p.db whole.db
	holds "a whole file can be read as well" remote p.db salvage edits --json
	same "all of it" '503 0 false' "$(figure records) $(figure lost) $(figure incomplete)"
	damage p.db location
	damage p.db sync_changelog_seq
	damage p.db sync_changelog_root
	refused "a damaged file is used no more" 1 corrupt remote p.db sync --json
	cp p.db damaged.db
	beside=$(echo p.db*)
	refused "nor is it read while another remote has it" 1 "another remote is at work" flock p.db-remote env SYNC_DATABASE=sqlite:p.db "$REMOTE" salvage edits
	refused "the bundle takes the place of no part of it" 1 "exists and is no bundle" remote p.db salvage ./p.db
	refused "of no live one either" 1 "exists and is no bundle" remote whole.db bundle whole.db
	refused "its folder must be there" 1 "No such file" remote p.db salvage nowhere/edits
	rm edits
	refused "and its disk have room" 1 diskfull bash -c 'trap "" XFSZ; ulimit -f 1; SYNC_DATABASE=sqlite:p.db exec "$0" salvage edits --json' "$REMOTE"
	same "nothing is left of an attempt" "" "$(ls | grep edits || true)"
	holds "all edits are read out of it" remote p.db salvage edits --json
	same "all of them" '503 0 false' "$(figure records) $(figure lost) $(figure incomplete)"
	holds "not a byte of it was changed" cmp p.db damaged.db
	same "nor is anything beside it" "$beside" "$(echo p.db*)"
	mkdir readonly
	cp p.db p.db-* readonly/
	chmod 755 "$here"
	[ "$(id -u)" != 0 ] || chown -R 65534 readonly
	mkdir -m 777 out
	chmod -R a-w readonly
	holds "nor need it be writable" remote_as_nobody "$here/readonly/p.db" salvage out/edits
	chmod -R u+w readonly

	holds "central accepts it" central accept edits
	same "the edits are there" 899 "$(sql 'SELECT count(*) FROM location')"
	same "those of records that it had, too" "moved" "$(sql "SELECT name FROM location WHERE id = 'l7'")"
	holds "again, nothing is new" central accept edits
	central site reset Post >new.secret 2>/dev/null
	refused "after a reset it is of another installation" 1 "another installation" central accept edits
	holds "the site begins anew" remote new.db init --url "$url" --site Post --secret-file new.secret
	same "with all that it had" "$(digest)" "$(digest_at new.db)"
	same "and has it as it was" "$(digest_at whole.db)" "$(digest_at new.db)"

	echo "-- $kind, what is lost"
	requisition new.db r3
	location new.db l1000
	damage new.db requisition
	refused "what cannot be read is named" 1 "lost: requisition r3: its table is damaged" remote new.db salvage some
	refused "the rest is there" 1 "1 edit of site 'Post' in some" remote new.db salvage some
	refused "for programs, too" 1 '"lost":1,"incomplete":false,"unreadable":\[{"entity":"requisition","id":"r3","text":"' remote new.db salvage some --json
	holds "central accepts it" central accept some
	same "it arrived" 1 "$(sql "SELECT count(*) FROM location WHERE id = 'l1000'")"
	damage new.db sync_changelog
	refused "what the changelog lacks, its index names" 1 "1 edit is lost, all others are in the bundle" remote new.db salvage some
	damage new.db sync_changelog_seq
	refused "when nothing names the edits, that is told" 1 "there may have been others" remote new.db salvage none
	cp new.db cut.db
	truncate -s $(($(stat -c %s cut.db) / 2)) cut.db
	refused "of a file that was cut short, what is there is read" 1 '"incomplete":true' remote cut.db salvage none --json
	damage new.db sync_link
	refused "when who the site is cannot be read, a person is needed" 1 "sqlite3 new.db .recover" remote new.db salvage none
	head -c 20000 /dev/urandom >cut.db
	refused "a file that is no database is no site" 1 "it is no SQLite database" remote cut.db salvage none
	refused "nor one that is not there" 1 "there is no such file" remote gone.db salvage none
	same "central goes on" 0 "$(sql 'SELECT count(*) FROM sync_waiting')"
	stop "$pid_main"
done
