//! Real servers that are killed, frozen and gone for longer than an answer is fresh: what is known is
//! served, what is not is deferred, a deny is never skipped, and all is well again by itself.

use crate::gatepost::{FAR, Gatepost};
use crate::openldap::{Groups, OpenLdap, Settings};
use crate::process::until;
use crate::samba::SambaAd;
use crate::server::Server;
use crate::source::{Source, servers};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// So that every outage is longer.
const BRIEF: &str = "fresh = \"1s\"\nnegative = \"1s\"";
const SILENT: &str = "451 4.4.3 The directory does not answer, try again later";
const DENIED: &str = "550 5.7.1 carol has no submit right";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    Killed,
    Frozen,
}

impl Outage {
    fn begin(self, server: &mut Server) {
        match self {
            Outage::Killed => server.stop(Signal::KILL),
            Outage::Frozen => server.freeze(),
        }
    }

    fn end(self, server: &mut Server) {
        match self {
            Outage::Killed => server.run(),
            Outage::Frozen => server.thaw(),
        }
    }
}

#[test]
fn openldap_is_killed_and_frozen_under_load() {
    let mut openldap = OpenLdap::start(&Settings::default());
    let gatepost = Gatepost::start(&Source::of_openldap(&openldap, Groups::Plain), BRIEF);
    let url = openldap.url();
    survives(&gatepost, &mut openldap.server, &url);
}

#[test]
fn samba_is_killed_and_frozen_under_load() {
    let mut controller = SambaAd::start();
    let gatepost = Gatepost::start(&Source::of_samba(&controller), BRIEF);
    let url = format!("{}:636", controller.url());
    survives(&gatepost, &mut controller.server, &url);
}

/// Both outages, under questions without a pause.
fn survives(gatepost: &Gatepost, server: &mut Server, url: &str) {
    let up = format!("directory_server_up{{server=\"{url}\"}}");
    for (outage, unknown, list) in
        [(Outage::Killed, "hmueller", "list-open"), (Outage::Frozen, "prim1", "list-alice")]
    {
        let list = format!("{list}@example.org");
        gatepost.becomes("alice", FAR, "DUNNO");
        gatepost.becomes("carol", FAR, DENIED);
        gatepost.becomes("nobody", FAR, "550 5.7.1 nobody is not known");
        gatepost.becomes("alice", "bob@example.org", "DUNNO");
        let stale = gatepost.lookups("stale");
        under_load(gatepost, || {
            outage.begin(server);
            gatepost.wait_for_metric(&up, |up| up == 0.0);
            gatepost
                .wait_for_metric("directory_lookups_total{result=\"stale\"}", |now| now > stale);
            gatepost.wait_for_metric("directory_stale_age_seconds", |age| age > 0.0);
            for _ in 0..3 {
                assert_eq!(gatepost.of(unknown, FAR), SILENT, "{outage:?}");
                // Who is not known now may be known by the time of the answer.
                let nobody = gatepost.of("nobody", FAR);
                assert!(nobody == SILENT || nobody.contains("nobody is not known"), "{nobody}");
                let recipient = gatepost.of("alice", &list);
                assert_eq!(recipient, SILENT, "{outage:?}");
            }
            outage.end(server);
            let expected =
                if unknown == "prim1" { "550 5.7.1 prim1 has no relay" } else { "DUNNO" };
            gatepost.becomes(unknown, FAR, expected);
            gatepost.becomes("alice", &list, "DUNNO");
        });
        gatepost.wait_for_metric(&up, |up| up == 1.0);
        gatepost.wait_for_metric("directory_stale_age_seconds", |age| {
            // Somebody must ask for it to be told.
            gatepost.of("alice", FAR);
            age == 0.0
        });
    }
}

/// While the server is disturbed, four mail servers ask of those who are known: nobody may notice.
fn under_load(gatepost: &Gatepost, disturb: impl FnOnce()) {
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    assert_eq!(gatepost.of("alice", FAR), "DUNNO");
                    assert_eq!(gatepost.of("alice", "bob@example.org"), "DUNNO");
                    assert_eq!(gatepost.of("carol", "bob@example.org"), DENIED);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let over = Over(&is_over);
        disturb();
        drop(over);
    });
    assert!(asked.into_inner() > 0);
}

