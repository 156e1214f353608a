"""What happens to processes: they are killed, stopped, interrupted, and started twice."""

import signal
import time
from contextlib import suppress

import psutil
import store
from disturbances import SHORT, Round, disturbance, several
from place import until

# Processes end


@disturbance(-signal.SIGKILL, silent=True)
def kill_the_command(round_: Round) -> None:
    """SIGKILL."""
    round_.command.send(signal.SIGKILL)


@disturbance(0, 1, 2, applies=several)
def kill_a_job(round_: Round) -> None:
    """SIGKILL of a process that was forked for a job; before there are any, of the next one."""
    with suppress(psutil.Error):
        until(lambda: round_.command.ended or round_.command.workers, "a job's process")
        if workers := round_.command.workers:
            round_.chance.choice(workers).kill()


@disturbance(0, 1, 2, applies=several)
def kill_the_fork_server(round_: Round) -> None:
    """SIGKILL of the process that jobs are forked from."""
    with suppress(psutil.Error):
        if server := round_.command.fork_server:
            server.kill()


@disturbance(0, applies=several)
def kill_the_resource_tracker(round_: Round) -> None:
    """SIGKILL of the process that multiprocessing keeps beside."""
    with suppress(psutil.Error):
        if tracker := round_.command.tracker:
            tracker.kill()


@disturbance(130, -signal.SIGINT)  # which a shell calls 130, as 143 below
def interrupt(round_: Round) -> None:
    """Ctrl-C in a terminal: SIGINT to the whole group."""
    round_.command.send_all(signal.SIGINT)


@disturbance(130, -signal.SIGINT)  # which a shell calls 130, as 143 below
def interrupt_twice(round_: Round) -> None:
    """A second Ctrl-C by someone in a hurry."""
    round_.command.send_all(signal.SIGINT)
    time.sleep(round_.chance.uniform(0.05, 1.0))
    round_.command.send_all(signal.SIGINT)


@disturbance(143, -signal.SIGTERM)
def terminate(round_: Round) -> None:
    """SIGTERM to the command alone, as `kill` sends it."""
    round_.command.send(signal.SIGTERM)


@disturbance(143, -signal.SIGTERM)
def terminate_all(round_: Round) -> None:
    """SIGTERM to the whole group, as a batch system sends it."""
    round_.command.send_all(signal.SIGTERM)


@disturbance(129, -signal.SIGHUP, silent=True)
def close_the_terminal(round_: Round) -> None:
    """SIGHUP to the whole group."""
    round_.command.send_all(signal.SIGHUP)


@disturbance(0)
def stop_and_continue(round_: Round) -> None:
    """SIGSTOP to everything, as a laptop that sleeps."""
    round_.command.send_all(signal.SIGSTOP)
    time.sleep(SHORT)
    round_.command.send_all(signal.SIGCONT)


@disturbance(0, applies=several)
def stop_a_process(round_: Round) -> None:
    """SIGSTOP to one process below the command."""
    with suppress(psutil.Error):
        if below := round_.command.below:
            one = round_.chance.choice(below)
            one.suspend()
            time.sleep(SHORT)
            one.resume()


# The same again, elsewhere


@disturbance(0, applies=several)
def start_it_twice(round_: Round) -> None:
    """The same command in a second terminal. A search can't be shared: it says so, unless it is over."""
    round_.others.append((round_.place.start(round_.again()), frozenset({0, 2} if round_.subject.searches else {0})))


@disturbance(-signal.SIGKILL, applies=lambda subject: subject.several and not subject.searches, silent=True)
def start_it_twice_and_kill_the_first(round_: Round) -> None:
    """The second terminal does all that the first leaves."""
    round_.others.append((round_.place.start(round_.again()), frozenset({0})))
    time.sleep(round_.chance.uniform(0.0, 12.0))
    round_.command.send(signal.SIGKILL)


@disturbance(0, applies=lambda subject: subject.resumed, stretches=(0, 1, 2))
def resume_it_twice(round_: Round) -> None:
    """The same training resumed in a second terminal: one of the two refuses."""
    for row in store.peek(round_.place.database):
        round_.others.append((round_.place.start(["train", f"resume={row.id}"]), frozenset({0, 2})))
