#!/bin/bash
# Registrations outlive central's database: whoever registered after the backup is not locked out when it is restored.
. "$(dirname "$0")/lib.sh"

# Keep the database as it is now, the way the documents say; and put it back.
back_up()
{
	case $database in
	postgres:*) pg_dump -Fc -f backup "${database#postgres:}" ;;
	*) sqlite3 "${database#sqlite:}" '.backup backup' ;;
	esac
}

put_back()
{
	local file=${database#sqlite:}

	case $database in
	postgres:*)
		dropdb --force "${databases[-1]}"
		createdb "${databases[-1]}"
		pg_restore --dbname="${database#postgres:}" backup
		;;
	*)
		rm -f "$file-wal" "$file-shm"
		cp backup "$file"
		;;
	esac
}

restore()
{
	stop "$pid_main"
	put_back
	serve main
}

# What a round of a site whose records central has lost says today: it is known, and it has more history than central.
authenticated()
{
	remote "$1" sync --url "$url" >"$work/out" 2>"$work/err" || true
	! grep -q "nobody's\|revoked\|not authorized\|connect" "$work/out" "$work/err"
}

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	if [ "$kind" = postgres ]; then
		serve unwarned
		holds "serving PostgreSQL without a registry is warned of" grep -q 'no registry.*locked out' unwarned.log
		stop "$pid_unwarned"
		export SYNC_REGISTRY=$here/registry
		registry=$SYNC_REGISTRY
	else
		unset SYNC_REGISTRY
		registry=${database#sqlite:}.sites
	fi
	serve main
	country
	new_site District d.db s1
	back_up
	new_site Post p.db s2
	central site add Unused >unused.secret 2>/dev/null
	central site revoke District >/dev/null
	location p.db l1
	remote p.db sync >/dev/null
	same "the registry is its owner's alone" 600 "$(stat -c %a "$registry")"
	same "it has no secret and no token" 0 "$(grep -c -f p.db.secret -f <(at p.db 'SELECT token FROM sync_link') "$registry" || true)"

	restore
	holds "what was restored is told" grep -q 'registrations restored.*sites=3 stores=1' main.log
	holds "a site that registered after the backup is not locked out" authenticated p.db
	refused "what was revoked stays so" 1 "has been revoked" remote d.db sync --url "$url"
	same "its store is where it was" 2 "$(sql "SELECT site_id FROM sync_store WHERE store_id = 's2'")"
	refused "its name stays taken" 1 "a site called 'Post' exists" central site add Post
	central site add Third >third.secret 2>/dev/null
	same "a new site does not take a lost one's number" 4 "$(central site list --json | sed 's/.*"name":"Third","site_id":\([0-9]*\).*/\1/')"
	holds "a secret that was not used yet is still good" remote u.db init --url "$url" --site Unused --secret-file unused.secret
	if [ "$kind" = postgres ]; then
		# central is up while its database is put back
		put_back
		eventually 20 "a central that runs meanwhile meets the registry with the first such site" authenticated p.db
	fi

	stop "$pid_main"
	cp "$registry" whole
	sed -i '3s/"name":"./"name":"?/' "$registry"
	refused "an altered line is named" 1 "$registry:3: the line is not what was written there" central serve --listen 127.0.0.1:0
	refused "by whatever would change a registration" 1 "$registry:3: .*move the file away" central site add Fourth
	holds "others go on" central site list
	echo 'something else' >"$registry"
	refused "another file is not taken for one" 1 "$registry:1: this is no line of a registry" central site add Fourth
	same "and is left as it was" "something else" "$(cat "$registry")"
	head -c -20 whole >"$registry"
	serve main
	holds "a cut end is named" grep -q "$registry:[0-9]*: the last line is cut off" main.log
	holds "and is written anew, as the database still has it" authenticated p.db
	stop "$pid_main"
	rm "$registry"
	serve main
	restore
	holds "so is a file that is gone" authenticated p.db

	stop "$pid_main"
	mv "$registry" kept
	mkdir "$registry"
	refused "a file that cannot be written is told" 1 "$registry: " central site add Fifth
	same "and nothing is registered" 0 "$(sql "SELECT count(*) FROM sync_site WHERE name = 'Fifth'")"
	rmdir "$registry"
	mv kept "$registry"
	(
		unset SYNC_REGISTRY
		new_database sqlite
		SYNC_REGISTRY=$registry refused "another database's registry is refused" 1 "$registry:1: this is the registry of another database" \
			central serve --listen 127.0.0.1:0
	)
	holds "after all that it is whole" central site add Sixth
done
