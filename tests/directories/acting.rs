//! The group of those who are suspended: into it and out of it, by an identity that may do that alone, and as often as it
//! is said.

use crate::client::{Bind, Client};
use crate::ds389::Ds389;
use crate::folder::Folder;
use crate::ldif::{add_values, delete_values, values};
use crate::openldap::{Groups, OpenLdap, Settings, limited};
use crate::process::until;
use crate::samba::SambaAd;
use crate::source::Source;
use crate::{inet, samba};
use gatepost::action::{Limits, Told, lanes};
use gatepost::config::parse;
use gatepost::daemon::clock;
use gatepost::daemon::outbox::Outbox;
use gatepost::mail::{AccountKey, Mode, Timestamp};
use gatepost::observe::Metrics;
use gatepost::record::{Change, Notice, NoticeKind, Table};
use gatepost::store::{Memory, Store};
use rustix::process::Signal;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Nobody is in it.
const GROUP: &str = "Empty";

/// One action before one directory.
struct Site {
    actions: Vec<gatepost::action::Settings>,
    group: String,
    administrator: Client,
    runtime: Runtime,
    _folder: Folder,
}

impl Site {
    fn new(source: &Source, group: String, writer: &Client, administrator: Client) -> Site {
        let Bind::Simple { dn, password } = &writer.bind else { panic!("by a password") };
        let folder = Folder::make();
        for (name, password) in [("bind.pw", &source.password), ("writer.pw", password)] {
            fs::write(folder.path.join(name), password).expect("a file can be written");
        }
        let text = format!(
            "[directory]\ntype = \"ldap\"\n{}[[action]]\nname = \"group\"\ntype = \"directory\"\n\
             group = \"{group}\"\nbind-dn = \"{dn}\"\npassword-file = \"writer.pw\"\n",
            source.ldap()
        );
        let config = parse("gatepost.toml", &text, &folder.path, "mx1.example.org");
        let config = config.unwrap_or_else(|faults| panic!("{faults:?}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        Site {
            actions: config.startup.actions,
            group,
            administrator,
            runtime: runtime.expect("a runtime"),
            _folder: folder,
        }
    }

    fn act(&self, account: &str, kind: NoticeKind) -> Result<(), String> {
        let lane = lanes(&self.actions[0], clock::now).remove(0);
        let told = Told::of(notice(account, kind));
        self.runtime.block_on(lane.action.act(&[told], clock::now()))
    }

    fn has(&self, dn: &str) -> bool {
        let filter = format!("(member={dn})");
        let found = self.administrator.search(&self.group, "base", &filter, &["1.1"]);
        !found.expect("the group can be read").is_empty()
    }

    /// As often as one likes, and whoever was there before.
    fn suspends_and_releases(&self, account: &str, dn: &str) {
        for kind in [NoticeKind::Suspended, NoticeKind::Suspended, NoticeKind::Escalated] {
            assert_eq!(self.act(account, kind), Ok(()));
            assert!(self.has(dn));
        }
        for kind in [NoticeKind::Released, NoticeKind::Expired] {
            assert_eq!(self.act(account, kind), Ok(()));
            assert!(!self.has(dn));
        }
        self.administrator.modify(&add_values(&self.group, "member", &[dn]));
        assert_eq!(self.act(account, NoticeKind::Suspended), Ok(()));
        self.administrator.modify(&delete_values(&self.group, "member", &[dn]));
        assert_eq!(self.act(account, NoticeKind::Released), Ok(()));
        assert_eq!(self.act(account, NoticeKind::Test), Ok(()));
        assert!(!self.has(dn), "a test changes nothing");
        assert_eq!(self.act("file:alice", NoticeKind::Suspended), Ok(()), "of no directory");
        assert_eq!(
            self.act("ldap:00000000-0000-4000-8000-ffffffffffff", NoticeKind::Suspended),
            Err("the directory has no such account".into())
        );
        assert_eq!(
            self.act("ldap:00000000-0000-4000-8000-ffffffffffff", NoticeKind::Released),
            Ok(())
        );
    }
}

fn notice(account: &str, kind: NoticeKind) -> Notice {
    let mut notice = Notice::new(kind.as_str(), kind, Timestamp::from_unix_ms(1_790_000_000_000));
    notice.mode = Some(Mode::Enforce);
    notice.account = Some(account.into());
    notice
}

/// The value of an attribute of a person that names the account.
fn id(client: &Client, dn: &str, attribute: &str) -> Vec<u8> {
    values(&client.read(dn, &[attribute]), attribute).remove(0)
}

fn text(client: &Client, dn: &str, attribute: &str) -> String {
    format!("ldap:{}", String::from_utf8(id(client, dn, attribute)).expect("text"))
}

fn of_openldap(openldap: &OpenLdap) -> Site {
    let source = Source::of_openldap(openldap, Groups::Plain);
    Site::new(
        &source,
        inet::group(GROUP),
        &openldap.client(&limited(), SERVICE),
        openldap.manager(),
    )
}

const SERVICE: &str = crate::people::SERVICE_PASSWORD;

#[test]
fn openldap() {
    let openldap = OpenLdap::start(&Settings::default());
    let site = of_openldap(&openldap);
    let (alice, nina) = (inet::user("alice"), inet::user("nina"));
    let key = text(&openldap.manager(), &alice, "entryUUID");
    site.suspends_and_releases(&key, &alice);

    // One who may not.
    let source = Source::of_openldap(&openldap, Groups::Plain);
    let reader = openldap.reader();
    let site = Site::new(&source, inet::group(GROUP), &reader, openldap.manager());
    let nina = text(&openldap.manager(), &nina, "entryUUID");
    let refused = site.act(&nina, NoticeKind::Suspended).expect_err("it may not write");
    assert!(refused.contains("result 50"), "{refused}");
}

#[test]
fn samba() {
    let controller = SambaAd::start();
    let administrator = controller.administrator();
    let source = Source::of_samba(&controller);
    let site = Site::new(&source, samba::group(GROUP), &administrator, controller.administrator());
    let alice = samba::user("alice");
    let guid = id(&administrator, &alice, "objectGUID");
    // MS-DTYP 2.3.4.2: the first three numbers are little-endian.
    let printed = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let hex: String = printed.iter().map(|at: &usize| format!("{:02x}", guid[*at])).collect();
    let guid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    site.suspends_and_releases(&format!("ldap:{guid}"), &alice);
}

#[test]
fn ds389() {
    let server = Ds389::start();
    let source = Source::of_ds389(&server);
    let site = Site::new(&source, inet::group(GROUP), &server.manager(), server.manager());
    let alice = inet::user("alice");
    let key = text(&server.manager(), &alice, "nsUniqueId");
    site.suspends_and_releases(&key, &alice);
}

#[test]
fn a_directory_that_was_down_hears_of_it_when_it_is_back() {
    let mut openldap = OpenLdap::start(&Settings::default());
    let site = of_openldap(&openldap);
    let alice = inet::user("alice");
    let key = text(&openldap.manager(), &alice, "entryUUID");
    openldap.server.stop(Signal::TERM);
    let store = Arc::new(Memory::new(NonZeroUsize::MIN));
    let metrics = Metrics::new();
    let limits = Limits { longest_pause: Duration::from_secs(1), ..Limits::default() };
    let opened = Outbox::open(
        Arc::clone(&store) as Arc<dyn Store>,
        &site.actions,
        limits,
        metrics.actions.clone(),
        clock::now,
    );
    let outbox = Arc::new(site.runtime.block_on(opened).expect("opened"));
    let stop = CancellationToken::new();
    let running = site.runtime.spawn(outbox.run(stop.clone()));
    let event = notice(&key, NoticeKind::Suspended).to_event();
    let mut judge = |_: &_| Change { events: vec![event.clone()], ..Change::default() };
    let account = AccountKey::stored(&key);
    site.runtime.block_on(store.update(&account, &mut judge)).expect("committed");
    let failed = "gatepost_actions_total{kind=\"directory\",result=\"error\"} 0";
    let exposed = || String::from_utf8(metrics.expose().expect("exposed")).expect("text");
    until("it fails", || (!exposed().contains(failed)).then_some(()));
    openldap.server.run();
    until("nothing waits", || {
        let rows = site.runtime.block_on(store.rows(Table::Deliveries, "", 1)).expect("read");
        (rows.is_empty() && site.has(&alice)).then_some(())
    });
    stop.cancel();
    site.runtime.block_on(running).expect("no panic");
}

#[test]
fn what_others_did_to_the_group_is_put_right_and_whom_they_put_in_stays() {
    let openldap = OpenLdap::start(&Settings::default());
    let site = of_openldap(&openldap);
    let [alice, nina, bob] = ["alice", "nina", "bob"].map(inet::user);
    let key = |dn: &str| AccountKey::stored(&text(&openldap.manager(), dn, "entryUUID"));
    let store = Arc::new(Memory::new(NonZeroUsize::MIN));
    let opened = Outbox::open(
        Arc::clone(&store) as Arc<dyn Store>,
        &site.actions,
        Limits::default(),
        Metrics::new().actions.clone(),
        clock::now,
    );
    let outbox = site.runtime.block_on(opened).expect("opened");
    let reconcile = |suspended: &[AccountKey]| {
        site.runtime.block_on(outbox.reconcile(suspended)).expect("the store works");
    };
    site.administrator.modify(&add_values(&site.group, "member", &[&bob]));
    let suspended = [key(&alice), key(&nina), AccountKey::stored("file:carol")];
    reconcile(&suspended);
    assert!(site.has(&alice) && site.has(&nina) && site.has(&bob));
    site.administrator.modify(&delete_values(&site.group, "member", &[&alice]));
    reconcile(&suspended);
    assert!(site.has(&alice));
    reconcile(&suspended[..1]);
    assert!(site.has(&alice) && !site.has(&nina) && site.has(&bob));
    reconcile(&[]);
    assert!(!site.has(&alice) && site.has(&bob), "whom others put in stays");
}
