"""Measures imapadm beside cyradm, IMAP::Admin, Python's imaplib and a raw sender, and prints a Markdown table.

Called by `compare`, which installs and builds. How it measures:

- The contenders of a row take turns, in an order that turns too, so that what else the machine does hits all alike. The table has
  medians. A predecessor that takes longer than SLOW seconds has one turn, and what is scaled says so.
- A run is timed from before its process starts until it has ended and its output was read; the library's row is the listing
  alone, by the program's own clock, and the row «start» ends with the first byte of output. The raw sender is no process but a loop
  here, from connecting to the answer to LOGOUT: it sends all commands without waiting and looks for nothing but the end, so nobody
  can be faster.
- Output goes into a pipe as a shell makes it and is thrown away unread (splice), so that the reader costs next to nothing.
- Before it counts, each contender's output was checked once: the mailboxes, the rights.
- Memory is the peak of a run of its own, which is not timed (the peak that the system reports for a child would otherwise be this
  process's own, if that is larger).

The real Cyrus keeps its files in memory where the system has /dev/shm: it is then faster, and does not wait for a disk that others
use too, so the client's share shows better. Its row compares each run with the raw sender's of the same turn.

The stand-in (standin.rs) answers at once from memory; where a round trip is named, each answer comes so much later.
"""

import argparse
import ctypes
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PASSWORD = "s3cret-Passw0rd"
# A predecessor that takes longer has one turn only.
SLOW = 5.0
# No contender may take longer than this, in seconds.
LIMIT = 900

PERL = r"""
use IMAP::Admin;
$| = 1;
my ($port, $file) = @ARGV;
my $imap = IMAP::Admin->new(Server => '127.0.0.1', Port => $port, Login => 'cyrus', Password => $ENV{IMAPADM_PASSWORD});
open my $script, '<', $file or die "$file: $!";
while (<$script>) {
    my ($verb, $name, @more) = split;
    if ($verb eq 'lm') { my @all = $imap->list('*'); print scalar(@all), " mailboxes\n" }
    elsif ($verb eq 'cm') { $imap->create($name) and die $imap->error }
    elsif ($verb eq 'sq') { $imap->set_quota($name, @more) and die $imap->error }
    elsif ($verb eq 'sam') { $imap->set_acl($name, @more) and die $imap->error }
    elsif ($verb eq 'lam') { my @acl = $imap->get_acl($name) or die $imap->error; print "@acl\n" }
}
$imap->close;
"""

PYTHON = r"""
import imaplib, os, sys
port, file = sys.argv[1:]
imap = imaplib.IMAP4("127.0.0.1", int(port))
def ok(answer):
    if answer[0] != "OK":
        sys.exit(repr(answer))
    return answer[1]
ok(imap.login("cyrus", os.environ["IMAPADM_PASSWORD"]))
for line in open(file):
    verb, *words = line.split()
    if verb == "lm":
        print(len(ok(imap.list())), "mailboxes", flush=True)
    elif verb == "cm":
        ok(imap.create(words[0]))
    elif verb == "sq":
        ok(imap.setquota(words[0], "(STORAGE %s)" % words[1]))
    elif verb == "sam":
        ok(imap.setacl(words[0], words[1], "lrswipkxtea"))
    elif verb == "lam":
        print(ok(imap.getacl(words[0]))[0].decode(), flush=True)
imap.logout()
"""


# ---- servers


class Server:
    """A server that lives as long as its stdin is open; it says in its first line where it is."""

    def __init__(self, *argv, **environment):
        self.child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment}
        )
        line = self.child.stdout.readline().decode().strip()
        if not line:
            raise SystemExit(f"{argv[0]} does not start")
        self.port = json.loads(line)["imap"] if line.startswith("{") else int(line)

    def stop(self):
        self.child.stdin.close()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


# ---- contenders


