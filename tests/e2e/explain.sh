#!/bin/bash
# explain: where a record is and why, told by central and by a site, in words and as JSON.
. "$(dirname "$0")/lib.sh"

# told TEXT PATTERN COMMAND…: the command succeeds, and a line is like that
told()
{
	local text=$1 pattern=$2
	shift 2
	"$@" >"$work/out" 2>"$work/err" || fail "$text: $* ended with $?: $(head -c 500 "$work/out" "$work/err")"
	grep -q -- "$pattern" "$work/out" || fail "$text: '$pattern' is not in: $(cat "$work/out")"
	echo "ok  $text"
}

# the same, once or again: is_told PATTERN
is_told()
{
	central explain requisition r1 | grep -- "$1"
}

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	serve main
	country
	new_site Post p.db s2
	new_site District d.db s1
	new_site Other o.db

	requisition p.db r1
	told "an edit that was not sent yet" "not at central yet: goes with the next exchange" remote p.db explain requisition r1
	refused "central has not seen it" 1 "nothing was ever seen here of requisition 'r1'; a site that has not pushed it yet may have it" \
		central explain requisition r1
	remote p.db sync >/dev/null
	told "the site knows that it is at central" "is at central, which has looked at it" remote p.db explain requisition r1
	told "central knows where it was written" "Post: its last change was made there" central explain requisition r1
	eventually 5 "and with which exchange it came" is_told "Post: reached central with an exchange that pushed 1 record$"
	told "to whom it goes" "District comes with its next exchange" central explain requisition r1
	told "by which route, and which record" "because: name n1 (requisition.name_id) is that of store s1 'District', which is active there" \
		central explain requisition r1
	told "and to whom it does not" "no route leads there: store s2 'Post' (requisition.store_id) is active at site 'Post'; name n1" \
		central explain requisition r1 --site Other
	same "one site is one site" 1 "$(central explain requisition r1 --site Other --json | grep -o '"site_id"' | wc -l)"
	remote d.db sync >/dev/null
	remote d.db sync >/dev/null
	eventually 5 "who has it" is_told "District has it: fetched and confirmed"
	eventually 5 "and when it was fetched" is_told "Z  District: fetched it"
	told "the other site says whence it is" "came from central, and was not edited here" remote d.db explain requisition r1
	told "what goes to all" "because: every site gets this item" central explain item i1
	same "JSON has the same members on both sides" "ok entity record_id state journey" \
		"$(remote d.db explain requisition r1 --json | grep -o '"\(ok\|entity\|record_id\|state\|journey\)":' | tr -d '":' | tr '\n' ' ' | sed 's/ $//')"

	location d.db bad
	remote d.db sync >/dev/null 2>&1 || true
	told "a refused edit" "District: an edit that the site may not make was kept apart: .*central waiting accept 1, or discard" \
		central explain location bad
	told "is refused at its site" "central said: refused: " remote d.db explain location bad

	refused "an entity that is none" 64 "no entity is called 'locaton': is it location?" central explain locaton x
	refused "an id of another entity" 1 "of that id there is: requisition" central explain invoice r1
	refused "a shortened id" 1 "ids that begin so are: r1" central explain requisition r
	refused "a site that is none" 1 "no site is called 'Nowhere'" central explain requisition r1 --site Nowhere
	refused "what a site has never seen" 1 "central explain location zz --site 'District' tells whether it comes here" remote d.db explain location zz
	refused "as JSON too" 1 '"ok":false,"error":"notfound"' central explain location zz --json
	refused "without an id it is misused" 64 "" central explain location

	at p.db "DELETE FROM requisition WHERE id = 'r1'"
	remote p.db sync >/dev/null
	told "a deleted one" "^requisition r1 was deleted$" central explain requisition r1
	told "and who has not heard of it" "District may have it: deletes it with its next exchange" central explain requisition r1
	stop "$pid_main"
done
