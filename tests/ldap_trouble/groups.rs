//! Memberships: what a server does not tell is unknown, and never No.

use std::time::Duration;

use gatepost::directory::ldap::schema::Kind;
use gatepost::directory::meter::LookupResult::{Cached, Error, Fresh, Stale};
use gatepost::directory::{Directory, Verdict};
use gatepost::rights::{Lookup, Membership};

use crate::ldap_server::people::{BASE, people, sid_bytes};
use crate::ldap_server::{Deviation, InChain, Server, When};
use crate::site::{FRESH, Site, until};

/// A read of an account's tokenGroups.
fn tokens() -> When {
    When::search().asking("tokenGroups")
}

fn in_chain() -> When {
    When::search().filter("1.2.840.113556.1.4.1941")
}

#[tokio::test]
async fn without_token_groups_the_rule_in_chain_confirms_what_memberof_shows() {
    let server = Server::start(people());
    server.behaviour(|behaviour| behaviour.token_groups = false);
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
    // Once for a group it is in, to see whether the server has the rule; once for those it is not in.
    assert_eq!(server.count(&in_chain()), 2);
    assert_eq!(site.memberships("bob").await, "nyn");
    assert_eq!(site.memberships("carol").await, "nyy");
}

#[tokio::test]
async fn without_token_groups_and_any_group_to_try_the_rule_on_nothing_is_denied() {
    let server = Server::start(people());
    server.behaviour(|behaviour| behaviour.token_groups = false);
    server.directory(|directory| directory.person("dan").dn.clone());
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("dan").await, "???");
    assert_eq!(server.count(&in_chain()), 0);
}

#[tokio::test]
async fn without_token_groups_a_server_that_does_not_have_the_rule_leaves_absence_unknown() {
    for in_chain in [InChain::Refused, InChain::FindsNothing] {
        let server = Server::start(people());
        server.behaviour(|behaviour| {
            behaviour.token_groups = false;
            behaviour.in_chain = in_chain;
        });
        let site = Site::new(&[&server]);
        assert_eq!(site.memberships("alice").await, "y??", "{in_chain:?}");
        assert_eq!(site.memberships("bob").await, "?y?", "{in_chain:?}");
        assert_eq!(site.results(), [Fresh, Fresh]);
    }
}

#[tokio::test]
async fn without_token_groups_a_fault_of_the_second_question_in_chain_leaves_absence_unknown() {
    for code in [3, 4, 11, 12, 50, 53] {
        let server = Server::start(people());
        server.behaviour(|behaviour| behaviour.token_groups = false);
        server.on(in_chain().nth(2), Deviation::result(code, ""));
        let site = Site::new(&[&server]);
        assert_eq!(site.memberships("alice").await, "y??", "{code}");
    }
}

#[tokio::test]
async fn without_token_groups_a_group_that_in_chain_alone_sees_is_not_denied() {
    let server = Server::start(people());
    server.behaviour(|behaviour| behaviour.token_groups = false);
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
    // A way to the group that came after the groups were read.
    server.directory(|directory| {
        let helpdesk = directory.dn("Helpdesk");
        directory.change("No-Mail").add("member", helpdesk);
    });
    assert_eq!(site.memberships("bob").await, "?y?");
}

#[tokio::test]
async fn the_primary_group_counts_without_token_groups_as_well() {
    for token_groups in [true, false] {
        let server = Server::start(people());
        server.behaviour(|behaviour| behaviour.token_groups = token_groups);
        let mut site = Site::new(&[&server]);
        site.rename_groups(&["Domain Users", "Mail-Relay"]);
        assert_eq!(site.memberships("alice").await, "yy", "{token_groups}");
    }
}

#[tokio::test]
async fn token_groups_with_junk_in_it_are_no_answer() {
    let good = sid_bytes("S-1-5-21-3623811015-3361044348-30300820-513").expect("a SID");
    let cut = good[..good.len() - 1].to_vec();
    for junk in [b"junk".to_vec(), Vec::new(), vec![0; 28], cut, vec![0xff; 100_000]] {
        let server = Server::start(people());
        server.on(tokens(), Deviation::with("tokenGroups", vec![good.clone(), junk.clone()]));
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{} bytes", junk.len());
        assert_eq!(site.results(), [Error]);
        server.behave();
        assert_eq!(site.memberships("alice").await, "ynn");
    }
}

