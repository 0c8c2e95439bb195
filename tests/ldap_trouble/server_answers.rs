//! The scripted server as it answers when nothing is scripted.

use ldap3::{LdapConnSettings, Scope};

use crate::client::{Client, Found, trusting};
use crate::ldap_server::people::{BASE, BIND_DN, BIND_PASSWORD, UTF8_GUID, people, sid_bytes};
use crate::ldap_server::{Authority, Directory, InChain, Server, When};

const SID: &str = "S-1-5-21-3623811015-3361044348-30300820";

async fn served(directory: Directory) -> (Server, Client) {
    let server = Server::start(directory);
    let client = Client::bound(&server).await;
    (server, client)
}

/// So many people beside those who are always there.
fn crowd(many: usize) -> Directory {
    let mut directory = people();
    for nth in 0..many {
        directory.person(&format!("u{nth:05}"));
    }
    directory
}

#[tokio::test]
async fn a_bind_needs_the_right_password() {
    let server = Server::start(people());
    let mut client = Client::connect(&server).await;
    let wrong = client.bind(BIND_DN, "wrong").await;
    assert_eq!(wrong.rc, 49);
    assert!(wrong.text.contains("data 52e"), "{}", wrong.text);
    assert_eq!(client.bind("CN=nobody,DC=example,DC=org", BIND_PASSWORD).await.rc, 49);
    assert_eq!(client.bind(BIND_DN, "").await.rc, 53);
    assert_eq!(client.bind("cn=GATEPOST, cn=users, dc=example, dc=org", BIND_PASSWORD).await.rc, 0);
    server.password("another");
    assert_eq!(client.bind(BIND_DN, BIND_PASSWORD).await.rc, 49);
    assert_eq!(client.bind(BIND_DN, "another").await.rc, 0);
    assert_eq!(server.count(&When::bind()), 6);
}

#[tokio::test]
async fn nothing_but_the_root_is_told_before_a_bind() {
    let server = Server::start(people());
    let mut client = Client::connect(&server).await;
    assert_eq!(client.below("(cn=alice)", &[]).await.code, 1);
    let root = client.object("", &["defaultNamingContext", "supportedControl"]).await;
    assert_eq!(root.only().texts("defaultNamingContext"), [BASE]);
    assert_eq!(root.only().texts("supportedControl"), ["1.2.840.113556.1.4.319"]);
    client.bind(BIND_DN, "wrong").await;
    assert_eq!(client.below("(cn=alice)", &[]).await.code, 1);
    server.behaviour(|behaviour| behaviour.needs_bind = false);
    assert_eq!(client.below("(cn=alice)", &[]).await.names(), ["CN=alice"]);
}

#[tokio::test]
async fn filters_find_who_matches() {
    let (server, mut client) = served(people()).await;
    server.directory(|directory| {
        directory.person("dave").set("displayName", ["Dave  (the \\ *) Miller"]);
    });
    let sid = format!("(objectSid={SID}-1105)");
    let cases: [(&str, &[&str]); 18] = [
        ("(sAMAccountName=ALICE)", &["CN=alice"]),
        ("(sAMAccountName= alice )", &["CN=alice"]),
        ("(mail=bob@example.org)", &["CN=bob"]),
        ("(|(cn=bob)(proxyAddresses=smtp:a.liddell@example.org))", &["CN=alice", "CN=bob"]),
        ("(&(sAMAccountType=805306368)(!(userAccountControl=512)))", &["CN=erin"]),
        ("(userAccountControl:1.2.840.113556.1.4.803:=2)", &["CN=erin"]),
        ("(proxyAddresses=*liddell*)", &["CN=alice"]),
        ("(&(mail=c*@example.org)(mail=*))", &["CN=carol"]),
        ("(mail=c*b)", &[]),
        (r"(displayName=dave \28the \5c \2a\29 miller)", &["CN=dave"]),
        (r"(sAMAccountName=\2a\29\28uid=\2a)", &[]),
        ("(&(objectCategory=group)(cn=Mail-*))", &["CN=Mail-Relay", "CN=Mail-Submit"]),
        (&sid, &["CN=alice"]),
        ("(member=cn=Alice, ou=people, DC=example,DC=org)", &["CN=Mail-Relay"]),
        ("(memberOf=CN=No-Mail,OU=Groups,DC=example,DC=org)", &["CN=Left-The-House"]),
        ("(&(uSNChanged>=10)(uSNChanged<=10))", &["CN=erin"]),
        ("(noSuchAttribute=x)", &[]),
        ("(&(cn=alice)(noSuchRule:1.2.3:=x))", &[]),
    ];
    for (filter, names) in cases {
        let found = client.below(filter, &["cn"]).await;
        assert_eq!((found.code, found.names()), (0, names.to_vec()), "{filter}");
    }
}

