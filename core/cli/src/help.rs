//! What stands below the options in the help. Prose has no line breaks of its own: it is wrapped to the terminal.

macro_rules! connect {
    () => {
        "\
Without --listen it is like nc: the end of standard input ends one direction only, and the \
command ends at the peer's end, even if there is more on standard input.

Exit status: 0 the connection ended in order, 1 it was lost, 2 there never was one (or a service \
behind the gateway could not be reached), 64 usage. SIGINT and SIGTERM reset what is open and give \
130 and 143, with --listen 0.

Examples:
  twinpath connect gateway.example.com:443 --gateway < request
  twinpath connect '[2001:db8::1]:443' --gateway --listen 127.0.0.1:8443"
    };
}

pub(crate) const CONNECT: &str = concat!(connect!(), "\n\n`--help` describes the events.");

pub(crate) const CONNECT_LONG: &str = concat!(
    connect!(),
    "\n\n\
Events, one JSON object per line; a field without meaning for an event is left out:
  v            version of the format, 1; new events and fields do not raise it
  t_ms         milliseconds since the start of the command
  conn         number of the connection, from 1
  event        leg_up, leg_down    a leg carries bytes, or is gone
               hedge               `from` is suspected, copies go over `to`
               recovered           the stall is over
               failover, failback  the active path has changed
               protection          what the connection can claim has changed
               mode                how it runs has changed
               budget_exhausted    the backup is closed until there is more
               going_away          the gateway will end within `within_ms`
               summary             the last line of a connection
               failed              the only line of one that never was
  from, to     interfaces; `primary` and `backup` where no name is known
  reason       why; in `summary`, `closed` if it ended in order, else, and in
               `failed`, the kind of error: refused, unreachable, timed_out,
               name_not_found, not_a_gateway, pin_mismatch, interrupted,
               reset, ...; `stopped` if a signal ended the connect
  message      in `failed`, the error in words
  protected    whether losing the active path is survived
  mode         emulated, plain-pair or single-path
  mode_reason  why it runs so, as when only one path may be used
  stall_ms     the longest time in which data was due and none progressed
  within_ms    milliseconds from now
  bytes        sent and received so far, per interface: {\"wlan0\":[tx,rx]}
  written, read, hedges, failovers, failbacks, duration_ms, protected_ms
               in `summary`: the account of the whole connection"
);

macro_rules! fetch {
    () => {
        "\
When the path dies, the download goes on over the other one: where it broke off if the server gives a \
strong validator (ETag) and takes ranges, else from its start, compared with what was there. A POST is \
sent again only if it was certainly not processed, or has an Idempotency-Key.

Exit status, as curl's with --fail: 0 all is there, 3 the URL is wrong, 6 the name is not known, 7 no \
connection, 18 it broke off, 22 the server answers 400 or above, 23 the file cannot be written, 28 it took \
too long, 35 no TLS, 47 too many redirects, 52 no answer, 55 a request that may not be sent twice was lost, \
60 the certificate is not trusted; 1 the SHA-256 is another one, 64 usage. SIGINT and SIGTERM leave the part \
for the next run and give 130 and 143.

Examples:
  twinpath fetch https://example.com/file.iso -o file.iso
  twinpath fetch https://example.com/api -H 'Accept: application/json' --service interactive"
    };
}

pub(crate) const FETCH: &str = concat!(fetch!(), "\n\n`--help` describes the events.");

pub(crate) const FETCH_LONG: &str = concat!(
    fetch!(),
    "\n\n\
Events, one JSON object per line, with v, t_ms and conn as those of `twinpath connect`:
  event        answered            the head of an answer is there: `status`, `mode`, `to`
               failover, failback  the path has changed
               replayed            the request was sent again
               resumed             the answer goes on `at` that byte
               restarted           it is fetched again and compared
               hedge               it was slow, and was sent on the backup as well
               postponed           the server asks to come back `within_ms`
               redirected          a redirect is followed
               summary             the last line: `reason`, `stall_ms`, `failovers`, `failbacks`,
                                   `replays`, `resumes`, `restarts`, `hedges`, `fetched_again`,
                                   `on_backup` (bytes) and `bytes` per interface: {\"wlan0\":[tx,rx]}"
);
