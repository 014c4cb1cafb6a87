# What the scripts beside this file share: the life of one server for tests. Sourced, not run.
#
# A script that sources this defines these, then ends with `live "$@"`:
#
#     option NAME VALUE    takes one option of its own; fails when it knows no such option
#     prepare              makes in $folder what does not depend on the ports
#     configure            writes the configuration into $folder, for the ports $imap and $imaps
#     launch               execs the server through setsid, in the foreground (it is called in a child process)
#     describe             prints the JSON members that only this kind of server has
#
# and sets $server_user and $server_group, as whom the server runs when root starts it.
#
# Two processes share the work. The one in front waits for its stdin to be closed, or for a signal. The keeper
# starts the server, stops it and removes its folder, as soon as the front is gone, however the front went:
# all the keeper needs to see is the end of a pipe. So not even `kill -9`, of the tests or of the script,
# leaves anything behind.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
umask 022

script=$(readlink -f "$0")
name=$(basename "$script")
address=127.0.0.1
password=${IMAPADM_TEST_PASSWORD:-s3cret-Passw0rd}

say() { printf 'tests/servers/%s: %s\n' "$name" "$*" >&2; }
die() { say "$@"; exit 1; }
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$script"; }

# ---- the front

live() {
    if [[ ${1:-} == --keeper ]]; then
        shift
        keep "$@"
        return
    fi
    case ${1:-} in -h | --help) usage; return ;; esac

    local input output leash keeper reader status=0
    exec {input}<&0 {output}>&1
    # The keeper has a session of its own, so that a Ctrl-C at the terminal is for the front alone.
    # Its stdin is the leash: a pipe of which the front, and nobody else, holds the other end.
    coproc KEEPER { exec setsid "$script" --keeper "$@" >&"$output" {input}<&- {output}>&-; }
    keeper=$KEEPER_PID leash=${KEEPER[1]}
    exec {output}>&- >&-
    # A shell with a trap wakes from `wait`, not from reading; so another process does the reading.
    cat <&"$input" >/dev/null &
    reader=$!
    exec {input}<&- <&-
    trap : TERM INT HUP
    # Ends with the reader (stdin was closed), with the keeper (the server did not start) or with a signal.
    wait -n "$reader" "$keeper" || true
    kill "$reader" 2>/dev/null || true
    # Bash closes the leash itself when it has noticed that the keeper ended.
    { exec {leash}>&-; } 2>/dev/null || true
    # A second signal wakes this wait too, but must not end the front while the keeper is still tidying up.
    while :; do
        status=0
        wait "$keeper" || status=$?
        kill -0 "$keeper" 2>/dev/null || break
    done
    return "$status"
}

# ---- the keeper

keep() {
    # The end of the leash ends the keeper, and nothing else does. (Caught, not ignored: what is ignored here
    # would be ignored by the server, too.)
    trap : TERM INT HUP
    while [[ $# -gt 0 ]]; do
        case $1 in
            --set)
                [[ ${2:-} == *[:=]* ]] || die "--set wants 'key: value'"
                settings+=("$2")
                ;;
            *) option "$1" "${2:-}" || die "unknown option $1; see --help" ;;
        esac
        shift 2 || die "the last option wants a value"
    done

    server=
    folder=$(make_folder)
    trap tidy EXIT
    # At the same time: together these are most of what a start takes.
    certificates &
    local making=$!
    prepare
    wait "$making" || die "there are no certificates"
    # Before the folder is given away, for a server that opens its log itself.
    touch "$folder/log"
    local attempt
    for attempt in 1 2 3 4 5; do
        pick_ports
        configure
        if start; then
            # One line, in one write: the reader of a pipe sees all of it or nothing.
            printf '{"folder":"%s","host":"%s","imap":%d,"imaps":%d,"password":"%s","ca":"%s","client_cert":"%s","client_key":"%s",%s}\n' \
                "$folder" "$address" "$imap" "$imaps" "$password" "$folder/ca.pem" "$folder/client.pem" "$folder/client.key" "$(describe)"
            # Whoever reads stdout to its end must not have to wait for the server's.
            exec >/dev/null
            # Nothing is ever written into the leash; reading ends when it does.
            cat >/dev/null
            return
        fi
        stop
        say "attempt $attempt on ports $imap and $imaps failed"
    done
    cat "$folder/log" >&2 || true
    die "the server does not start"
}

tidy() {
    stop
    rm -rf "$folder"
}

