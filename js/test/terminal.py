"""Run a command on a terminal, and press Ctrl-C after it has printed a text.

``terminal.py TEXT COMMAND …`` prints the command's exit status and output as JSON.
"""

import contextlib
import json
import os
import pty
import signal
import sys

text, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore Ctrl-C, and so do their children
    os.execvp(command[0], command)
output, pressed = b"", False
with contextlib.suppress(OSError):  # Linux raises it when the other end is closed
    while part := os.read(terminal, 1 << 16):
        output += part
        if not pressed and text.encode() in output:
            pressed = True
            os.write(terminal, b"\x03")
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({"status": status, "output": output.decode()}))
