#!/bin/bash
# TLS by central itself, with Debian's civetweb and OpenSSL 3, and by HAProxy in front of it.
. "$(dirname "$0")/lib.sh"

new_key()
{
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1" 2>/dev/null
}
new_key ca.key
openssl req -x509 -new -key ca.key -out ca.pem -days 2 -subj '/CN=Ministry' 2>/dev/null
new_key other.key
openssl req -x509 -new -key other.key -out other.pem -days 2 -subj '/CN=Somebody else' 2>/dev/null
new_key tls.key
openssl req -new -key tls.key -out tls.csr -subj '/CN=localhost' 2>/dev/null
openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tls.pem -days 2 \
	-extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null
cat tls.pem tls.key >both.pem

new_database sqlite
country
refused "a certificate that is none" 1 "tls-cert names.csv.*in PEM" central serve --listen 127.0.0.1:0 --tls-cert names.csv
refused "a certificate without key" 1 "it has no key: name the key.s file as --tls-key" central serve --listen 127.0.0.1:0 --tls-cert tls.pem
refused "a key of another certificate" 1 "tls-key other.key" central serve --listen 127.0.0.1:0 --tls-cert tls.pem --tls-key other.key
refused "a key alone" 64 "tls-cert" central serve --listen 127.0.0.1:0 --tls-key tls.key
serve main --tls-cert tls.pem --tls-key tls.key
for version in 1.2 1.3; do
	same "TLS $version" '{"ok":true' "$(curl -s --cacert ca.pem --tlsv$version --tls-max $version "$url/sync/v1/health" | head -c 10)"
done
refused "TLS 1.1" 35 "" curl -s --cacert ca.pem --tlsv1.0 --tls-max 1.1 "$url/sync/v1/health"
refused "plain HTTP on it" 52 "" curl -s "http://${url#https://}/sync/v1/health"

central site add Post --store s2 >secret 2>/dev/null
refused "a site that speaks plain HTTP to it is asked about https" 1 "is it https" remote p.db init --url "http://${url#https://}" --site Post --secret-file secret
refused "an authority that is not trusted" 1 "authority of its own" remote p.db init --url "$url" --site Post --secret-file secret
refused "another authority" 1 "certificate" remote p.db init --url "$url" --site Post --secret-file secret --ca-file other.pem
holds "the right one" remote p.db init --url "$url" --site Post --secret-file secret --ca-file ca.pem
location p.db l1
holds "a round, by the authority that init kept" remote p.db sync
same "the record is at central" 1 "$(sql 'SELECT count(*) FROM location')"
head -c 8000000 /dev/urandom | base64 -w 0 >big
printf '{"id":"i2","name":"' >item.jsonl && head -c 6000000 big >>item.jsonl
printf '","code":"x","ven_category":"V","default_pack_size":1,"type":"STOCK","legacy_record":"{}","is_active":true,"is_vaccine":true,"vaccine_doses":1,"volume_per_pack":1}\n' >>item.jsonl
holds "a large record" central import item item.jsonl
holds "comes through" remote p.db sync --ca-file ca.pem
same "whole" 6000000 "$(at p.db "SELECT length(name) FROM item WHERE id = 'i2'")"
stop "$pid_main"
serve main --tls-cert both.pem
holds "certificate and key in one file" curl -s --cacert ca.pem "$url/sync/v1/health"
stop "$pid_main"

command -v haproxy >/dev/null || { echo "no haproxy here: skipped"; exit 0; }
serve main
for _ in 1 2 3 4 5; do # any free port, most likely
	port=$((20000 + RANDOM % 20000))
	sed -n '/^```haproxy/,/^```/p' "$root/docs/operations.md" | sed '1d;$d' | sed "s|0.0.0.0:443|127.0.0.1:$port|; s|/etc/ssl/central.pem|$work/both.pem|; s|127.0.0.1:8440|${url#http://}|; /127.0.0.1:8441/d" >haproxy.cfg
	haproxy -f haproxy.cfg >>haproxy.log 2>&1 &
	pid_proxy=$!
	for _ in $(seq 40); do
		curl -s -o /dev/null --cacert ca.pem "https://127.0.0.1:$port/sync/v1/health" && break 2
		kill -0 $pid_proxy 2>/dev/null || break
		sleep 0.05
	done
done
location p.db l2
holds "through HAProxy" remote p.db sync --url "https://127.0.0.1:$port" --ca-file ca.pem
same "the record is at central" 2 "$(sql 'SELECT count(*) FROM location')"
same "HTTP/1.1 and TLS 1.3" '{"ok":true' "$(curl -s --cacert ca.pem --tlsv1.3 "https://127.0.0.1:$port/sync/v1/health" | head -c 10)"
central site revoke Post >/dev/null
refused "an answer of central is passed on" 1 "has been revoked" remote p.db sync --url "https://127.0.0.1:$port" --ca-file ca.pem
stop "$pid_main"
refused "a proxy without central is told from central" 1 "503" remote p.db sync --url "https://127.0.0.1:$port" --ca-file ca.pem
kill "$pid_proxy"
