//! The live picture on the terminal, and plain lines where there is none.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use super::file::SIZE;
use super::progress::End;
use super::recording::{Mark, Moment, Recording, Run};

/// The live picture is drawn this often.
const FRAME: Duration = Duration::from_millis(100);
/// Without a terminal there is a line this often.
const LINE: Duration = Duration::from_secs(1);
/// Over which the rates shown are taken.
const WINDOW: Duration = Duration::from_millis(500);
const BAR: usize = 40;
const HISTORY: usize = 40;
/// Each bar of the history stands for this.
const HISTORY_STEP: Duration = Duration::from_millis(500);

/// Where the demo is watched.
#[derive(Debug)]
pub(super) struct Terminal {
    is_live: bool,
    has_colour: bool,
    /// Lines of the picture that stand below the cursor's first line.
    drawn: usize,
    next: Duration,
    next_history: Duration,
    /// Mbit/s: twinpath's Wi-Fi and cellular, plain TCP's Wi-Fi.
    history: [VecDeque<f64>; 3],
    /// The fastest link, in Mbit/s.
    full: f64,
}

#[derive(Debug, Clone, Copy)]
enum Colour {
    Wifi,
    Cellular,
    Plain,
    Bad,
    Good,
    Faint,
    Bold,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_live = io::stdout().is_terminal() && !is_dumb;
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        Self {
            is_live,
            has_colour: is_live && !no_colour,
            drawn: 0,
            next: Duration::ZERO,
            next_history: Duration::ZERO,
            history: Default::default(),
            full: 1.0,
        }
    }

    /// A line of its own.
    pub(super) fn say(&mut self, text: &str) {
        let mut out = self.wiped();
        out.push_str(text);
        out.push('\n');
        print(&out);
    }

    pub(super) fn title(&mut self, recording: &Recording) {
        let [wifi, cellular] = recording.links;
        self.full = wifi.0.max(cellular.0);
        let head = self.paint(
            Colour::Bold,
            "A download of 50 MB, over twinpath and over plain TCP",
        );
        let link =
            |(rate, rtt): (f64, Duration)| format!("{rate:.0} Mbit/s, {} ms", rtt.as_millis());
        self.say(&format!(
            "{head}\nWi-Fi: {}; cellular: {}; a pair for each download.\nThe links are {}.\n",
            link(wifi),
            link(cellular),
            recording.stage
        ));
    }

    pub(super) fn moment(&mut self, moment: &Moment) {
        let colour = match moment.mark {
            Mark::WifiDies => Colour::Bad,
            Mark::Hedge | Mark::Failover => Colour::Cellular,
            Mark::WifiReturns | Mark::Failback => Colour::Wifi,
            Mark::TwinpathDone => Colour::Good,
            Mark::Recovered | Mark::PlainDone => Colour::Faint,
        };
        let time = self.paint(Colour::Faint, &format!("{:6.2} s", moment.at.as_secs_f64()));
        let text = self.paint(colour, &moment.text);
        self.say(&format!("{time}  {text}"));
        // The picture is wiped and comes back at once.
        self.next = Duration::ZERO;
    }

    pub(super) fn update(&mut self, at: Duration, twinpath: &Run, plain: &Run) {
        if at >= self.next_history {
            self.next_history = at + HISTORY_STEP;
            let [wifi, cellular] = rates(twinpath, HISTORY_STEP);
            let [plain, _] = rates(plain, HISTORY_STEP);
            for (history, rate) in self.history.iter_mut().zip([wifi, cellular, plain]) {
                history.push_back(rate);
                if history.len() > HISTORY {
                    history.pop_front();
                }
            }
        }
        if at < self.next {
            return;
        }
        self.next = at + if self.is_live { FRAME } else { LINE };
        if self.is_live {
            let picture = self.picture(at, twinpath, plain);
            let mut out = self.wiped();
            out.push_str(&picture);
            self.drawn = picture.lines().count();
            print(&out);
        } else {
            print(&line(at, twinpath, plain));
        }
    }

    /// What takes the picture away.
    fn wiped(&mut self) -> String {
        let lines = std::mem::take(&mut self.drawn);
        if lines == 0 {
            return String::new();
        }
        format!("\x1b[{lines}A\x1b[J")
    }

    fn picture(&self, at: Duration, twinpath: &Run, plain: &Run) -> String {
        let mut out = String::from("\n");
        let rates_now = rates(twinpath, WINDOW);
        let on_cellular = rates_now[1] > rates_now[0];
        let [of_wifi, of_cellular, of_plain] = &self.history;
        self.contender(&mut out, "twinpath ", Colour::Bold, twinpath);
        let active = !twinpath.is_over() && rates_now.iter().sum::<f64>() > 0.1;
        self.path(
            &mut out,
            active && !on_cellular,
            "Wi-Fi",
            Colour::Wifi,
            of_wifi,
            rates_now[0],
        );
        self.path(
            &mut out,
            active && on_cellular,
            "cellular",
            Colour::Cellular,
            of_cellular,
            rates_now[1],
        );
        out.push('\n');
        self.contender(&mut out, "plain TCP", Colour::Plain, plain);
        let rate = rates(plain, WINDOW)[0];
        self.path(
            &mut out,
            !plain.is_over() && rate > 0.1,
            "Wi-Fi",
            Colour::Plain,
            of_plain,
            rate,
        );
        let time = self.paint(Colour::Faint, &format!("{:6.1} s", at.as_secs_f64()));
        let _ = writeln!(out, "\n{time}");
        out
    }

    fn contender(&self, out: &mut String, name: &str, colour: Colour, run: &Run) {
        let share = run.last.received as f64 / SIZE as f64;
        let full = ((share * BAR as f64) as usize).min(BAR);
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
        let stall = run.last.stall.length.as_secs_f64();
        let colour_of_stall = if stall >= 1.0 {
            Colour::Bad
        } else {
            Colour::Good
        };
        let stall = self.paint(colour_of_stall, &format!("{stall:5.2} s"));
        let _ = writeln!(
            out,
            "{}  {}  {:4.1} MB   longest stall {stall}{}",
            self.paint(colour, name),
            self.paint(colour, &bar),
            megabytes(run.last.received),
            run.last.end.as_ref().map_or("", |(_, end)| match end {
                End::Intact => "  done",
                End::Damaged => "  WRONG",
                End::Failed(_) => "  broken",
            }),
        );
    }

    fn path(
        &self,
        out: &mut String,
        is_active: bool,
        name: &str,
        colour: Colour,
        history: &VecDeque<f64>,
        rate: f64,
    ) {
        let bars: String = history
            .iter()
            .map(|rate| bar_of(rate / self.full))
            .collect();
        let space = " ".repeat(HISTORY.saturating_sub(history.len()));
        let marker = if is_active {
            self.paint(colour, "▶")
        } else {
            " ".to_owned()
        };
        let _ = writeln!(
            out,
            "{marker} {name:8} {}{space}  {rate:4.1} Mbit/s",
            self.paint(colour, &bars)
        );
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.has_colour {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Wifi => "34",
            Colour::Cellular => "33",
            Colour::Plain => "35",
            Colour::Bad => "31",
            Colour::Good => "32",
            Colour::Faint => "2",
            Colour::Bold => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

fn rates(run: &Run, window: Duration) -> [f64; 2] {
    if run.is_over() {
        return [0.0; 2];
    }
    run.rates(window)
}

fn bar_of(share: f64) -> char {
    let bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let at = (share.clamp(0.0, 1.0) * (bars.len() - 1) as f64).round() as usize;
    bars[at]
}

fn line(at: Duration, twinpath: &Run, plain: &Run) -> String {
    let [wifi, cellular] = rates(twinpath, LINE);
    let [plain_rate, _] = rates(plain, LINE);
    let state = |run: &Run| {
        let stall = run.last.stall.length.as_secs_f64();
        format!(
            "{:4.1} MB, longest stall {stall:5.2} s",
            megabytes(run.last.received)
        )
    };
    format!(
        "{:6.2} s  twinpath {} (Wi-Fi {wifi:4.1}, cellular {cellular:4.1} Mbit/s) | plain TCP {} ({plain_rate:4.1} Mbit/s)\n",
        at.as_secs_f64(),
        state(twinpath),
        state(plain),
    )
}

pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A closed standard output is no reason to stop: the report is still written.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
