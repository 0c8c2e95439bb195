//! A backtest told in words: what would have been held, suspended and refused, when and why.

use std::collections::HashMap;
use std::fmt::{self, Write};

use crate::backtest::{Person, Suspended, Tally, Trial, Verdict};
use crate::detector::{Limit, Severity, Test, holds_at, suspends_at};
use crate::history::{Coverage, Malformed};
use crate::ledger::Meter;
use crate::mail::Timestamp;

/// Lines of each list; the page (`--report`) has all.
const LISTED: usize = 40;

/// Below this share of accepted mail that the logs tell whole, nothing can be concluded.
pub const LEAST_COVERAGE: f64 = 0.95;

/// From this share of a limit on it was close.
const CLOSE: f32 = 0.8;

/// From so many suspensions on it is a bulk sender, or stolen again and again.
const BULK: u64 = 2;

/// What a report is made of.
pub struct Report<'a> {
    /// What was read.
    pub source: String,
    /// The budget that was asked for, then the others.
    pub trials: &'a [Trial],
    pub malformed: &'a Malformed,
    pub out_of_order: u64,
    pub coverage: Option<Coverage>,
    /// Whether suspensions were lifted by themselves.
    pub lifts: bool,
    pub names: Names,
}

/// Names as they are shown: themselves, or numbers in their place.
#[derive(Debug, Default)]
pub struct Names {
    pub redact: bool,
    known: HashMap<String, usize>,
}

impl Names {
    pub fn new(redact: bool) -> Self {
        Self { redact, known: HashMap::new() }
    }

    pub fn show(&mut self, kind: &str, name: &str) -> String {
        if !self.redact {
            return name.into();
        }
        let next = self.known.len() + 1;
        let number = *self.known.entry(format!("{kind} {name}")).or_insert(next);
        format!("{kind}-{number}")
    }
}