#[tokio::test]
async fn the_scope_bounds_what_is_found() {
    let (_server, mut client) = served(people()).await;
    let all = "(objectClass=*)";
    let of = async |client: &mut Client, base: &str, scope| -> Found {
        client.search(base, scope, all, &["1.1"]).await.expect("an answer")
    };
    let groups = format!("OU=Groups,{BASE}");
    assert_eq!(of(&mut client, &groups, Scope::Base).await.names(), ["OU=Groups"]);
    assert_eq!(of(&mut client, &groups, Scope::OneLevel).await.entries.len(), 6);
    assert_eq!(of(&mut client, &groups, Scope::Subtree).await.entries.len(), 7);
    let whole = of(&mut client, BASE, Scope::Subtree).await;
    assert_eq!(whole.entries.len(), 16);
    assert!(whole.entries.iter().all(|entry| entry.attributes.is_empty()));
    assert_eq!(
        whole.references,
        [
            "ldap://example.org/DC=ForestDnsZones,DC=example,DC=org",
            "ldap://example.org/DC=DomainDnsZones,DC=example,DC=org",
            "ldap://example.org/CN=Configuration,DC=example,DC=org",
        ]
    );
    let by_sid = client.object(&format!("<SID={SID}-1105>"), &["cn"]).await;
    assert_eq!(by_sid.names(), ["CN=alice"]);
    let missing = client.object(&format!("CN=nobody,{BASE}"), &[]).await;
    assert_eq!(missing.code, 32);
    let foreign = client.object("DC=other,DC=test", &[]).await;
    assert_eq!(foreign.code, 10);
    assert_eq!(foreign.referrals, ["ldap://other.test/DC=other,DC=test"]);
}

#[tokio::test]
async fn groups_are_computed_from_their_members() {
    let (server, mut client) = served(people()).await;
    let bob = format!("CN=bob,OU=People,{BASE}");
    let group = |name: &str| format!("CN={name},OU=Groups,{BASE}");
    let told = client.object(&bob, &["*"]).await;
    assert_eq!(told.only().texts("memberOf"), [group("Helpdesk-2")]);
    assert!(told.only().values("tokenGroups").is_empty());
    let told = client.object(&bob, &["tokenGroups"]).await;
    assert_eq!(told.only().attribute_names(), ["tokenGroups"]);
    let mut sids = told.only().values("tokenGroups").to_vec();
    let mut expected: Vec<Vec<u8>> = [513, 1110, 1111, 1112]
        .map(|rid| sid_bytes(&format!("{SID}-{rid}")).expect("a SID"))
        .into();
    sids.sort();
    expected.sort();
    assert_eq!(sids, expected);
    // Not by way of a distribution group, and only at the base.
    server.change("Helpdesk", |group| group.set("groupType", ["2"]));
    let told = client.object(&bob, &["tokenGroups"]).await;
    assert_eq!(told.only().values("tokenGroups").len(), 2);
    assert_eq!(client.below("(cn=bob)", &["tokenGroups"]).await.code, 1);
    server.behaviour(|behaviour| (behaviour.token_groups, behaviour.member_of) = (false, false));
    let told = client.object(&bob, &["tokenGroups", "memberOf"]).await;
    assert!(told.only().attributes.is_empty());
}

