//! One line for each decision.

use std::time::Duration;

use crate::engine::Judged;
use crate::mail::Login;

/// The target of these lines, for log filters.
const TARGET: &str = "gatepost::decision";

pub(super) fn write(judged: &Judged, took: Duration) {
    if !tracing::enabled!(target: TARGET, tracing::Level::INFO) {
        return;
    }
    let (facts, decision) = (&judged.facts, &judged.decision);
    // As text, which a human line quotes and escapes: what others wrote is no line or field of ours.
    let login = facts.login.as_ref().map(Login::raw);
    let client = facts.client.to_string();
    let sender = facts.envelope.sender.to_string();
    let recipient = facts.envelope.recipient.as_ref().map(ToString::to_string);
    let instance = Some(&*facts.envelope.instance).filter(|instance| !instance.is_empty());
    let observed: Vec<&str> = decision.observed().map(|reason| reason.as_str()).collect();
    let observed = (!observed.is_empty()).then(|| observed.join(","));
    tracing::info!(
        target: TARGET,
        id = %judged.case().id(),
        action = decision.action(),
        reason = decision.reason.map(|reason| reason.as_str()),
        mode = decision.mode.as_str(),
        observed,
        stage = facts.stage.as_str(),
        mta = &*judged.listener.mta,
        login,
        client,
        sender,
        recipient,
        recipients = (facts.envelope.recipient_count > 0).then_some(facts.envelope.recipient_count),
        instance,
        took_us = took.as_micros() as u64,
        "decided"
    );
}