class Run:
    """What came of one run."""

    def __init__(self, seconds, first, output, memory):
        self.seconds, self.first, self.output, self.memory = seconds, first, output, memory


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.errors = os.path.join(folder, "stderr")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "LC_ALL": "C.UTF-8",
            "IMAPADM_PASSWORD": PASSWORD,
        }
        self.servers = {}
        for name, text in [("peer.pl", PERL), ("peer.py", PYTHON)]:
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        # Memory runs are started through a shell, whose child we then have to wait for ourselves.
        PR_SET_CHILD_SUBREAPER = 36
        if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise SystemExit("the kernel does not let this process reap its grandchildren")

    def standin(self, mailboxes=1, delay=0, plain=0):
        key = mailboxes, delay, plain
        if key not in self.servers:
            program = os.path.join(self.options.target, "examples", "standin")
            options = {"--mailboxes": mailboxes, "--delay": delay, "--plain": plain}
            words = [str(word) for option in options.items() for word in option]
            self.servers[key] = Server(program, *words)
        return self.servers[key].port

    def cyrus(self):
        if "cyrus" not in self.servers:
            folder = {"TMPDIR": "/dev/shm"} if os.access("/dev/shm", os.W_OK) else {}
            script = os.path.join(HERE, "..", "servers", "cyrus")
            self.servers["cyrus"] = Server(script, IMAPADM_TEST_PASSWORD=PASSWORD, **folder)
        return self.servers["cyrus"].port

    def stop(self):
        for server in self.servers.values():
            server.stop()

    def script(self, lines):
        # Each script is a file of its own: the same one may run against several servers.
        handle, path = tempfile.mkstemp(dir=self.folder, suffix=".script")
        with os.fdopen(handle, "w") as file:
            file.writelines(line + "\n" for line in lines)
        return path

    def command(self, who, port, path):
        """The argument list and the stdin of a contender that runs a script."""
        if who in ("imapadm", "before"):
            program = os.path.join(self.options.target, "imapadm") if who == "imapadm" else self.options.before
            # As the others log in: SCRAM, which it would choose on Cyrus, takes both sides some 10 ms of hashing each.
            login = ["--notls", "-u", "cyrus", "--auth", "PLAIN"]
            return [program, *login, "-k", "-f", path, "127.0.0.1", str(port)], "/dev/null"
        if who == "library":
            return [os.path.join(self.options.target, "examples", "library_list"), str(port)], "/dev/null"
        if who == "cyradm":
            login = ["--user", "cyrus", "--auth", "PLAIN", "--notls", "-w", PASSWORD, "--port", str(port)]
            return ["cyradm", *login, "127.0.0.1"], path
        if who == "IMAP::Admin":
            return ["perl", os.path.join(self.folder, "peer.pl"), str(port), path], "/dev/null"
        return [sys.executable, os.path.join(self.folder, "peer.py"), str(port), path], "/dev/null"

    def run(self, argv, stdin, keep=False, memory=False):
        program = shutil.which(argv[0], path=self.environment["PATH"])
        if program is None:
            raise SystemExit(f"{argv[0]} is not installed; run tests/run --install-only")
        reading, writing = os.pipe()
        pid_reading, pid_writing = os.pipe()
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_OPEN, 2, self.errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ]
        argv = [program, *argv[1:]]
        if memory:
            # The shell is small, and its child's peak begins with what the shell had.
            actions.append((os.POSIX_SPAWN_DUP2, pid_writing, 9))
            argv = ["/bin/sh", "-c", 'exec 3<&0; "$@" <&3 3<&- 9>&- & echo $! >&9', "sh", *argv]
        pieces = []
        first = None
        start = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, self.environment, file_actions=actions)
        os.close(writing)
        os.close(pid_writing)
        if memory:
            os.waitpid(pid, 0)
            pid = int(os.read(pid_reading, 32))
        null = os.open("/dev/null", os.O_WRONLY)
        while True:
            ready, _, _ = select.select([reading], [], [], LIMIT)
            if first is None:
                first = time.perf_counter() - start
            if not ready:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise SystemExit(f"{argv[0]} is silent")
            if keep:
                piece = os.read(reading, 1 << 20)
                pieces.append(piece)
                count = len(piece)
            else:
                count = os.splice(reading, null, 1 << 20)
            if count == 0:
                break
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - start
        for handle in (reading, null, pid_reading):
            os.close(handle)
        if status != 0:
            with open(self.errors, errors="replace") as file:
                raise SystemExit(f"{argv[0]} ended with {status}: {file.read()[-2000:]}")
        return Run(seconds, first, b"".join(pieces), usage.ru_maxrss * 1024)