# A folder that the server's user can reach. Its path is short, because a Unix socket's may have 107 bytes only.
make_folder() {
    local parent=${TMPDIR:-/tmp} made
    as_server test -x "$parent" && [[ ${#parent} -lt 60 ]] || parent=/tmp
    made=$(mktemp -d "$parent/imapadm-$name.XXXXXX")
    chmod 755 "$made"
    printf '%s' "$made"
}

# Root would be refused by both servers as the owner of mail, so root hands over to $server_user.
# Anybody else runs the servers as himself.
as_server() {
    if [[ $EUID -eq 0 ]]; then
        setpriv --reuid "$server_user" --regid "$server_group" --clear-groups "$@"
    else
        "$@"
    fi
}
server_owner() { # the names to write into configurations
    if [[ $EUID -eq 0 ]]; then echo "$server_user" "$server_group"; else echo "$(id -un)" "$(id -gn)"; fi
}
give() { # PATH...: to the server's user
    [[ $EUID -ne 0 ]] || chown -R "$server_user:$server_group" "$@"
}

# A test authority, a certificate for the server and one for a client whose name is alice.
# Elliptic curves because making an RSA key takes longer than starting the server.
certificates() {
    (
        cd "$folder"
        new_key=(openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256)
        "${new_key[@]}" -x509 -days 2 -subj '/CN=imapadm test CA' -keyout ca.key -out ca.pem \
            -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
        "${new_key[@]}" -subj '/CN=localhost' -keyout server.key -out server.csr &
        "${new_key[@]}" -subj '/CN=alice' -keyout client.key -out client.csr &
        wait
        cat >server.ext <<-END
			basicConstraints=critical,CA:FALSE
			subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:::1
			extendedKeyUsage=serverAuth
			END
        cat >client.ext <<-END
			basicConstraints=critical,CA:FALSE
			extendedKeyUsage=clientAuth
			END
        sign=(openssl x509 -req -sha256 -days 2 -CA ca.pem -CAkey ca.key)
        "${sign[@]}" -set_serial 2 -in server.csr -extfile server.ext -out server.pem
        "${sign[@]}" -set_serial 3 -in client.csr -extfile client.ext -out client.pem
        chmod 644 ./*.key
    ) >"$folder/openssl.log" 2>&1 || die "openssl failed: $(cat "$folder/openssl.log")"
}

# ---- ports

# Two ports that nobody uses now, below those which the system gives to outgoing connections.
pick_ports() {
    local taken
    taken=" $(awk 'FNR > 1 { sub(/.*:/, "", $2); printf "%s ", $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null || true)"
    free_port "$taken" && imap=$port
    until free_port "$taken" && [[ $port -ne $imap ]]; do :; done
    imaps=$port
}
free_port() {
    local hex
    for _ in {1..1000}; do
        port=$((20000 + RANDOM % 12000))
        printf -v hex '%04X' "$port"
        [[ $1 == *" $hex "* ]] || return 0
    done
    die "no free port between 20000 and 32000"
}

# Whether the server, and not somebody who was quicker, listens on this port: its process must hold the socket
# that /proc/net/tcp lists. To ask the port itself would not do: the other might be a server of the same kind.
listens_on() {
    local inode descriptor want
    # The kernel lists an address as the processor holds it: the bytes of 127.0.0.1 backwards.
    # shellcheck disable=SC2046
    want=$(printf '%02X%02X%02X%02X' $(tr . '\n' <<<"$address" | tac))$(printf ':%04X' "$1")
    inode=$(awk -v want="$want" '$2 == want && $4 == "0A" { print $10 }' /proc/net/tcp)
    [[ -n $inode ]] || return 1
    for descriptor in "/proc/$server/fd"/*; do
        [[ $(readlink "$descriptor") != "socket:[$inode]" ]] || return 0
    done
    return 1
}

greets() {
    local connection line=
    { exec {connection}<>"/dev/tcp/$address/$1"; } 2>/dev/null || return 1
    IFS= read -r -t 5 line <&"$connection" || true
    exec {connection}>&-
    [[ $line == '* OK'* ]]
}

# ---- start and stop

start() {
    # stdin, stdout and the leash stay here. `launch` uses setsid, which makes the server's id that of its group.
    launch </dev/null >>"$folder/log" 2>&1 &
    server=$!
    # Or bash would report how it ended, if it had to be killed.
    disown "$server"
    local deadline=$((SECONDS + 20))
    while [[ $SECONDS -lt $deadline ]]; do
        # A server whose port was taken gives up, or lives on without it.
        kill -0 "$server" 2>/dev/null || return 1
        if listens_on "$imap" && listens_on "$imaps"; then
            greets "$imap" && return 0
        fi
        sleep 0.02
    done
    return 1
}

# Ends the server and all its children, which are the members of its process group; returns when they are gone.
stop() {
    [[ -n $server ]] || return 0
    kill -TERM "$server" 2>/dev/null || true
    # Dovecot waits for its clients; nobody else does, and what is in the folder is going to be removed.
    group_ends 300 || {
        kill -KILL -- "-$server" 2>/dev/null || true
        group_ends 5000 || say "processes of group $server remain"
    }
    server=
}
group_ends() { # within so many milliseconds
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000))
    while group_lives; do
        [[ ${EPOCHREALTIME/[.,]/} -lt $deadline ]] || return 1
        sleep 0.01
    done
}
# The dead don't count: orphans wait for the machine's init to be buried, and some inits take their time.
group_lives() {
    kill -0 -- "-$server" 2>/dev/null || return 1
    # After the name, which may hold blanks and parentheses, come the state, the parent and the group.
    # (Processes end while they are listed, which is no failure.)
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
        awk -v group="$server" '{ sub(/.*\) /, "") } $3 == group && $1 !~ /[ZX]/ { found = 1 } END { exit !found }'
}