#[tokio::test]
async fn the_rule_in_chain_sees_nested_groups_and_cycles_and_not_the_primary_one() {
    let (server, mut client) = served(people()).await;
    server.directory(|directory| {
        let submit = directory.dn("Mail-Submit");
        directory.change("Helpdesk-2").add("member", submit);
    });
    let rule = |group: &str| format!("(memberOf:1.2.840.113556.1.4.1941:=CN={group},{BASE})");
    let submit = rule("Mail-Submit,OU=Groups");
    let found = client.below(&format!("(&(sAMAccountType=805306368){submit})"), &[]).await;
    assert_eq!(found.names(), ["CN=bob", "CN=carol", "CN=erin"]);
    assert_eq!(client.below(&rule("Domain Users,CN=Users"), &[]).await.names(), [""; 0]);
    let upward = "(member:1.2.840.113556.1.4.1941:=CN=carol,OU=People,DC=example,DC=org)";
    let found = client.below(&format!("(&{upward}(cn=*Mail*))"), &[]).await;
    assert_eq!(found.names(), ["CN=Mail-Submit", "CN=No-Mail"]);
    for (in_chain, code) in [(InChain::Refused, 12), (InChain::FindsNothing, 0)] {
        server.behaviour(|behaviour| behaviour.in_chain = in_chain);
        let found = client.below(&submit, &[]).await;
        assert_eq!((found.code, found.entries.len()), (code, 0));
    }
}

#[tokio::test]
async fn accents_and_width_count_unless_the_server_folds_them() {
    let (server, mut client) = served(people()).await;
    server.directory(|directory| {
        directory.person("bjorn");
    });
    let spelt = "(sAMAccountName=ＢJÖRN)";
    assert_eq!(client.below(spelt, &[]).await.names(), ["CN=bjorn"]);
    server.behaviour(|behaviour| behaviour.accents_fold = false);
    assert_eq!(client.below(spelt, &[]).await.names(), [""; 0]);
}

#[tokio::test]
async fn a_search_without_pages_ends_at_a_thousand_with_result_4() {
    let (_server, mut client) = served(crowd(1001)).await;
    let filter = "(sAMAccountName=u*)";
    let found = client.below(filter, &["cn"]).await;
    assert_eq!((found.code, found.entries.len()), (4, 1000));
    let found = client.limit(2).below(filter, &["cn"]).await;
    assert_eq!((found.code, found.entries.len()), (4, 2));
    let found = client.limit(2).below("(sAMAccountName=u0000*)", &["cn"]).await;
    assert_eq!((found.code, found.entries.len()), (4, 2));
    let found = client.limit(10).below("(sAMAccountName=u0000*)", &["cn"]).await;
    assert_eq!((found.code, found.entries.len()), (0, 10));
}

#[tokio::test]
async fn pages_give_all_and_never_more_than_a_thousand_at_once() {
    let (server, mut client) = served(crowd(2001)).await;
    let filter = "(sAMAccountName=u*)";
    let (mut cookie, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = client.page(5000, &cookie).below(filter, &["cn"]).await;
        sizes.push(page.entries.len());
        cookie = page.cookie.expect("a paged results control");
        if cookie.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [1000, 1000, 1]);
    assert_eq!(server.count(&When::search().paged().filter("=u*")), 3);
    let page = client.page(7, b"").below(filter, &["cn"]).await;
    assert_eq!(page.entries.len(), 7);
    let mut other = Client::bound(&server).await;
    let page = other.page(7, &page.cookie.expect("a cookie")).below(filter, &["cn"]).await;
    assert_eq!(page.code, 53);
}