def raw(port, commands):
    """Sends all commands at once after the login and reads to the end; the seconds that took."""
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.recv(65536)
        link.sendall(f"l LOGIN cyrus {PASSWORD}\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += link.recv(65536)
        if b"l OK" not in answer:
            raise SystemExit(f"the login of the raw sender: {answer!r}")
        link.setblocking(False)
        left = memoryview(commands + b"z LOGOUT\r\n")
        buffer = bytearray(1 << 20)
        tail = b""
        poll = select.poll()
        poll.register(link, select.POLLIN | select.POLLOUT)
        while True:
            for _, event in poll.poll(LIMIT * 1000):
                if event & select.POLLOUT and left:
                    left = left[link.send(left[: 1 << 18]) :]
                    if not left:
                        poll.modify(link, select.POLLIN)
                if event & ~select.POLLOUT:
                    count = link.recv_into(buffer)
                    tail = (tail + bytes(buffer[max(0, count - 64) : count]))[-64:]
                    if re.search(rb"\nz OK[^\n]*\n$", tail):
                        return time.perf_counter() - start
                    if count == 0:
                        raise SystemExit(f"the raw sender was cut off behind {tail!r}")


# ---- what is done


def mixed(count, prefix):
    """CREATE, SETQUOTA, SETACL, GETACL in turn, as lines of a script."""
    lines = []
    for number in range((count + 3) // 4):
        name = f"user.{prefix}{number:05}"
        lines += [f"cm {name}", f"sq {name} 10240", f"sam {name} cyrus all", f"lam {name}"]
    return lines[:count]


def changes(count, prefix):
    """The same without GETACL."""
    lines = mixed(count * 4 // 3 + 4, prefix)
    return [line for line in lines if not line.startswith("lam")][:count]


def on_the_wire(lines):
    """The commands of a script as the raw sender sends them."""
    forms = {
        "cm": "CREATE {}",
        "sq": "SETQUOTA {} (STORAGE {})",
        "sam": "SETACL {} {} lrswipkxtea",
        "lam": "GETACL {}",
        "lm": 'LIST "" "*"',
    }
    commands = []
    for number, line in enumerate(lines):
        verb, *words = line.split()
        commands.append(f"a{number} " + forms[verb].format(*words) + "\r\n")
    return "".join(commands).encode()


class Contender:
    """Somebody who does a row's work: `turn` returns seconds, of which `whole` makes the row's."""

    def __init__(self, name, turn, whole=lambda seconds: seconds, note=""):
        self.name, self.turn, self.whole, self.note = name, turn, whole, note
        self.times, self.memory = [], None

    def median(self):
        return self.whole(statistics.median(self.times)) if self.times else None


def take_turns(contenders, runs):
    for turn in range(runs):
        order = contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]
        for contender in order:
            if turn == 0 or contender.name in ("imapadm", "raw") or max(contender.times) < SLOW:
                contender.times.append(contender.turn())


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}: {found}, not {wanted}; what it did can't be compared")


def seconds(value):
    if value is None:
        return ""
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.3g} s" if value < 1000 else f"{value:.0f} s"


PEERS = ["imaplib", "IMAP::Admin", "cyradm"]
PREDECESSORS = ["IMAP::Admin", "cyradm"]