#[tokio::test]
async fn token_groups_beyond_what_comes_at_once_are_read_to_their_end() {
    let server = Server::start(people());
    server.behaviour(|behaviour| {
        behaviour.token_groups = false;
        behaviour.max_val_range = 1;
    });
    server.directory(|directory| {
        let sids = ["Domain Users", "Mail-Relay", "No-Mail"]
            .map(|group| directory.change(group).values("objectSid")[0].clone());
        directory.change("alice").set("tokenGroups", sids);
    });
    let site = Site::new(&[&server]);
    // Nothing but the last of tokenGroups tells of No-Mail.
    assert_eq!(site.memberships("alice").await, "yny");
}

#[tokio::test]
async fn an_account_that_goes_away_between_two_reads_is_no_answer() {
    for gone in [Deviation::result(32, ""), Deviation::nothing()] {
        let server = Server::start(people());
        server.on(tokens(), gone);
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    }
}

/// alice in this many groups beside Mail-Relay, which comes last.
fn with_many_groups(many: usize) -> Server {
    let mut directory = people();
    directory.remove("Mail-Relay");
    for n in 0..many {
        directory.group(&format!("Crowd-{n}"), &["alice"]);
    }
    directory.group("Mail-Relay", &["alice"]);
    Server::start(directory)
}

#[tokio::test]
async fn memberof_beyond_1500_and_beyond_3000_is_read_to_its_end() {
    for many in [1499, 1500, 3000] {
        let server = with_many_groups(many);
        server.behaviour(|behaviour| {
            behaviour.token_groups = false;
            behaviour.in_chain = InChain::Refused;
        });
        let site = Site::new(&[&server]);
        site.comes("alice", "y??").await;
        let rest = server.count(&When::search().base("CN=alice").asking("memberOf"));
        assert!(rest >= many / 1500, "{many}");
    }
}

#[tokio::test]
async fn a_ranged_memberof_that_ends_short_is_no_answer() {
    let rest = || When::search().base("CN=alice").asking("memberOf");
    let again = |name: &str, values: Vec<Vec<u8>>| {
        let name = name.to_owned();
        Deviation::edit(move |answer| {
            for entry in &mut answer.entries {
                entry.attributes = vec![(name.clone(), values.clone())];
            }
        })
    };
    let group = format!("CN=Crowd-0,OU=Groups,{BASE}").into_bytes();
    for short in [
        // Without any, and with none of that name.
        Deviation::nothing(),
        Deviation::edit(|answer| answer.entries.iter_mut().for_each(|e| e.attributes.clear())),
        again("memberOf;range=15-29", vec![]),
        // From another place than was asked for.
        again("memberOf;range=0-14", vec![group.clone(); 15]),
        again("memberOf;range=16-*", vec![group.clone()]),
        again("memberOf;range=junk", vec![group.clone()]),
        again("memberOf;range=15-99999999999999999999", vec![group.clone()]),
        Deviation::result(4, ""),
        Deviation::result(32, ""),
    ] {
        let server = with_many_groups(30);
        server.behaviour(|behaviour| behaviour.max_val_range = 15);
        // The first three look whether memberOf tells of Mail-Relay, where alice is a member.
        server.on(rest().nth(4), short);
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        assert_eq!(site.results(), [Error]);
        assert_eq!(site.memberships("alice").await, "ynn");
    }
}

#[tokio::test]
async fn a_memberof_that_is_no_dn_is_no_answer() {
    for junk in [&b"junk"[..], b"\xff\xfe\x00", b"CN=x,,", &[b'A'; 10_000]] {
        let server = Server::start(people());
        server.behaviour(|behaviour| behaviour.member_of = false);
        server.change("alice", |alice| alice.set("memberOf", [junk]));
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{junk:x?}");
    }
}

/// OpenLDAP without memberOf: groups are searched for their members.
fn by_members(server: &Server) -> Site {
    Site::with(&[server], |plan| plan.settings.schema.member_of = String::new())
}

