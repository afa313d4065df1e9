"""What a reader must know before believing a report: the same words in each. Pure."""

from __future__ import annotations

from stockade.drill.checkers.validity import LAG_MAX_MS
from stockade.drill.report.text import escape

THREATS = {
    "The probes run on the computer that hosts the lab.": (
        "In a lab, hosts, VIPs and probes share its cores. What slows the cloud may slow the probes too. How "
        f"late each probe was is recorded; a stream whose probes were more than {LAG_MAX_MS} ms late (99th percentile) "
        "makes the trial UNKNOWN. On servers the probes have a computer of their own."
    ),
    "A lab's processors may be emulated.": (
        "Where a lab has no hardware virtualization, its VMs run many times slower than on servers. Starting "
        "a machine, forming a cluster and answering a request take longer; timers do not. Figures of a lab "
        "are not figures of servers, in either direction."
    ),
    "One clock.": (
        "All times of load and fault come from one monotonic clock, so that no difference between clocks is "
        "in any window. What hosts say of themselves is dated when it was read, later by up to one poll."
    ),
    "Few trials.": (
        "A trial is one injection, and operations within one outage are not independent. The interval behind "
        "each count says how much so few trials leave open: 5 of 5 passing still allows a failure rate of 45 "
        "% (one-sided, 95 %). With fewer than 59 trials no 95th percentile is named, only the largest value "
        "seen."
    ),
    "A window is known to one period of its probe.": (
        "The headline is the upper bound, from the last success before to the first success after. It is "
        "longer than the outage by up to two periods: about 2 s for one operation per second, 4 s at one in "
        "two seconds, 0.1 s for the datagrams. Outages shorter than a period may be missed."
    ),
    "No traffic between VMs.": (
        "The data path is measured from outside, over a floating IP, to one VM. Traffic from VM to VM and "
        "load balancers as a service are not measured."
    ),
    "The load is light.": (
        "Some tens of operations per second. A cloud near its limit fails over more slowly, and everything "
        "that returns at once may overload it; this is not measured here."
    ),
    "One fault at a time.": (
        "Each trial starts from a complete cloud. Two independent faults at once are outside what is shown, "
        "unless the scenario says otherwise."
    ),
}


def threats() -> str:
    """The list as HTML."""
    entries = "".join(f"<li><b>{escape(title)}</b> {escape(text)}</li>" for title, text in THREATS.items())
    return f'<section id="threats"><h2>Threats to validity</h2><ul class="threats">{entries}</ul></section>'
