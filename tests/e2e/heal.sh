#!/bin/bash
# Central, a site, or both put back to an older state: nothing is lost, and nobody has to do anything but decide.
. "$(dirname "$0")/lib.sh"

tables="name store item location requisition barcode"

# save FILE: a backup of central's database, while nobody uses it (SQLite: a file copy; PostgreSQL: pg_dump)
save()
{
	case $database in
	postgres:*) pg_dump -Fc -f "$1" "${database#postgres:}" ;;
	*) cp "${database#sqlite:}" "$1" ;;
	esac
}

put_back()
{
	case $database in
	postgres:*) pg_restore --clean --if-exists -d "${database#postgres:}" "$1" ;;
	*) rm -f "${database#sqlite:}"-wal "${database#sqlite:}"-shm && cp "$1" "${database#sqlite:}" ;;
	esac
}

sync_all()
{
	local i f
	for i in 1 2; do
		for f in "$@"; do remote "$f" sync >/dev/null || fail "$f: remote sync ended with $?: $(remote "$f" sync 2>&1 | tail -2)"; done
	done
}

# Counts and contents of what both sides should have alike, by export and by the shell.
content()
{
	for t in $tables; do central export "$t" --format json | sort | sha256sum; done
}

site_content()
{
	for t in $tables; do at "$1" "SELECT '$t', count(*) FROM $t"; done
}

central_counts()
{
	for t in $tables; do sql "SELECT '$t', count(*) FROM $t"; done
}

unit()
{
	sql "INSERT INTO item(id, name, code, ven_category, default_pack_size, type, legacy_record, is_active, is_vaccine, vaccine_doses, volume_per_pack)
		SELECT '$1', '$2', '$1', ven_category, default_pack_size, type, legacy_record, is_active, is_vaccine, vaccine_doses, volume_per_pack FROM item WHERE id = 'i1'"
}

for kind in $(kinds); do
	new_database "$kind"
	country
	registry=$work/registry-$kind
	serve main --registry "$registry"
	address=${url#http://} # which sites keep
	new_site Post p.db s2
	new_site District d.db s1
	location p.db before
	sync_all p.db d.db
	stop "$pid_main"
	save backup
	cp p.db p.image

	serve main --registry "$registry" --listen "$address"
	unit i2 "lost item"
	sql "UPDATE item SET name = 'lost name' WHERE id = 'i1'"
	location p.db lost1
	requisition p.db lost2
	sync_all p.db d.db
	new_site Late l.db
	same "$kind: a site that registers after the backup has everything" 2 "$(at l.db 'SELECT count(*) FROM item')"
	stop "$pid_main"
	put_back backup
	serve main --registry "$registry" --listen "$address"
	for i in 1 2 3; do
		sql "UPDATE name SET name = 'District $i' WHERE id = 'n1'"
		location d.db "new$i" s1
		sync_all d.db
	done
	location p.db meanwhile
	sync_all p.db d.db l.db
	same "$kind: a restored central has again what sites made" 6 "$(sql 'SELECT count(*) FROM location')"
	same "$kind: and what goes from one to the other" 1 "$(at d.db "SELECT count(*) FROM requisition WHERE id = 'lost2'")"
	same "$kind: what it lost of its own is offered" "i1 older,i2 missing" \
		"$(central recovered list | awk 'NR > 1 && $3 == "item" { print $4, $5 }' | sort -u | paste -sd,)"
	central status >status.txt
	holds "$kind: status says so" grep -q "central lost history.*3 sites have healed, 3 records wait in central recovered" status.txt
	holds "$kind: and accepted in one step, but for what central has changed since" eval 'central recovered accept --all | grep -q "2 accepted, 0 central had again by itself, 1 left"'
	sync_all p.db d.db l.db
	same "$kind: so everybody has it again" "lost name lost name lost item" \
		"$(at p.db "SELECT name FROM item WHERE id = 'i1'") $(at d.db "SELECT name FROM item WHERE id = 'i1'") $(at l.db "SELECT name FROM item WHERE id = 'i2'")"
	same "$kind: both sides have the same records" "$(central_counts | grep -v '^location\|^requisition')" "$(site_content p.db | grep -v '^location\|^requisition')"

	before=$(content)
	cp p.image p.db
	rm -f p.db-wal p.db-shm
	location p.db later
	sync_all p.db d.db l.db
	same "$kind: a restored site has again what it made" 4 "$(at p.db "SELECT count(*) FROM location WHERE store_id = 's2'")"
	same "$kind: and what it made meanwhile is at central" 1 "$(sql "SELECT count(*) FROM location WHERE id = 'later'")"
	sql "DELETE FROM location WHERE id = 'later'"
	same "$kind: nothing else has changed" "$before" "$(content)"

	stop "$pid_main"
	put_back backup
	serve main --registry "$registry" --listen "$address"
	cp p.image p.db
	rm -f p.db-wal p.db-shm
	sync_all d.db p.db l.db
	holds "$kind: both restored: the others bring back what was everybody's" eval '[ $(central recovered accept --all --json | tr , "\n" | grep -c accepted) = 1 ]'
	sync_all d.db p.db l.db
	same "$kind: and it is everywhere" "lost name lost name" "$(at p.db "SELECT name FROM item WHERE id = 'i1'") $(sql "SELECT name FROM item WHERE id = 'i1'")"

	cp d.db copy.db
	location d.db of-a s1
	sync_all d.db
	location copy.db of-b s1
	sync_all copy.db
	location d.db of-a2 s1
	refused "$kind: a copy is found" 1 "two copies of this site's database are in use" remote d.db sync
	refused "$kind: and both are stopped" 1 "central site keep NAME BRANCH" remote copy.db sync
	same "$kind: that is the site's state at central" copied "$(central site show District --json | sed 's/.*"state":"\([a-z]*\)".*/\1/')"
	eventually 5 "$kind: which status says in short" eval 'central status | grep -q "^District  copied .*  copied: two copies of this site are in use$"'
	branch=$(remote d.db status | sed -n 's/.*branch //p')
	holds "$kind: one is chosen" central site keep District "$branch"
	holds "$kind: it goes on" remote d.db sync
	refused "$kind: the other does not" 1 "was stopped at central" remote copy.db sync
	same "$kind: nothing of either is lost" 3 "$(sql "SELECT count(*) FROM location WHERE id IN ('of-a', 'of-b', 'of-a2')")"
	stop "$pid_main"
	rm -f p.db* d.db* l.db* copy.db* p.image backup
done