impl Report<'_> {
    /// The whole, for a terminal.
    pub fn text(&mut self) -> String {
        let mut out = String::new();
        // Writing to a string never fails.
        let _ = self.write(&mut out);
        out
    }

    fn write(&mut self, out: &mut String) -> fmt::Result {
        let Some(asked) = self.trials.first() else { return Ok(()) };
        self.write_coverage(out)?;
        self.write_input(&asked.tally, out)?;
        self.write_verdicts(asked, out)?;
        self.write_suspensions(asked, out)?;
        self.write_known(asked, out)?;
        self.write_close(&asked.tally, out)?;
        self.write_costs(out)?;
        self.write_counters(asked, out)?;
        self.write_suggestions(&asked.tally, out)
    }

    fn write_coverage(&self, out: &mut String) -> fmt::Result {
        let Some(coverage) = &self.coverage else { return Ok(()) };
        let share = coverage.share().unwrap_or(0.0);
        writeln!(
            out,
            "Coverage: {:.1} % of {} accepted messages are told whole ({} without client, {} without \
             login line, {} without sender, {} without all recipients, {} unfinished)",
            share * 100.0,
            coverage.accepted,
            coverage.without_client,
            coverage.without_login,
            coverage.without_sender,
            coverage.without_recipients,
            coverage.unfinished
        )?;
        if share < LEAST_COVERAGE {
            writeln!(
                out,
                "THIS IS TOO LITTLE: below {:.0} % nothing can be concluded from what follows. Give all \
                 log files of the time, of every host.",
                LEAST_COVERAGE * 100.0
            )?;
        }
        writeln!(out)
    }

    fn write_input(&self, tally: &Tally, out: &mut String) -> fmt::Result {
        let span = tally.span.map_or_else(String::new, |(first, last)| {
            format!(", {} to {}", day(first), day(last))
        });
        let outbound = tally.messages - tally.inbound;
        writeln!(
            out,
            "{}: {} messages of {} logins to {} recipients{span}",
            self.source,
            outbound,
            tally.people().count(),
            tally.recipients
        )?;
        writeln!(out, "{} messages without a login (inbound mail, or clients that need none)", tally.inbound)?;
        if self.out_of_order > 0 {
            writeln!(out, "{} messages were older than one before them", self.out_of_order)?;
        }
        if self.malformed.count > 0 {
            writeln!(out, "{} malformed lines were skipped:", self.malformed.count)?;
            for line in &self.malformed.first {
                writeln!(out, "  {}:{}: {}", line.file.display(), line.line, line.why)?;
            }
        }
        let month = "a month with mail of one login is 30 days from the first message on";
        writeln!(out, "{} months of an active user ({month})", tally.user_months())
    }

    fn write_verdicts(&self, trial: &Trial, out: &mut String) -> fmt::Result {
        let tally = &trial.tally;
        let count = |verdict: Verdict| tally.verdicts[verdict as usize];
        writeln!(out, "\nAt a budget of {} false suspensions in 1000 user-months:", trial.budget.as_str())?;
        writeln!(
            out,
            "  suspended  {:>7} times, on {} days of a login ({} in 1000 user-months)",
            count(Verdict::Suspend),
            tally.suspended_days,
            per_thousand(tally.suspended_days, tally.user_months())
        )?;
        writeln!(
            out,
            "  held       {:>7} messages, on {} days of a login ({} in 1000 user-months)",
            count(Verdict::Hold),
            tally.held_days,
            per_thousand(tally.held_days, tally.user_months())
        )?;
        writeln!(
            out,
            "  refused    {:>7} messages, {} of them for now",
            count(Verdict::Reject) + count(Verdict::Defer),
            count(Verdict::Defer)
        )?;
        for (reason, count) in &tally.refused {
            writeln!(out, "             {count:>7} {reason}")?;
        }
        if !self.lifts && count(Verdict::Suspend) > 0 {
            writeln!(
                out,
                "  A suspended login stays suspended here; --lift-after 0 shows how often it would have been"
            )?;
        }
        writeln!(out, "\nFindings by test:")?;
        for ((test, severity), count) in &tally.findings {
            writeln!(out, "  {:<20} {:<8} {count:>7}", test.as_str(), severity.as_str())?;
        }
        if tally.findings.is_empty() {
            writeln!(out, "  none")?;
        }
        let ceilings = [(Test::Ceiling, Severity::Suspend), (Test::Giant, Severity::Hold)];
        let fired = ceilings.map(|ceiling| tally.findings.get(&ceiling).copied().unwrap_or(0));
        writeln!(
            out,
            "Ceilings that no learning raises: {} times 60 messages to somebody new in a day, {} times \
             more than 500 recipients of one message",
            fired[0], fired[1]
        )
    }

    fn write_suspensions(&mut self, trial: &Trial, out: &mut String) -> fmt::Result {
        let suspensions = &trial.tally.suspensions;
        if suspensions.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nSuspensions:")?;
        for Suspended { login, at, because, gone_out, held, test, .. } in suspensions.iter().take(LISTED) {
            let login = self.names.show("login", login);
            writeln!(out, "  {} {login}: {because} ({test}); {gone_out} recipients had gone out, {held} were held", moment(*at))?;
        }
        more(suspensions.len(), out)
    }

    fn write_known(&mut self, trial: &Trial, out: &mut String) -> fmt::Result {
        let Some(known) = &trial.known else { return Ok(()) };
        let caught = known.compromises.iter().filter(|known| known.caught.is_some()).count();
        let (then, now) = known.compromises.iter().fold((0, 0), |(then, now), known| {
            (then + known.leaked_then, now + known.leaked_now)
        });
        let innocents: Vec<_> = trial
            .tally
            .suspensions
            .iter()
            .filter(|suspended| !known.covers(&suspended.login, suspended.at))
            .collect();
        writeln!(
            out,
            "\nKnown compromises: {caught} of {} caught; {then} recipients were reached then, {now} would have been",
            known.compromises.len()
        )?;
        for known in &known.compromises {
            let login = self.names.show("login", &known.login);
            let caught = match known.caught {
                Some(at) => format!("caught {} s after it began", at.ms_since(known.from) / 1000),
                None => "MISSED".into(),
            };
            writeln!(
                out,
                "  {} {login}: {caught}; {} recipients then, {} now",
                moment(known.from),
                known.leaked_then,
                known.leaked_now
            )?;
        }
        writeln!(out, "Innocents suspended: {} times", innocents.len())?;
        for suspended in innocents.iter().take(LISTED) {
            let login = self.names.show("login", &suspended.login);
            writeln!(out, "  {} {login}: {}", moment(suspended.at), suspended.because)?;
        }
        Ok(())
    }

    fn write_close(&mut self, tally: &Tally, out: &mut String) -> fmt::Result {
        let mut close: Vec<_> = tally
            .people()
            .filter_map(|(login, person)| Some((login, person.nearest?)))
            .filter(|(_, (_, share, _))| *share >= CLOSE)
            .collect();
        close.sort_unstable_by(|(a, (_, one, _)), (b, (_, other, _))| {
            other.total_cmp(one).then_with(|| a.cmp(b))
        });
        writeln!(out, "\nClose calls (nearer than {:.0} % to a suspension, without one): {}", CLOSE * 100.0, close.len())?;
        for (login, (test, share, at)) in close.iter().take(LISTED) {
            let login = self.names.show("login", login);
            writeln!(out, "  {} {login}: {:.0} % of {test}", moment(*at), share * 100.0)?;
        }
        more(close.len(), out)
    }

    fn write_costs(&self, out: &mut String) -> fmt::Result {
        if self.trials.len() < 2 {
            return Ok(());
        }
        writeln!(out, "\nWhat each budget would have cost here, in a month:")?;
        writeln!(out, "  budget  suspensions  held messages  days of a login with a hold")?;
        let mut trials: Vec<_> = self.trials.iter().collect();
        trials.sort_unstable_by_key(|trial| trial.budget);
        for Trial { budget, tally, .. } in trials {
            let monthly = |count: u64| count as f64 / tally.months();
            writeln!(
                out,
                "  {:>6}  {:>11.2}  {:>13.2}  {:>27.2}",
                budget.as_str(),
                monthly(tally.verdicts[Verdict::Suspend as usize]),
                monthly(tally.verdicts[Verdict::Hold as usize]),
                monthly(tally.held_days)
            )?;
        }
        Ok(())
    }

    fn write_counters(&self, trial: &Trial, out: &mut String) -> fmt::Result {
        writeln!(out, "\nHighest of each counter on a day of a login, and where it holds and suspends at least:")?;
        writeln!(out, "  counter               median   90 %   99 %  99.9 %      most   holds  suspends")?;
        for meter in Meter::ALL {
            let mut peaks: Vec<f32> = trial
                .tally
                .people()
                .flat_map(|(_, person)| &person.peaks)
                .map(|peaks| peaks[meter as usize])
                .collect();
            peaks.sort_unstable_by(f32::total_cmp);
            let at = |share: f64| {
                let place = (peaks.len() as f64 * share) as usize;
                peaks.get(place.min(peaks.len().saturating_sub(1))).copied().unwrap_or(0.0)
            };
            let least = |limit: Option<Limit>| {
                limit.map_or_else(String::new, |limit| {
                    format!("{:.1}", limit.floor.max(limit.ratio * meter.prior()))
                })
            };
            writeln!(
                out,
                "  {:<20} {:>7.1} {:>6.1} {:>6.1} {:>7.1} {:>9.1} {:>7} {:>9}",
                Test::Usual(meter).as_str(),
                at(0.5),
                at(0.9),
                at(0.99),
                at(0.999),
                at(1.0),
                least(holds_at(meter)),
                least(suspends_at(meter, trial.budget))
            )?;
        }
        Ok(())
    }

    fn write_suggestions(&mut self, tally: &Tally, out: &mut String) -> fmt::Result {
        let mut bulk: Vec<(&str, &Person)> = tally
            .people()
            .filter(|(_, person)| person.suspensions >= BULK || person.held >= BULK * 10)
            .map(|(login, person)| (login.as_str(), person))
            .collect();
        bulk.sort_unstable_by_key(|(login, person)| (std::cmp::Reverse((person.suspensions, person.held)), *login));
        let gateways = tally.gateways();
        if bulk.is_empty() && gateways.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nSuggestions for gatepost.toml; look at each before you paste it:\n")?;
        if !bulk.is_empty() {
            writeln!(out, "# If these write to many by trade. If not, somebody else may have sent as them.")?;
            writeln!(out, "[detector]\nbulk = [")?;
            for (login, person) in bulk.iter().take(LISTED) {
                let login = self.names.show("login", login);
                writeln!(
                    out,
                    "    {{ user = {} }}, # {} suspensions, {} held messages",
                    quoted(&login),
                    person.suspensions,
                    person.held
                )?;
            }
            writeln!(out, "]")?;
        }
        for client in gateways.iter().take(LISTED) {
            let client = self.names.show("client", &client.to_string());
            writeln!(out, "\n# More than 20 senders use it without a login.")?;
            writeln!(out, "[[gateway]]\nnet = {}\nidentity = \"sender\"", quoted(&client))?;
        }
        Ok(())
    }
}

fn more(count: usize, out: &mut String) -> fmt::Result {
    match count.checked_sub(LISTED) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "  and {more} more (--report FILE has all)"),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn per_thousand(count: u64, user_months: u64) -> String {
    format!("{:.2}", count as f64 * 1000.0 / (user_months as f64).max(1.0))
}

/// To the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_string().split('.').next().unwrap_or_default().replace('T', " ")
}

fn day(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().into()
}