#[tokio::test]
async fn member_beyond_1500_and_beyond_3000_is_read_to_its_end() {
    for many in [1499, 1500, 3000] {
        let mut directory = people();
        directory.group("Inner", &["alice"]);
        let mut members: Vec<String> = (0..many).map(|n| format!("CN=x{n},{BASE}")).collect();
        members.push(directory.dn("Inner"));
        directory.change("Mail-Relay").set("member", members);
        let server = Server::start(directory);
        server.behaviour(|behaviour| behaviour.token_groups = false);
        let mut site = by_members(&server);
        site.rename_groups(&["Mail-Relay"]);
        // alice is in the last of the members.
        site.comes("alice", "y").await;
        let rest = server.count(&When::search().base("CN=Mail-Relay").asking("member"));
        assert!(rest > many / 1500, "{many}");
    }
}

#[tokio::test]
async fn a_ranged_member_that_ends_short_leaves_the_group_unknown() {
    let mut directory = people();
    directory.group("Inner", &["alice"]);
    let mut members: Vec<String> = (0..2000).map(|n| format!("CN=x{n},{BASE}")).collect();
    members.push(directory.dn("Inner"));
    directory.change("Mail-Relay").set("member", members);
    let server = Server::start(directory);
    server.on(When::search().base("CN=Mail-Relay").asking("member").nth(2), Deviation::nothing());
    let site = by_members(&server);
    assert_eq!(site.memberships("alice").await, "?nn");
}

#[tokio::test]
async fn a_group_that_never_was_has_no_members() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.rename_groups(&["Mail-Relay", "No-Such-Group", "CN=neither,DC=example,DC=org"]);
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn groups_that_cannot_be_read_at_all_leave_who_is_in_them_unknown() {
    let server = Server::start(people());
    let group = When::search().filter("objectCategory=group");
    for code in [4, 12, 50, 53] {
        server.behave();
        server.on(group.clone(), Deviation::result(code, ""));
        let mut site = Site::new(&[&server]);
        site.tend();
        assert_eq!(site.memberships("alice").await, "???", "{code}");
        assert_eq!(site.results(), [Fresh], "{code}");
        server.behave();
        site.pass(Duration::from_secs(30));
        site.comes("alice", "ynn").await;
    }
}

#[tokio::test]
async fn one_name_that_the_server_cannot_look_for_leaves_the_others_known() {
    // rc 10 and rc 34, as scripted servers give them of their own accord.
    for (name, code) in [("CN=Relay,DC=other,DC=org", 10), ("CN=Odd,DC=example,DC=org", 34)] {
        let server = Server::start(people());
        if code == 34 {
            server.on(When::search().base("CN=Odd"), Deviation::result(34, "bad name"));
        }
        let mut site = Site::new(&[&server]);
        site.rename_groups(&["Mail-Relay", name, "No-Mail"]);
        // At a cold start, and kept from then on.
        assert_eq!(site.memberships("alice").await, "y?n", "{name}");
        assert_eq!(site.memberships("alice").await, "y?n", "{name}");
        assert_eq!(site.results(), [Fresh, Cached], "{name}");
        let told = site.settled(site.directory.examine(&site.groups)).await;
        let of = |name: &str| {
            let name = format!("group {name:?}");
            told.iter().find(|told| told.name == name).unwrap_or_else(|| panic!("{told:?}"))
        };
        assert_eq!(of(name).verdict, Verdict::Fault, "{name}");
        assert!(of(name).what.contains(&format!("result {code} ")), "{:?}", of(name));
        assert_eq!(of("No-Mail").verdict, Verdict::Good, "{name}");
        // And after a reload.
        site.rename_groups(&[name, "Mail-Submit"]);
        assert_eq!(site.memberships("bob").await, "?y", "{name}");
        assert_eq!(site.memberships("bob").await, "?y", "{name}");
        assert_eq!(site.results(), [Fresh, Cached], "{name}");
    }
}