#[tokio::test]
async fn a_group_of_thousands_gives_its_members_in_ranges() {
    let (server, mut client) = served(people()).await;
    let dn = server.directory(|directory| {
        let members = (0..3001).map(|nth| format!("CN=m{nth},OU=People,{BASE}"));
        directory.group("Everybody", &[]).set("member", members).dn.clone()
    });
    let first = client.object(&dn, &["member"]).await;
    assert_eq!(first.only().attribute_names(), ["member", "member;range=0-1499"]);
    assert_eq!(first.only().values("member;range=0-1499").len(), 1500);
    let next = client.object(&dn, &["member;range=1500-*"]).await;
    assert_eq!(next.only().attribute_names(), ["member;range=1500-2999"]);
    let last = client.object(&dn, &["member;range=3000-*"]).await;
    assert_eq!(last.only().texts("member;range=3000-*"), [format!("CN=m3000,OU=People,{BASE}")]);
    server.behaviour(|behaviour| behaviour.max_val_range = 1);
    let carol = client.object(&format!("CN=carol,OU=People,{BASE}"), &["memberOf"]).await;
    assert_eq!(carol.only().attribute_names(), ["memberOf", "memberOf;range=0-0"]);
}

#[tokio::test]
async fn a_guid_may_read_as_text() {
    let (server, mut client) = served(people()).await;
    server.change("alice", |alice| alice.set("objectGUID", [UTF8_GUID]));
    let alice = client.below(r"(objectGUID=sixteen letters!)", &["objectGUID"]).await;
    assert_eq!(alice.only().values("objectGUID"), [UTF8_GUID]);
}

#[tokio::test]
async fn a_change_is_seen_and_has_a_number() {
    let (server, mut client) = served(people()).await;
    let highest = async |client: &mut Client| -> u64 {
        let root = client.object("", &["highestCommittedUSN"]).await;
        root.only().texts("highestCommittedUSN")[0].parse().expect("a number")
    };
    let before = highest(&mut client).await;
    server.directory(|directory| {
        let alice = directory.dn("alice");
        directory.change("No-Mail").add("member", alice);
    });
    assert_eq!(highest(&mut client).await, before + 1);
    let changed = client.below(&format!("(uSNChanged>={})", before + 1), &["cn"]).await;
    assert_eq!(changed.names(), ["CN=No-Mail"]);
    let alice = client.below("(cn=alice)", &["memberOf"]).await;
    assert_eq!(alice.only().texts("memberOf").len(), 2);
    server.directory(|directory| directory.remove("alice"));
    assert_eq!(client.below("(cn=alice)", &["memberOf"]).await.entries.len(), 0);
}

#[tokio::test]
async fn what_the_server_does_not_have_is_refused() {
    let (_server, mut client) = served(people()).await;
    let found = client.control("1.2.3").below("(cn=alice)", &[]).await;
    assert_eq!((found.code, found.text.as_str()), (12, "no control 1.2.3"));
    let refused = client.ldap.delete(&format!("CN=alice,OU=People,{BASE}")).await;
    assert_eq!(refused.expect("an answer").rc, 53);
    assert_eq!(client.ldap.extended(ldap3::exop::WhoAmI).await.expect("an answer").1.rc, 2);
}

#[tokio::test]
async fn tls_is_from_the_first_byte_or_by_starttls() {
    let authority = Authority::new();
    let server = Server::start(people());
    let starttls = || trusting(&authority).set_starttls(true);
    assert!(Client::try_connect(&server, "ldap", starttls()).await.is_err());
    server.starttls(authority.server(&["127.0.0.1"]));
    let mut client = Client::try_connect(&server, "ldap", starttls()).await.expect("StartTLS");
    assert_eq!(client.bind(BIND_DN, BIND_PASSWORD).await.rc, 0);
    server.ldaps(authority.server(&["127.0.0.1"]));
    let mut client =
        Client::try_connect(&server, "ldaps", trusting(&authority)).await.expect("TLS");
    assert_eq!(client.bind(BIND_DN, BIND_PASSWORD).await.rc, 0);
    let refused = async |settings: LdapConnSettings| -> String {
        let refused = Client::try_connect(&server, "ldaps", settings).await;
        refused.err().expect("a refusal").to_string()
    };
    let unknown = refused(trusting(&Authority::new())).await;
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    server.ldaps(authority.server(&["dc1.example.org"]));
    let name = refused(trusting(&authority)).await;
    assert!(name.contains("not valid for name"), "{name}");
    server.ldaps(authority.expired_server(&["127.0.0.1"]));
    let expired = refused(trusting(&authority)).await;
    assert!(expired.contains("certificate expired"), "{expired}");
}
