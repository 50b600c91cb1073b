"""Runs a program in a pseudo-terminal and plays a user: terminal_session.py COLUMNS ROWS STEPS PROGRAM [ARGUMENT]...

STEPS is a JSON list of [what to do, text to wait for]. What to do: keys to send, "signal N", or "resize COLUMNS ROWS".
Prints one JSON object: the screen after each step, the exit code, whether the terminal was given back as it was.
"""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time

try:
    import pyte
except ImportError:
    sys.exit(77)

columns, rows, steps = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
master, slave = os.openpty()


def resize(width, height):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


resize(columns, rows)
before = termios.tcgetattr(slave)
screen = pyte.Screen(columns, rows)
stream = pyte.ByteStream(screen)
raw = b""
environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
environment.pop("NO_COLOR", None)


def own_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


child = subprocess.Popen(
    sys.argv[4:], stdin=slave, stdout=slave, stderr=slave, env=environment, preexec_fn=own_terminal)


def read(seconds):
    """Takes what comes within so long; false when nothing did."""
    global raw
    if not select.select([master], [], [], seconds)[0]:
        return False
    data = os.read(master, 65536)
    raw += data
    stream.feed(data)
    return True


def shown():
    return [line.rstrip() for line in screen.display]


screens = []
problem = None
for action, wanted in steps:
    if action.startswith("signal "):
        child.send_signal(int(action.split()[1]))
    elif action.startswith("resize "):
        width, height = map(int, action.split()[1:])
        screen.resize(height, width)
        screen.reset()
        resize(width, height)
        child.send_signal(signal.SIGWINCH)
    elif action:
        os.write(master, action.encode())
    deadline = time.monotonic() + 60
    while wanted and not any(wanted in line for line in shown()):
        if time.monotonic() > deadline or child.poll() is not None:
            problem = f"after {action!r}: no {wanted!r} on {shown()}"
            break
        read(0.2)
    screens.append([line.ljust(screen.columns) if action.startswith("resize") else line for line in screen.display]
                   if action.startswith("resize") else shown())
    if problem:
        child.kill()
        break
deadline = time.monotonic() + 60
while child.poll() is None and time.monotonic() < deadline:
    read(0.1)
if child.poll() is None:
    child.kill()
    problem = problem or "the program does not end"
child.wait()
while read(0.05):
    pass
after = termios.tcgetattr(slave)
left = raw.rfind(b"\x1b[?1049l")
restored = after == before and left > raw.rfind(b"\x1b[?1049h") and raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l")
print(json.dumps({"screens": screens, "code": child.returncode, "isRestored": restored, "problem": problem}))