#[tokio::test]
async fn a_group_whose_id_cannot_be_read_is_unknown_and_stays_what_it_was() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    let named = When::search().filter("(sAMAccountName=no-mail)");
    assert_eq!(site.memberships("carol").await, "nyy");
    server.on(named.clone(), Deviation::without("objectGUID"));
    server.forget();
    site.pass(FRESH / 2);
    server.reaches(&named, 1).await;
    site.pass(FRESH / 2 + Duration::from_millis(1));
    site.comes("carol", "nyy").await;
    site.comes("alice", "yn?").await;
    // Of a group that nobody had seen before.
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("carol").await, "ny?");
    assert_eq!(site.memberships("alice").await, "yn?");
}

#[tokio::test]
async fn without_memberof_a_list_of_all_groups_that_cannot_be_read_leaves_trees_unknown() {
    let server = Server::start(people());
    server.on(When::search().paged().nth(1), Deviation::result(4, ""));
    let site = by_members(&server);
    assert_eq!(site.memberships("alice").await, "y??");
}

#[tokio::test]
async fn a_group_that_cannot_be_read_to_its_end_again_stays_as_it_is_known() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.memberships("carol").await, "nyy");
    let within = When::search().paged().filter("No-Mail");
    for code in [3, 4, 11, 53] {
        server.behave();
        server.on(within.clone(), Deviation::partial(0, code));
        server.forget();
        site.pass(FRESH / 2);
        server.reaches(&within, 1).await;
        site.pass(FRESH);
        site.comes("carol", "nyy").await;
    }
}

#[tokio::test]
async fn a_group_that_cannot_be_read_again_says_no_of_nobody_once_it_is_old() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.memberships("alice").await, "ynn");
    let within = When::search().paged().filter("No-Mail");
    server.on(within.clone(), Deviation::partial(0, 4));
    site.pass(FRESH / 2);
    server.reaches(&within, 1).await;
    site.pass(FRESH / 2 + Duration::from_millis(1));
    site.comes("alice", "yn?").await;
    site.comes("carol", "nyy").await;
    // Of a group beyond its freshness.
    assert_eq!(site.holder("alice").await.age_ms, 300_001);
    server.behave();
    site.pass(Duration::from_secs(30));
    site.comes("alice", "ynn").await;
    assert_eq!(site.holder("alice").await.age_ms, 0);
}

#[tokio::test]
async fn an_account_judged_by_groups_that_cannot_be_read_again_has_their_age() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
    let groups = When::search().filter("objectCategory=group");
    server.on(groups.clone(), Deviation::result(51, ""));
    server.forget();
    site.pass_fresh();
    let fresh = u64::try_from(FRESH.as_millis()).expect("it fits");
    assert_eq!(site.memberships("alice").await, "y??");
    let tried = server.count(&groups);
    assert!(tried > 0);
    for login in ["alice", "carol"] {
        let holder = site.holder(login).await;
        assert_eq!(holder.age_ms, fresh + 1000, "{login}");
    }
    assert_eq!(site.memberships("carol").await, "?yy");
    // The second did not try what had just failed.
    assert_eq!(server.count(&groups), tried);
    server.behave();
    site.tend();
    site.comes("alice", "ynn").await;
    assert_eq!(site.holder("alice").await.age_ms, 0);
}

#[tokio::test]
async fn a_group_that_could_not_be_read_to_its_end_is_read_again_soon() {
    let server = Server::start(people());
    let within = When::search().paged().filter("No-Mail");
    server.on(within.clone(), Deviation::partial(0, 4));
    let mut site = Site::new(&[&server]);
    site.tend();
    server.reaches(&within, 1).await;
    assert_eq!(site.memberships("carol").await, "ny?");
    server.behave();
    site.pass(Duration::from_secs(30));
    until("read", async || (site.memberships("carol").await == "nyy").then_some(())).await;
}

