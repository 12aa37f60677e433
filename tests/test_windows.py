"""What Windows does not have is not needed: every module is imported, and a fit is made, stored and read, without it.

Our modules are given ``os`` and ``signal`` without the names that there are on POSIX alone, and no module that is; what other libraries do
is theirs.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import builtins, os, signal, types

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
NAMES = {
    "os": "fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpgrp getsid getuid killpg mkfifo nice pread pwrite "
    "register_at_fork setgid setpgid setsid setuid statvfs sysconf uname wait wait3 wait4 O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK",
    "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIG_BLOCK SIG_SETMASK SIG_UNBLOCK "
    "alarm pause pthread_kill pthread_sigmask setitimer sigwait",
}

def refused(*given):
    raise AssertionError("on Windows os.kill ends a process, whatever the signal")

def of_windows(module):
    poor = types.ModuleType(module.__name__)
    missing = {n for n in dir(module) if n.startswith("sched_")} | set(NAMES[module.__name__].split())
    vars(poor).update({name: value for name, value in vars(module).items() if name not in missing})
    return poor

POOR = {"os": of_windows(os), "signal": of_windows(signal)}
POOR["os"].name, POOR["os"].kill = "nt", refused
real = builtins.__import__

def imported(name, globals=None, locals=None, fromlist=(), level=0):
    ours = globals is not None and str(globals.get("__name__")).startswith("bayes_scaling")
    if ours and level == 0:
        if name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in POOR:
            return POOR[name]
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = imported
"""
EVERY_MODULE = """
import importlib, pkgutil
import bayes_scaling

for module in pkgutil.walk_packages(bayes_scaling.__path__, "bayes_scaling."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from bayes_scaling import files
assert files.os is POOR["os"], "the modules are not given what Windows has"
"""
A_FIT = """
import tempfile
from pathlib import Path
import bayes_scaling as bs

with tempfile.TemporaryDirectory() as folder:
    out = Path(folder, "fit.nc")
    Path(folder, f".fit.nc.{2**22 - 1}.abc.unfinished").touch()
    runs = bs.load_runs("ladder").where("series == 'size'")
    bs.fit(runs, "offset_n", seed=1, draws=200, progress=False).save(out)
    print(bs.load_fit(out).ask("predict", params=1e6).sentence)
"""


@pytest.mark.parametrize("program", [EVERY_MODULE, A_FIT], ids=["every module", "a fit"])
def test_nothing_of_posix_alone_is_needed(program, tmp_path):
    path = tmp_path / "windows.py"
    path.write_text(WITHOUT + program, encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