/// Also when `disturb` panics, or the others would ask for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn one_of_two_controllers_is_enough_and_the_preferred_one_is_asked_again() {
    let [mut first, mut second] = [SambaAd::start(), SambaAd::start()];
    let source =
        Source { servers: servers(&[&first.url(), &second.url()]), ..Source::of_samba(&first) };
    let gatepost = Gatepost::start(&source, BRIEF);
    let up = |controller: &SambaAd| {
        format!("directory_server_up{{server=\"{}:636\"}}", controller.url())
    };
    gatepost.answers("alice", FAR, "DUNNO");
    let mut fresh_logins = (0..).map(|number| format!("u{number:05}"));
    let mut others_are_answered = |what: &str| {
        // Never asked for before, so that it is the server that answers.
        for login in fresh_logins.by_ref().take(4) {
            let found = gatepost.of(&login, FAR);
            assert_eq!(found, format!("550 5.7.1 {login} has no submit right"), "{what}");
        }
    };
    for (outage, unknown) in [(Outage::Killed, "nina"), (Outage::Frozen, "dist1")] {
        outage.begin(&mut first.server);
        others_are_answered("the second at once");
        gatepost.wait_for_metric(&up(&first), |up| up == 0.0);
        assert_eq!(gatepost.metric(&up(&second)), 1.0);
        others_are_answered("the second");
        outage.end(&mut first.server);
        gatepost.wait_for_metric(&up(&first), |up| up == 1.0);

        outage.begin(&mut second.server);
        others_are_answered("the first again");

        outage.begin(&mut first.server);
        gatepost.wait_for_metric(&up(&second), |up| {
            gatepost.answers("alice", FAR, "DUNNO");
            up == 0.0
        });
        gatepost.answers(unknown, FAR, SILENT);
        outage.end(&mut second.server);
        gatepost.becomes(unknown, FAR, &format!("550 5.7.1 {unknown} has no"));
        outage.end(&mut first.server);
        gatepost.wait_for_metric(&up(&first), |up| up == 1.0);
        gatepost.becomes("alice", FAR, "DUNNO");
    }
}

#[test]
fn a_restart_during_an_outage_goes_on_with_what_was_known() {
    let mut openldap = OpenLdap::start(&Settings::default());
    let source = Source::of_openldap(&openldap, Groups::Plain);
    restarts(&source, &mut openldap.server);
    let mut controller = SambaAd::start();
    let source = Source::of_samba(&controller);
    restarts(&source, &mut controller.server);
}

fn restarts(source: &Source, server: &mut Server) {
    let cache = format!("{BRIEF}\nsnapshot = \"directory.snapshot\"");
    let mut gatepost = Gatepost::start(source, &cache);
    let of_those_known = |gatepost: &Gatepost| {
        gatepost.answers("alice", FAR, "DUNNO");
        gatepost.answers("alice", "bob@example.org", "DUNNO");
        gatepost.answers("carol", "bob@example.org", DENIED);
        gatepost.answers("dave", "bob@example.org", "550 5.7.13 The account dave is disabled");
    };
    of_those_known(&gatepost);
    for outage in [Outage::Killed, Outage::Frozen] {
        outage.begin(server);
        gatepost.stop();
        gatepost.run();
        of_those_known(&gatepost);
        gatepost.answers("prim1", FAR, SILENT);
        gatepost.answers("alice", "list-open@example.org", SILENT);
        assert!(gatepost.metric("directory_stale_age_seconds") > 0.0);
        outage.end(server);
        gatepost.becomes("prim1", FAR, "550 5.7.1 prim1 has no relay right");
        of_those_known(&gatepost);
        // Known by now, and still to be unknown to the next one.
        gatepost.stop();
        std::fs::remove_file(gatepost.folder.path.join("directory.snapshot")).expect("it left one");
        gatepost.run();
        of_those_known(&gatepost);
    }
}

#[test]
fn started_during_an_outage_it_defers_everybody_and_then_knows_them() {
    let mut openldap = OpenLdap::start(&Settings::default());
    openldap.server.stop(Signal::TERM);
    let gatepost = Gatepost::start(&Source::of_openldap(&openldap, Groups::Plain), "");
    for login in ["alice", "carol", "nobody"] {
        gatepost.answers(login, FAR, SILENT);
    }
    openldap.server.run();
    gatepost.becomes("alice", FAR, "DUNNO");
    gatepost.answers("carol", FAR, DENIED);
    gatepost.answers("nobody", FAR, "550 5.7.1 nobody is not known");
}

#[test]
fn connections_that_the_server_closes_for_being_idle_cost_no_question() {
    let openldap = OpenLdap::start(&Settings { idle_timeout_s: 1, ..Settings::default() });
    // Fresh for so long that nothing is asked in between.
    let gatepost = Gatepost::start(&Source::of_openldap(&openldap, Groups::Plain), "");
    let closed = || openldap.server.written().matches("closed (idletimeout)").count();
    for (login, recipient) in [("alice", FAR), ("bob", "alice@example.org"), ("hmueller", FAR)] {
        gatepost.answers(login, recipient, "DUNNO");
        let before = closed();
        until("the server closes a connection", || (closed() > before).then_some(()));
    }
    gatepost.answers("carol", FAR, DENIED);
    for result in ["stale", "error", "timeout"] {
        assert_eq!(gatepost.lookups(result), 0.0, "{result}");
    }
}