class Row:
    def __init__(self, name, title, target):
        self.name, self.title, self.target = name, title, target
        self.contenders, self.verdicts = {}, []

    def add(self, contender):
        self.contenders[contender.name] = contender

    def go(self, runs):
        print(f"{self.name} …", file=sys.stderr)
        take_turns(list(self.contenders.values()), runs)

    def ours(self):
        return self.contenders["imapadm"].median()

    def at_most(self, what, value, most, unit):
        self.verdicts.append(f"{'met' if value <= most else 'MISSED'}: {what} {unit(value)} ≤ {unit(most)}")

    def times_faster(self, peers, least):
        # One who could not be measured is nobody to be faster than.
        found = [self.contenders[name].median() for name in peers if name in self.contenders]
        ratio = min(found) / self.ours()
        self.verdicts.append(f"{'met' if ratio >= least else 'MISSED'}: {ratio:.1f}x ≥ {least}x")

    def markdown(self):
        ours = self.ours()
        contender = self.contenders["imapadm"]
        memory = f"{contender.memory / 1e6:.1f} MB" if contender.memory else ""
        cells = [self.title, self.target, f"**{seconds(ours)}**", memory]
        for name in ["raw", *PEERS]:
            peer = self.contenders.get(name)
            if peer is None:
                cells.append("")
                continue
            value = peer.median()
            memory = f", {peer.memory / 1e6:.0f} MB" if peer.memory else ""
            cells.append(f"{seconds(value)} ({value / ours:.3g}x{memory}){peer.note}")
        return "| " + " | ".join([*cells, "<br>".join(self.verdicts)]) + " |"


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


def times(value):
    return f"{value:.3f}x"


MANY = 1_000_000
# On how many mailboxes those are measured who are slow with a million, when there is little time.
FEW = 100_000


def names_in(who, output):
    if who in ("imapadm", "cyradm"):
        return output.count(b"user.u")
    return int(output.split()[0])


def row_list(bench, row):
    port = bench.standin(MANY)
    script = bench.script(["lm"])
    wire = on_the_wire(["lm"])
    for who in ["imapadm", *PEERS]:
        few = bench.options.quick and who != "imapadm"
        count, at = (FEW, bench.standin(FEW)) if few else (MANY, port)
        argv, stdin = bench.command(who, at, script)
        if not few or bench.options.runs > 1:
            check = bench.standin(FEW)
            output = bench.run(*bench.command(who, check, script), keep=True).output
            expect(f"mailboxes that {who} lists", names_in(who, output), FEW)
        contender = Contender(who, lambda argv=argv, stdin=stdin: bench.run(argv, stdin).seconds)
        if few:
            contender.whole = lambda value, count=count: value * MANY / count
            contender.note = " †"
        contender.memory = bench.run(argv, stdin, memory=True).memory if who == "imapadm" or not few else None
        row.add(contender)
    row.add(Contender("raw", lambda: raw(port, wire)))
    row.go(bench.options.runs)
    row.at_most("time", row.ours(), 0.30, seconds)
    row.at_most("memory", row.contenders["imapadm"].memory, 15e6, megabytes)
    row.times_faster(["cyradm"], 30)


def row_library(bench, row):
    port = bench.standin(MANY)
    wire = on_the_wire(["lm"])
    argv, stdin = bench.command("library", port, "")

    def turn():
        count, _, taken = bench.run(argv, stdin, keep=True).output.split()
        expect("mailboxes that the library lists", int(count), MANY)
        return float(taken)

    contender = Contender("imapadm", turn)
    contender.memory = bench.run(argv, stdin, memory=True).memory
    row.add(contender)
    row.add(Contender("raw", lambda: raw(port, wire)))
    row.go(bench.options.runs)
    row.at_most("time", row.ours(), 0.15, seconds)
    row.at_most("memory", contender.memory, 35e6, megabytes)


