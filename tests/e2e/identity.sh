#!/bin/bash
# Secrets, tokens and installations: each way to be nobody has its own answer.
. "$(dirname "$0")/lib.sh"

for kind in $(kinds); do
	echo "-- $kind"
	here=$work/$kind
	mkdir "$here"
	cd "$here"
	new_database "$kind"
	country
	serve main --registrations 1
	central site add Post --store s2 >secret 2>/dev/null
	same "a secret stands alone on standard output" 1 "$(grep -c '^[A-Z0-9]\{5\}\(-[A-Z0-9]\{5\}\)\{4\}$' secret)"
	refused "a site's name is taken once" 1 "a site called 'Post' exists" central site add Post
	refused "init needs to know where and who" 64 "--url, --site, --secret-file are missing" remote p.db init
	echo WRONG-WRONG-WRONG-WRONG-WRONG >wrong
	refused "a wrong secret" 1 "name or its secret is wrong" remote p.db init --url "$url" --site Post --secret-file wrong
	refused "and an unknown site look alike" 1 "name or its secret is wrong" remote p.db init --url "$url" --site Nobody --secret-file wrong
	refused "https to a server without TLS" 1 "is it plain http" remote p.db init --url "https://${url#http://}" --site Post --secret-file secret
	refused "plain HTTP goes to this machine only" 64 "--allow-plain" remote p.db init --url http://192.0.2.1 --site Post --secret-file secret
	holds "the right secret, which may come by standard input" remote p.db init --url "$url" --site Post --secret-file - <secret
	same "no secret stays at the site" 0 "$(at p.db .dump | grep -c -f secret || true)"
	refused "a second installation" 1 "another installation is registered as 'Post'" remote second.db init --url "$url" --site Post --secret-file secret
	refused "one file is one site" 1 "is site 'Post' already" remote p.db init --url "$url" --site District --secret-file secret

	cp p.db old.db
	central site reset Post >secret2 2>/dev/null
	refused "after a reset the old token is void at once" 1 "this token is nobody's" remote p.db sync
	location p.db l9
	refused "its file stays what it was" 1 "no longer knows, with 1 edit that" remote p.db init --url "$url" --site Post --secret-file secret2
	refused "and so is the old secret" 1 "name or its secret is wrong" remote second.db init --url "$url" --site Post --secret-file secret
	holds "the new secret makes a new installation" remote second.db init --url "$url" --site Post --secret-file secret2
	location second.db l1
	holds "which works" remote second.db sync
	refused "the old one does not" 1 "this token is nobody's" remote old.db sync

	holds "revoke" central site revoke Post
	location second.db l2
	refused "a revoked site is told so" 1 "site 'Post' has been revoked" remote second.db sync
	holds "its status begins with it" grep -q '^site .*, revoked$' <(remote second.db status)
	same "and nothing of it is taken" 1 "$(sql 'SELECT count(*) FROM location')"
	same "it is still listed" revoked "$(central site list --json | sed 's/.*"state":"\([a-z]*\)".*/\1/')"
	stop "$pid_main"
done
