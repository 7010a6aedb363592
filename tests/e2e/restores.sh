#!/bin/bash
# More that goes back in time: central several times, noticed after weeks and by sites that come back after months, a site every night,
# both sides to different days, and what only others have of a site that never comes back. At the end all are equal.
. "$(dirname "$0")/lib.sh"

# save NAME, put_back NAME: the state of central's machine, while it stands still
save()
{
	case $database in
	postgres:*) createdb -T "${database##*dbname=}" "$1" && databases+=("$1") ;;
	*) cp "${database#sqlite:}" "$1" ;;
	esac
}

put_back()
{
	case $database in
	postgres:*) dropdb --force "${database##*dbname=}" && createdb -T "$1" "${database##*dbname=}" ;;
	*) rm -f "${database#sqlite:}"-wal "${database#sqlite:}"-shm && cp "$1" "${database#sqlite:}" ;;
	esac
}

# what a site's disk was: image FILE NAME, reset_to FILE NAME
image() { at "$1" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null && cp "$1" "$2"; }
reset_to() { rm -f "$1"-wal "$1"-shm && cp "$2" "$1"; }

days=0
export ASAN_OPTIONS=verify_asan_link_order=0 # the clock is loaded before it
start() { SHIFT=$((days * 86400)) LD_PRELOAD=$SHIFTED serve main --registry "$here/registry" ${address:+--listen "$address"}; }
halt() { stop "$pid_main"; }
exchange()
{
	local f

	for f in "$@"; do
		SHIFT=$((days * 86400)) LD_PRELOAD=$SHIFTED remote "$f" sync >>"$f.log" 2>&1 || fail "$f: remote sync ended with $?: $(tail -n 2 "$f.log")"
	done
}
settle() { exchange "$@"; exchange "$@"; }

item()
{
	sql "INSERT INTO item(id, name, code, ven_category, default_pack_size, type, legacy_record, is_active, is_vaccine, vaccine_doses, volume_per_pack)
		SELECT '$1', '$1', '$1', ven_category, default_pack_size, type, legacy_record, is_active, is_vaccine, vaccine_doses, volume_per_pack FROM item WHERE id = 'i1'"
}

ids() { sql "SELECT id FROM $1 WHERE id LIKE '$2%' ORDER BY id" | paste -sd,; }
ids_at() { at "$1" "SELECT id FROM $2 WHERE id LIKE '$3%' ORDER BY id" | paste -sd,; }

# equal TEXT FILE…: digests of all that a site is to have, by either side
equal()
{
	local text=$1 f
	shift
	for f in "$@"; do
		SHIFT=$((days * 86400)) LD_PRELOAD=$SHIFTED remote "$f" verify >seen 2>&1 || fail "$text: $f: $(tail -n 3 seen)"
		grep -q "^equal: .*, 0 differences found, 0 left$" seen || fail "$text: $f: $(tail -n 3 seen)"
	done
	echo "ok  $text"
}

accept_all() { central recovered accept --all >/dev/null; }

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	days=0 address=
	new_database "$kind"
	country
	start
	address=${url#http://} # which sites keep
	new_site District d.db s1
	new_site Post p.db s2
	new_site Far f.db
	new_site Further g.db
	settle d.db p.db f.db g.db

	echo "central several times"
	halt
	save "${kind}_several_$$"
	for n in 1 2 3; do
		start
		item "s$n"
		location p.db "s$n"
		settle d.db p.db
		halt
		put_back "${kind}_several_$$"
		start
		settle d.db p.db
		accept_all
		settle d.db p.db
		halt
	done
	start
	settle d.db p.db
	same "its own edits of three lost days are there" "s1,s2,s3" "$(ids item s)"
	same "and those of sites" "s1,s2,s3" "$(ids location s)"
	equal "all are equal" d.db p.db

	echo "after weeks, and by sites that come back after months"
	settle f.db g.db
	halt
	save "${kind}_weeks_$$"
	start
	item w1
	settle d.db p.db f.db g.db
	halt
	put_back "${kind}_weeks_$$"
	days=20
	start
	for n in 1 2 3 4 5; do
		sql "UPDATE name SET name = 'District $n' WHERE id = 'n1'"
		location p.db "w$n"
		item "w-new$n"
		days=$((days + 5))
		halt
		start
		exchange p.db
	done
	settle d.db p.db
	accept_all
	settle d.db p.db
	same "what was lost is there again" "w-new1,w-new2,w-new3,w-new4,w-new5,w1" "$(ids item w)"
	halt
	days=80
	start
	settle f.db d.db p.db
	equal "after two months" f.db d.db p.db
	halt
	days=200
	start
	settle g.db f.db d.db p.db
	equal "after half a year" g.db f.db d.db p.db
	accept_all
	settle g.db f.db d.db p.db
	same "nothing is offered twice" "w-new1,w-new2,w-new3,w-new4,w-new5,w1" "$(ids item w)"

	echo "a site that is reset every night"
	image p.db night
	for n in 1 2 3 4; do
		location p.db "n$n"
		item "n$n"
		settle p.db
		reset_to p.db night
	done
	settle p.db d.db
	same "is no copy, and has its edits of every day" "n1,n2,n3,n4" "$(ids_at p.db location n)"
	same "central too" "n1,n2,n3,n4" "$(ids location n)"
	equal "all are equal" p.db d.db

	echo "both, central further"
	halt
	save "${kind}_both_$$"
	start
	location p.db b1
	item b1
	settle p.db d.db
	image p.db later
	location p.db b2
	item b2
	settle p.db d.db
	halt
	put_back "${kind}_both_$$"
	reset_to p.db later
	start
	location p.db b3
	settle p.db d.db
	accept_all
	settle p.db d.db
	same "what one of them still had is there" "b1,b3" "$(ids location b)"
	same "of central's own, what a site still had" "b1,b2" "$(ids item b)"
	equal "all are equal" p.db d.db

	echo "both, the site further"
	image p.db earlier
	location p.db c1
	item c1
	settle p.db d.db
	halt
	save "${kind}_site_$$"
	start
	location p.db c2
	item c2
	settle p.db d.db
	halt
	put_back "${kind}_site_$$"
	reset_to p.db earlier
	start
	location p.db c3
	settle p.db d.db
	accept_all
	settle p.db d.db
	same "what one of them still had is there" "c1,c3" "$(ids location c)"
	same "of central's own too" "c1,c2" "$(ids item c)"
	equal "all are equal" p.db d.db

	echo "of a site that never comes back"
	halt
	save "${kind}_dead_$$"
	start
	requisition p.db q1
	settle p.db d.db
	halt
	put_back "${kind}_dead_$$"
	start
	settle d.db
	same "who has its records offers them" "q1" "$(central recovered list | awk 'NR > 1 && /requisition/ { print $4 }' | paste -sd,)"
	accept_all
	settle d.db
	same "and central has them again" "q1" "$(ids requisition q)"
	equal "all are equal" d.db
	same "the same number at both" "$(sql 'SELECT count(*) FROM requisition')" "$(at d.db 'SELECT count(*) FROM requisition')"
	halt
done
