#!/bin/bash
# Two processes serve one PostgreSQL database: a site may meet either with every request, and both may die.
. "$(dirname "$0")/lib.sh"

[ -n "${SYNC_TEST_POSTGRES:-}" ] || { echo "no PostgreSQL here (tests/with_postgres): skipped"; exit 0; }
new_database postgres
country
serve one
serve two
url=$url_one
new_site Post p.db s2
url=$url_two
new_site District d.db s1

for i in 1 2 3 4; do
	requisition p.db "r$i"
	remote p.db sync --url "$([ $((i % 2)) = 0 ] && echo "$url_one" || echo "$url_two")" >/dev/null
done
same "rounds of one site through both" 4 "$(sql 'SELECT count(*) FROM requisition')"
holds "the other site pulls through the first" remote d.db sync --url "$url_one"
same "what came through both" 4 "$(at d.db 'SELECT count(*) FROM requisition')"

busy()
{
	for i in $(seq 8); do
		if [ "$1" = p.db ]; then
			requisition p.db "$1-$i"
		else
			at d.db "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('$1-$i', 'x', 'x', 0, 's1', 0)"
		fi
		remote "$1" sync --url "$2" >>"$1.log" 2>&1 || true
	done
}
busy p.db "$url_one" &
pid_p=$!
busy d.db "$url_two" &
pid_d=$!
for i in $(seq 10); do
	sql "UPDATE item SET name = 'edit $i' WHERE id = 'i1'"
	sleep 0.1
done
wait $pid_p $pid_d
holds "sites and central edit at the same time" remote p.db sync --url "$url_two"
remote d.db sync --url "$url_one" >/dev/null
same "no edit is skipped by anybody" "12 8 edit 10" "$(at d.db 'SELECT count(*) FROM requisition') $(sql 'SELECT count(*) FROM location') $(at d.db 'SELECT name FROM item')"
same "the other site has central's newest too" "edit 10" "$(at p.db 'SELECT name FROM item')"

sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()" >/dev/null
requisition p.db lost
eventually 15 "connections that the database has closed are opened again" remote p.db sync --url "$url_one"
eventually 15 "by the other process too" remote d.db sync --url "$url_two"
same "nothing was lost" "13" "$(at d.db 'SELECT count(*) FROM requisition')"

requisition p.db last
kill -9 "$pid_one"
wait "$pid_one" 2>/dev/null || true
refused "one process is gone" 1 "Connection refused\|connect" remote p.db sync --url "$url_one"
holds "the other takes over" remote p.db sync --url "$url_two"
routed()
{
	[ "$(sql 'SELECT count(*) FROM sync_changelog')" = 0 ]
}
vacuumed()
{
	[ "$(sql "SELECT vacuum_count + autovacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'sync_changelog'")" = t ]
}
sql "UPDATE item SET name = 'by hand' WHERE id = 'i1'"
sql "INSERT INTO sync_changelog(entity, record_id, action, source, at_us) SELECT 'location', n, 'D', 0, 0 FROM generate_series(1, 60000) n"
eventually 15 "work of which no request speaks is found" routed
eventually 40 "what much routing leaves behind is taken away" vacuumed
central site revoke Post >/dev/null
refused "a revocation holds in all of them at once" 1 "has been revoked" remote p.db sync --url "$url_two"
stop "$pid_two"
