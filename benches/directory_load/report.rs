//! The figures of one case: searches beside their bound, and cached answers beside those of the file.

use std::fmt::Write;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::common::load::Tally;
use crate::common::median;
use crate::common::people::Group;
use crate::common::script::Script;
use crate::daemon::Counts;
use crate::options::Options;
use crate::slapd::Searches;

/// One turn of one daemon.
pub struct Sample {
    pub tally: Tally,
    pub cpu: Duration,
    pub deciding: Duration,
    pub decisions: u64,
}

/// All that one daemon did in a case.
pub struct Served {
    /// Turns of cached answers.
    pub samples: Vec<Sample>,
    pub counts: Counts,
    pub resident_mib: f64,
    /// From the first request of the case to its last one.
    pub elapsed: Duration,
    /// At the server, where there is one.
    pub searches: Option<Searches>,
}

type Figure = fn(&Sample) -> f64;

const FIGURES: [Figure; 4] =
    [Sample::requests_a_second, Sample::decision_us, Sample::latency_us, Sample::cpu_us];

impl Sample {
    fn requests_a_second(&self) -> f64 {
        self.tally.latency.count() as f64 / self.tally.elapsed.as_secs_f64()
    }

    /// By the daemon's own watch.
    fn decision_us(&self) -> f64 {
        self.deciding.as_secs_f64() * 1e6 / self.decisions as f64
    }

    fn latency_us(&self) -> f64 {
        self.tally.latency.quantile(0.5).as_secs_f64() * 1e6
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.tally.latency.count() as f64
    }
}

pub fn heading(options: &Options, groups: &[Group], script: &Script) -> String {
    let Options { people, requests, rounds, connections, fresh, .. } = options;
    format!(
        "directory_load: {people} logins, {} groups; {requests} requests of {} bytes to each daemon, {:.1} % of them \
         to be refused, in {rounds} rounds; {} x {connections}, {} processors; answers fresh for {fresh} s",
        groups.len(),
        script.mean_bytes(),
        script.refused_share() * 100.0,
        options.socket.name(),
        available_parallelism().map_or(0, usize::from),
    )
}

pub fn of_case(options: &Options, name: &str, file: Option<&Served>, ldap: &Served) -> String {
    let mut text = format!("\n{name}\n");
    searches(&mut text, options, ldap);
    if let Some(file) = file {
        beside(&mut text, file, ldap);
    }
    text
}

fn searches(text: &mut String, options: &Options, ldap: &Served) {
    let Some(searches) = &ldap.searches else { return };
    let seconds = ldap.elapsed.as_secs_f64();
    let bound = options.people as f64 * (seconds / options.fresh as f64 + 1.0);
    let Searches { logins, owners, recipients, member, other } = searches;
    let _ = writeln!(
        text,
        "searches at slapd: {} = logins {logins} + groups of a login {member} + owners of recipients {owners} + recipients {recipients} \
         + other {other}\n\
         bound of the logins: {bound:.0} = {} x ({seconds:.1} s / {} s + 1)",
        searches.total(),
        options.people,
        options.fresh,
    );
    let lookups = ldap.counts.lookups.iter().filter(|(_, count)| *count > 0);
    let lookups: Vec<String> = lookups.map(|(result, count)| format!("{result} {count}")).collect();
    let _ = writeln!(
        text,
        "decisions of gatepost: {}; lookups: {}",
        ldap.counts.decisions,
        lookups.join(", ")
    );
}

fn beside(text: &mut String, file: &Served, ldap: &Served) {
    let line = |text: &mut String, name: &str, [rate, decision, latency, cpu]: [f64; 4], rss| {
        let _ = writeln!(
            text,
            "{name:14} {rate:>10.0} {decision:>10.2} {latency:>10.1} {cpu:>10.2} {rss:>10.1}"
        );
    };
    let _ = writeln!(
        text,
        "{:14} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "cached answers", "requests/s", "decision", "p50", "cpu", "rss"
    );
    for (name, served) in [("file", file), ("LDAP", ldap)] {
        let medians = FIGURES.map(|figure| median(served.samples.iter().map(figure)));
        line(text, name, medians, served.resident_mib);
    }
    let pairs = || ldap.samples.iter().zip(&file.samples);
    let [rate, decision, latency, cpu] =
        FIGURES.map(|figure| median(pairs().map(|(ldap, file)| figure(ldap) / figure(file))));
    let all = |served: &Served| {
        let deciding: Duration = served.samples.iter().map(|sample| sample.deciding).sum();
        let decisions: u64 = served.samples.iter().map(|sample| sample.decisions).sum();
        deciding.as_secs_f64() / decisions as f64
    };
    let _ = writeln!(
        text,
        "{:14} {rate:>10.3} {decision:>10.3} {latency:>10.3} {cpu:>10.3}   decision, all rounds together: {:.3}\n\
         decision: mean time from a whole question to its answer by the daemon's own watch; p50: latency at the client;\n\
         cpu: of the daemon a request; microseconds, medians over the rounds. rss: MiB. LDAP / file: median of the ratios",
        "LDAP / file",
        all(ldap) / all(file),
    );
}