#[tokio::test]
async fn a_group_that_vanishes_is_unknown_and_counts_again_when_it_is_back() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.memberships("carol").await, "nyy");
    let gone = server.directory(|directory| {
        let gone = directory.change("No-Mail").clone();
        directory.remove("No-Mail");
        gone
    });
    site.pass_fresh();
    until("unknown", async || (site.memberships("carol").await == "ny?").then_some(())).await;
    assert_eq!(site.memberships("alice").await, "yn?");
    server.directory(|directory| directory.insert(&gone.dn).attributes = gone.attributes.clone());
    site.pass_fresh();
    until("back", async || (site.memberships("carol").await == "nyy").then_some(())).await;
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn a_renamed_group_is_found_by_its_id_and_goes_on_to_count() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.memberships("carol").await, "nyy");
    server.directory(|directory| {
        let mut group = directory.change("No-Mail").clone();
        directory.remove("No-Mail");
        group.set("sAMAccountName", ["Silenced"]).set("cn", ["Silenced"]);
        let renamed = format!("CN=Silenced,OU=Groups,{BASE}");
        directory.insert(&renamed).attributes = group.attributes;
        // A member that only the renamed group has.
        let alice = directory.dn("alice");
        directory.change("Silenced").add("member", alice);
    });
    site.pass_fresh();
    until("found", async || (site.memberships("alice").await == "yny").then_some(())).await;
    assert_eq!(site.memberships("carol").await, "nyy");
}

#[tokio::test]
async fn a_name_that_two_groups_bear_is_unknown_for_everybody() {
    let server = Server::start(people());
    server.directory(|directory| {
        directory.group("Other", &[]).set("cn", ["No-Mail"]);
    });
    let mut site = Site::new(&[&server]);
    assert_eq!(site.memberships("carol").await, "ny?");
    assert_eq!(site.memberships("alice").await, "yn?");
    site.rename_groups(&["CN=No-Mail,OU=Groups,DC=example,DC=org"]);
    assert_eq!(site.memberships("carol").await, "y");
    assert_eq!(site.memberships("alice").await, "n");
}

#[tokio::test]
async fn groups_in_a_circle_are_read_once_each() {
    let server = Server::start(people());
    server.directory(|directory| {
        let (top, bottom) = (directory.dn("Mail-Submit"), directory.dn("Helpdesk-2"));
        directory.change("Helpdesk-2").add("member", top);
        // And one in itself.
        directory.change("Helpdesk-2").add("member", bottom);
    });
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("bob").await, "nyn");
    assert_eq!(site.memberships("alice").await, "ynn");
    let bob = site.key("bob").await;
    let path = site.directory.path(&bob, "Mail-Submit");
    assert_eq!(site.settled(path).await, ["bob", "Helpdesk-2", "Helpdesk", "Mail-Submit"]);
}

/// dan is this many groups below Mail-Relay; without tokenGroups nothing else tells.
fn deep(levels: usize) -> Server {
    let mut directory = people();
    directory.person("dan");
    let mut inner = String::from("dan");
    for level in (1..=levels).rev() {
        let name = format!("Level-{level}");
        directory.group(&name, &[&inner]);
        inner = name;
    }
    let inner = directory.dn(&inner);
    directory.change("Mail-Relay").add("member", inner);
    let server = Server::start(directory);
    server.behaviour(|behaviour| behaviour.token_groups = false);
    server
}

#[tokio::test]
async fn a_hundred_levels_of_groups_are_read_and_not_one_more() {
    let server = deep(100);
    let site = Site::new(&[&server]);
    until("read", async || (site.memberships("dan").await == "ynn").then_some(())).await;
    let server = deep(101);
    let site = Site::new(&[&server]);
    until("read", async || (site.memberships("carol").await == "?yy").then_some(())).await;
    assert_eq!(site.memberships("dan").await, "?nn");
    // Who is in the group itself is in it, whatever is below.
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn groups_that_the_rules_name_anew_come_in_the_new_order() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    assert_eq!(site.memberships("carol").await, "nyy");
    site.rename_groups(&["No-Mail", "Mail-Relay"]);
    assert_eq!(site.memberships("carol").await, "yn");
    site.rename_groups(&["Left-The-House", "Mail-Submit", "No-Mail", "Mail-Relay"]);
    assert_eq!(site.memberships("carol").await, "yyyn");
    site.rename_groups(&[]);
    assert_eq!(site.memberships("carol").await, "");
    assert_eq!(site.results(), [Fresh; 4]);
}

