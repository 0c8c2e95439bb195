//! Files that a start does not take: it says which and why, exits 3, and leaves them as they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::client::Policy;
use crate::compare;
use crate::site::{Site, kill, stop};

/// What a daemon says that does not start for its store.
fn named(site: &Site, why: &str) -> String {
    format!("not started: cannot open the store {}: {why}", site.store().display())
}

/// A site with alice, who sent a message, and a thief who is suspended.
fn used() -> Site {
    let site = Site::new();
    let daemon = site.start();
    let mut policy = Policy::connect(&site);
    for (login, recipients) in [("alice", 1), ("thief", 300), ("thief", 300)] {
        let instance = format!("{login}{recipients}{}", fastrand::u64(..));
        policy.ask(&instance, login, recipients).expect("answered");
    }
    assert!(stop(daemon).0.success());
    site
}

#[test]
fn one_that_another_daemon_has() {
    let site = Site::new();
    let daemon = site.start();
    let told = site.refusal();
    assert!(told.contains(&named(&site, "another process has it open")), "{told}");
    kill(daemon);
}

#[tokio::test]
async fn one_that_was_cut() {
    let site = used();
    let whole = fs::read(site.store()).expect("read");
    for bytes in [0, 1, 4_096, whole.len() / 2, whole.len() - 1] {
        fs::write(site.store(), &whole[..bytes]).expect("cut");
        let told = site.refusal();
        assert!(told.contains(&named(&site, "it is damaged or no store: ")), "{bytes}: {told}");
        assert!(told.contains("put a backup in its place, or take it away"), "{bytes}: {told}");
        assert_eq!(fs::read(site.store()).expect("there"), &whole[..bytes], "as it was");
    }
    fs::write(site.store(), whole).expect("put back");
    stop(site.start());
    assert!(compare::record(&site.open(), "thief").await.suspension.is_some());
}

/// Bytes turned over: it does not start; or it does, and what it tells is what was written.
#[test]
fn one_that_was_flipped() {
    let site = used();
    let whole = fs::read(site.store()).expect("read");
    let mut random = fastrand::Rng::with_seed(3);
    let written: Vec<usize> = (0..whole.len()).filter(|place| whole[*place] != 0).collect();
    let header = &written[..written.partition_point(|place| *place < 320)];
    let (mut refused, mut served) = (0, 0);
    for round in 0..24 {
        let mut bytes = whole.clone();
        // Every other one in the header.
        let among = if round % 2 == 0 { &written[..] } else { header };
        let place = among[random.usize(..among.len())];
        bytes[place] ^= 1 << random.u32(..8);
        fs::write(site.store(), bytes).expect("written");
        let mut daemon = site.begin();
        daemon.wait_until("starts or says why not", || {
            let told = fs::read_to_string(site.path("log")).expect("a log");
            told.contains("ready") || told.contains("not started: ")
        });
        let told = daemon.written();
        assert!(!told.contains("a new store is begun"), "{told}");
        if told.contains("not started: ") {
            refused += 1;
            continue;
        }
        served += 1;
        let answer = Policy::connect(&site).ask(&format!("again{round}"), "thief", 1);
        let answer = answer.expect("answered");
        // Else the record of the thief is damaged, which is told, and on-failure lets its mail pass.
        let is_told = || daemon.written().contains("store is damaged");
        assert!(answer.contains("suspended") || is_told(), "{place}: {answer}");
        kill(daemon);
    }
    assert!(refused > 0 && served > 0, "{refused} refused, {served} served");
}

#[tokio::test]
async fn one_of_a_newer_gatepost() {
    let site = used();
    set_schema(&site, 4);
    let told = site.refusal();
    let why = "a newer gatepost wrote it (schema 4, this one knows 3)";
    assert!(told.contains(&named(&site, why)), "{told}");
    set_schema(&site, 3);
    assert!(compare::record(&site.open(), "thief").await.suspension.is_some(), "as it was");
}

fn set_schema(site: &Site, schema: u64) {
    let database = redb::Database::open(site.store()).expect("opened");
    let write = database.begin_write().expect("begun");
    let about = redb::TableDefinition::<&str, u64>::new("about");
    write.open_table(about).expect("there").insert("schema", schema).expect("written");
    write.commit().expect("written");
}

#[test]
fn one_of_another_hash_key() {
    let site = used();
    fs::write(site.path("hash.key"), format!("{:032x}\n", 7)).expect("written");
    let told = site.refusal();
    assert!(told.contains(&named(&site, "its records were made under the hash key ")), "{told}");
}

/// As a disk leaves it that was full at the first start of another program.
#[test]
fn half_a_hash_key() {
    let site = used();
    fs::write(site.path("hash.key"), "").expect("written");
    let told = site.refusal();
    let why =
        format!("the hash key {}: expected 32 hexadecimal digits", site.path("hash.key").display());
    assert!(told.contains(&why), "{told}");
}

#[test]
fn a_folder_that_may_not_be_written() {
    let site = Site::new();
    fs::write(site.path("hash.key"), format!("{:032x}\n", 7)).expect("written");
    fs::set_permissions(site.path("hash.key"), fs::Permissions::from_mode(0o644)).expect("set");
    fs::set_permissions(site.path("store"), fs::Permissions::from_mode(0o555)).expect("set");
    let mut command = site.command();
    if rustix::process::geteuid().is_root() {
        // Whom the permissions of a folder stop.
        command.uid(65534);
    }
    let told = site.refusal_of(&mut command);
    assert!(told.contains(&named(&site, "Permission denied")), "{told}");
}

#[test]
fn a_disk_that_may_not_be_written() {
    let site = Site::on_tmpfs("pass-rights-only", "size=4m,ro");
    let told = site.refusal();
    assert!(told.contains(&named(&site, "Read-only file system")), "{told}");
    site.remount("remount,rw");
    stop(site.start());
    site.remount("remount,ro");
    let told = site.refusal();
    assert!(told.contains(&named(&site, "Read-only file system")), "{told}");
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    let site = Site::on_tmpfs("pass-rights-only", "size=8k");
    let told = site.refusal();
    assert!(told.contains(&named(&site, "No space left on device")), "{told}");
    assert!(!site.store().exists(), "nothing is left half made");
    site.remount("remount,size=8m");
    stop(site.start());
}
