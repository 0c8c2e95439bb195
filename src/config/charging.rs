//! Listeners by which messages are counted twice, late or not at all, or held nowhere: legal, but perhaps not
//! what was meant.

use std::collections::BTreeMap;

use crate::config::{Listen, Startup};
use crate::decision::{ChargeAt, Facing, Hold, Rules};
use crate::detector::Settings;
use crate::mail::Protocol;
use crate::rights::Mode;
use crate::settings::Reader;

pub(super) fn warn_of_charging(reader: &mut Reader, startup: &Startup, rules: &Rules) {
    warn_of_double_charges(reader, startup);
    let detector = &rules.detector.settings;
    if detector.mode == Mode::Off {
        return;
    }
    for (index, listen) in startup.listen.iter().enumerate() {
        warn_of_stage(reader, &format!("listen[{index}]"), listen);
    }
    warn_of_uncharged(reader, startup);
    warn_of_holds(reader, startup, detector);
}

/// A message asked about by both protocols must count once.
fn warn_of_double_charges(reader: &mut Reader, startup: &Startup) {
    for (index, listen) in startup.listen.iter().enumerate() {
        let listener = &listen.listener;
        let twice =
            startup.listen[..index].iter().filter(|earlier| charges(earlier)).any(|earlier| {
                earlier.listener.mta == listener.mta
                    && earlier.listener.protocol != listener.protocol
            });
        if twice && charges(listen) {
            reader.warn_all(
                &format!("listen[{index}].charge-at"),
                format!(
                    "{} is charged by policy delegation and by milter: a message asked about by both counts twice; set \"never\" for one of them",
                    listener.mta
                ),
            );
        }
    }
}

fn warn_of_stage(reader: &mut Reader, key: &str, listen: &Listen) {
    let listener = &listen.listener;
    let at = match listener.charge_at {
        ChargeAt::Rcpt => "rcpt",
        ChargeAt::Data => "data",
        ChargeAt::EndOfMessage | ChargeAt::Never => "",
    };
    if listener.charge_at == ChargeAt::Rcpt {
        reader.warn_all(
            &format!("{key}.charge-at"),
            "\"rcpt\": the recipients of a message are judged one by one, so the first few of a thief's message go out, and whom it brings together is not seen; ask at DATA or at the end of the message too, and charge there",
        );
    }
    if !at.is_empty() && listener.protocol == Protocol::Milter && listener.hold == Hold::Queue {
        reader.warn_all(
            &format!("{key}.hold"),
            format!(
                "\"queue\": by milter a message is held at its end alone, and with charge-at = \"{at}\" none is"
            ),
        );
    }
    if listener.facing == Facing::Submission && listener.hold == Hold::Defer {
        reader.warn_all(
            &format!("{key}.hold"),
            "\"defer\" on a listener that faces submission: mail programs do not try again by themselves, so to people it is a refusal; choose \"queue\" where the mail server can hold",
        );
    }
}

/// The detector sees what some listener of an MTA charges.
fn warn_of_uncharged(reader: &mut Reader, startup: &Startup) {
    let mut charged: BTreeMap<&str, bool> = BTreeMap::new();
    for listen in &startup.listen {
        *charged.entry(&listen.listener.mta).or_default() |= charges(listen);
    }
    for (mta, _) in charged.into_iter().filter(|(_, is_charged)| !is_charged) {
        reader.warn_all(
            "listen",
            format!(
                "every listener of {mta} has charge-at = \"never\": the detector sees none of its mail"
            ),
        );
    }
}

fn warn_of_holds(reader: &mut Reader, startup: &Startup, detector: &Settings) {
    let mut charging = startup.listen.iter().filter(|listen| charges(listen)).peekable();
    let is_any = charging.peek().is_some();
    if detector.hold == Mode::Enforce
        && is_any
        && charging.all(|listen| listen.listener.hold == Hold::Pass)
    {
        reader.warn_all(
            "detector.hold",
            "\"enforce\", but every [[listen]] that charges has hold = \"pass\": nothing is held",
        );
    }
}

fn charges(listen: &Listen) -> bool {
    listen.listener.charge_at != ChargeAt::Never
}