#[tokio::test]
async fn groups_that_the_rules_name_anew_while_no_server_answers_are_unknown_and_never_misplaced() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.memberships("carol").await, "nyy");
    server.kill();
    site.rename_groups(&["Helpdesk", "No-Mail", "Left-The-House", "Mail-Relay"]);
    assert_eq!(site.memberships("carol").await, "?y?n");
    assert_eq!(site.results(), [Fresh, Stale]);
    server.open();
    // The server is asked again a while later, and the groups another.
    until("read", async || {
        site.pass(Duration::from_secs(1));
        (site.memberships("carol").await == "nyyn").then_some(())
    })
    .await;
}

#[tokio::test]
async fn groups_that_the_rules_name_anew_are_read_without_a_question() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.memberships("carol").await, "nyy");
    let named = When::search().filter("(sAMAccountName=helpdesk-2)");
    site.rename_groups(&["Helpdesk-2"]);
    server.reaches(&named, 1).await;
    assert_eq!(site.memberships("bob").await, "y");
    assert_eq!(server.count(&named), 1);
}

/// 389-ds whose plug-in is off, or that does not let us read what it keeps.
fn without_member_of(server: &Server) -> Site {
    server.behaviour(|behaviour| behaviour.member_of = false);
    Site::with(&[server], |plan| plan.settings.schema.kind = Kind::Freeipa)
}

#[tokio::test]
async fn a_memberof_that_members_do_not_show_is_not_taken_for_complete() {
    let server = Server::start(people());
    let mut site = without_member_of(&server);
    site.rename_groups(&["Mail-Relay", "No-Mail", "Empty"]);
    // Nobody is in it whose memberOf could be looked at.
    server.directory(|directory| directory.group("Empty", &[]).dn.clone());
    assert_eq!(site.memberships("alice").await, "??n");
    let told = site.settled(site.directory.examine(&site.groups)).await;
    let verdict = |name: &str| {
        let told = told.iter().find(|told| told.name == format!("group {name:?}"));
        told.map(|told| (told.verdict, told.what.contains("memberOf")))
    };
    assert_eq!(verdict("Mail-Relay"), Some((Verdict::Fault, true)));
    assert_eq!(verdict("No-Mail"), Some((Verdict::Fault, true)));
    assert_eq!(verdict("Empty"), Some((Verdict::Good, false)));
}

#[tokio::test]
async fn a_group_that_is_older_than_its_overlay_is_unknown_and_others_are_not() {
    let server = Server::start(people());
    let site = without_member_of(&server);
    // Mail-Relay is older; the members of the others show them.
    let dns = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| server.directory(|directory| directory.dn(name))).collect()
    };
    for (who, groups) in [
        ("carol", dns(&["Mail-Submit", "Left-The-House"])),
        ("erin", dns(&["Mail-Submit"])),
        ("Left-The-House", dns(&["No-Mail"])),
    ] {
        server.change(who, |entry| entry.set("memberOf", groups.clone()));
    }
    assert_eq!(site.memberships("alice").await, "?nn");
    assert_eq!(site.memberships("carol").await, "?yy");
}

#[tokio::test]
async fn members_that_are_not_there_do_not_speak_against_memberof() {
    let server = Server::start(people());
    server.change("No-Mail", |group| {
        group.set("member", ["CN=placeholder,DC=example,DC=org", "CN=far,DC=other,DC=org"])
    });
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn beside_memberof_groups_that_list_logins_count() {
    let server = Server::start(people());
    server.directory(|directory| {
        directory.change("bob").set("sAMAccountName", ["bob", "robert"]);
        directory.change("No-Mail").set("memberUid", ["robert"]);
        directory.change("Mail-Relay").set("memberUid", ["carol"]);
    });
    let site = Site::with(&[&server], |plan| {
        plan.settings.schema.member_logins = vec!["memberUid".into()];
    });
    assert_eq!(site.memberships("bob").await, "nyy");
    assert_eq!(site.memberships("carol").await, "yyy");
    assert_eq!(site.memberships("alice").await, "ynn");
    let people = site.settled(site.directory.people(&site.groups)).await.expect("people");
    let bob = people.iter().find(|holder| &*holder.account.name == "bob").expect("bob");
    assert_eq!(bob.memberships.of(2), Membership::Yes);
}
