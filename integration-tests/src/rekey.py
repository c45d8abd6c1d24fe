"""Three requests over one connection of gnutls-cli, with new keys between them. Until the file GO is there, asks for others before, so that its
library is read by then.

Usage: rekey.py PRIORITY COMMAND DONE PORT NAME GO; the command of gnutls-cli gives new keys, and what it says is DONE."""

import os, subprocess, sys, time
priority, rekey, done, port, name, go = sys.argv[1:]
command = ["gnutls-cli", "--insecure", "--inline-commands", "--priority", priority, "--port", port, "127.0.0.1"]
client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
def say(text):
    client.stdin.write(text.encode())
    client.stdin.flush()
def ask(name):
    say(f"GET /small/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    heard = ""
    while "hello" not in heard:
        line = client.stdout.readline()
        assert line, heard
        heard += line.decode()
    return heard
while not os.path.exists(go):
    ask(f"before-{name}")
    time.sleep(0.02)
for number in range(3):
    if number > 0: say(rekey + "\n")
    heard = ask(f"{name}-{number}")
    assert number == 0 or done in heard, heard
client.stdin.close()
client.wait()