def add_scripted(bench, row, who, port, count):
    script = bench.script(mixed(count, "m"))
    argv, stdin = bench.command(who, port, script)
    output = bench.run(argv, stdin, keep=True).output
    expect(f"rights that {who} shows", output.count(b"lrswipkxtecdan"), 2 * (count // 4))
    row.add(Contender(who, lambda: bench.run(argv, stdin).seconds))


COMMANDS = 10_000


def row_delay(bench, row):
    port = bench.standin(delay=20)
    add_scripted(bench, row, "imapadm", port, COMMANDS)
    row.contenders["imapadm"].memory = bench.run(
        *bench.command("imapadm", port, bench.script(mixed(COMMANDS, "m"))), memory=True
    ).memory
    few = 200
    for who in PEERS:
        add_scripted(bench, row, who, port, few)
        # Start and login happen once, however many commands follow.
        empty = bench.command(who, port, bench.script(["lam user.m00000"]))
        once = statistics.median(bench.run(*empty).seconds for _ in range(3))
        each = row.contenders[who]
        each.whole = lambda value, once=once: once + (value - once) / (few - 1) * (COMMANDS - 1)
        each.note = " †"
    wire = on_the_wire(mixed(COMMANDS, "m"))
    row.add(Contender("raw", lambda: raw(port, wire)))
    row.go(bench.options.runs)
    row.at_most("time", row.ours(), 0.25, seconds)
    row.times_faster(["cyradm"], 500)


def row_nodelay(bench, row):
    port = bench.standin()
    for who in ["imapadm", *PEERS]:
        add_scripted(bench, row, who, port, COMMANDS)
    wire = on_the_wire(mixed(COMMANDS, "m"))
    row.add(Contender("raw", lambda: raw(port, wire)))
    row.go(bench.options.runs)
    row.at_most("time", row.ours(), 0.12, seconds)
    row.times_faster(PREDECESSORS, 10)


def row_cyrus(bench, row):
    port = bench.cyrus()
    count = 1_000
    used = [0]

    def fresh(lines):
        # Each run makes mailboxes that nobody has made before.
        used[0] += 1
        return lines(f"r{used[0]}x")

    def turn(who):
        def scripted():
            script = bench.script(fresh(lambda prefix: changes(count, prefix)))
            return bench.run(*bench.command(who, port, script)).seconds

        return scripted

    row.add(Contender("imapadm", turn("imapadm")))
    row.add(Contender("raw", lambda: raw(port, fresh(lambda prefix: on_the_wire(changes(count, prefix))))))
    for who in [] if bench.options.quick else PEERS:
        row.add(Contender(who, turn(who)))
    # The first who come find a server that is still cold.
    for name in ("raw", "imapadm"):
        row.contenders[name].turn()
    # A real server does not take the same time twice, so there are more of them.
    row.go(max(bench.options.runs, 11))
    pairs = zip(row.contenders["imapadm"].times, row.contenders["raw"].times)
    row.at_most("to the raw sender", statistics.median(ours / theirs for ours, theirs in pairs), 1.05, times)


def row_start(bench, row):
    port = bench.standin()
    script = bench.script(["lam user.u0000001"])
    for who in ["imapadm", *PEERS]:
        argv, stdin = bench.command(who, port, script)
        row.add(Contender(who, lambda argv=argv, stdin=stdin: bench.run(argv, stdin).first))
    row.contenders["imapadm"].memory = bench.run(*bench.command("imapadm", port, script), memory=True).memory
    # They are short, so there can be more of them.
    row.go(max(bench.options.runs * 3, 9))
    row.at_most("time", row.ours(), 0.006, seconds)


def row_many(command, verb, plain=0, share=1):
    """One command for very many mailboxes, beside a sender that knows their names."""

    def measure(bench, row):
        port = bench.standin(MANY, plain=plain)
        script = bench.script([command])
        wire = "".join(f"a{number} {verb.format(f'user.u{number:07}')}\r\n" for number in range(1, MANY + 1))
        wire = on_the_wire(["lm"]) + wire.encode()
        for who in ["imapadm"] + (["before"] if bench.options.before else []):
            argv, stdin = bench.command(who, port, script)
            lines = bench.run(argv, stdin, keep=True).output.count(b"\n")
            expect(f"rows of {who}", lines, MANY * share)
            contender = Contender(who, lambda argv=argv, stdin=stdin: bench.run(argv, stdin).seconds)
            contender.memory = bench.run(argv, stdin, memory=True).memory
            row.add(contender)
        row.add(Contender("raw", lambda: raw(port, wire)))
        row.go(bench.options.runs)
        row.at_most("memory", row.contenders["imapadm"].memory, 64e6, megabytes)
        if "before" in row.contenders:
            before = row.contenders["before"]
            ratio = row.ours() / before.median()
            row.at_most(f"to before ({seconds(before.median())}, {megabytes(before.memory)})", ratio, 1.05, times)

    return measure


ROWS = {
    "list": (row_list, "`lm` of 1,000,000 mailboxes into a pipe", "≤ 0.30 s; ≤ 15 MB; ≥ 30x cyradm"),
    "library": (row_library, "the library's list of 1,000,000 into one compact collection", "≤ 0.15 s; ≤ 35 MB"),
    "delay": (
        row_delay,
        "10,000 mixed CREATE, SETQUOTA, SETACL, GETACL with `-k`, 20 ms round trip",
        "≤ 0.25 s; ≥ 500x cyradm",
    ),
    "nodelay": (row_nodelay, "the same, no delay", "≤ 0.12 s; ≥ 10x the fastest predecessor"),
    "setacl": (row_many("sam '*' bob lrs", "SETACL {} bob lrs"), "`setacl '*' bob lrs` on 1,000,000", "≤ 64 MB; no slower than before"),
    "listacl": (row_many("lam '*'", "GETACL {}", share=2), "`listacl '*'` on 1,000,000", "≤ 64 MB; no slower than before"),
    "status": (
        row_many("lm --status", "STATUS {} (MESSAGES RECENT UNSEEN UIDNEXT UIDVALIDITY SIZE)", plain=1),
        "`listmailbox --status` of 1,000,000 on a server without LIST-STATUS",
        "≤ 64 MB; no slower than before",
    ),
    "cyrus": (row_cyrus, "1,000 changes on a real Cyrus", "≤ 1.05x the raw sender"),
    "start": (row_start, "process start to the first GETACL answered", "≤ 6 ms"),
}


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} processors, Linux {platform.release()}, load {load:.1f} at the start"


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/compare")
    parser.add_argument("--target", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="three runs; the slow are measured on less")
    parser.add_argument("--before", metavar="PROGRAM", help="an earlier imapadm, which the rows of many mailboxes must not be slower than")
    parser.add_argument("--runs", type=int, help="turns of each contender (7)")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help=" ".join(ROWS))
    options = parser.parse_args()
    options.runs = options.runs or (3 if options.quick else 7)
    # Ctrl-C and SIGTERM end the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    about = machine()
    rows = []
    with tempfile.TemporaryDirectory(prefix="imapadm-bench.") as folder:
        bench = Bench(options, folder)
        try:
            for name, (measure, title, target) in ROWS.items():
                if options.only and name not in options.only:
                    continue
                row = Row(name, title, target)
                measure(bench, row)
                rows.append(row)
        finally:
            bench.stop()
    print("| what | target | imapadm | peak memory | raw sender | imaplib | IMAP::Admin | cyradm | verdict |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(row.markdown())
    print()
    print(f"Medians of {options.runs} runs and more (one, of others who take longer than {SLOW:.0f} s); {about}.")
    print("In parentheses: how many times as long as imapadm.")
    if any(peer.note for row in rows for peer in row.contenders.values()):
        print(
            "† Scaled: in the row with a round trip from 200 commands, start and login counted once"
            + (f"; in a listing from {FEW:,} mailboxes." if options.quick else ".")
        )
    return 1 if any("MISSED" in verdict for row in rows for verdict in row.verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
