//! What a directory by LDAP calls things: `schema`, the filters, and `[directory.ldap.attributes]`.

use crate::directory::ldap::schema::{Kind, Schema};
use crate::directory::ldap::{is_attribute, is_filter};
use crate::settings::{Reader, Table};

pub(super) fn read_schema(reader: &mut Reader, table: &mut Table<'_, '_>) -> Schema {
    let kinds = Kind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = table.required_choice(reader, "schema", &kinds);
    let mut schema = Schema::of(kind.unwrap_or(Kind::Custom));
    for (key, of) in [
        ("user-filter", &mut schema.user_filter),
        ("group-filter", &mut schema.group_filter),
        ("recipient-filter", &mut schema.recipient_filter),
    ] {
        *of = table.parsed(reader, key, of, filter);
    }
    for (key, of) in [("login-forms", &mut schema.login_forms), ("names", &mut schema.names)] {
        *of = table.all_parsed(reader, key, of, attribute);
    }
    if table.is_empty_array("login-forms") {
        let what = "empty: no login would find its account";
        reader.fault(table.place("login-forms"), &table.key("login-forms"), what);
    }
    read_attributes(reader, table, &mut schema);
    schema
}

fn read_attributes(reader: &mut Reader, table: &mut Table<'_, '_>, schema: &mut Schema) {
    let mut table = table.table(reader, "attributes");
    for (key, of) in [
        ("id", &mut schema.id),
        ("member-of", &mut schema.member_of),
        ("authenticated-only", &mut schema.authenticated_only),
        ("accept-from", &mut schema.accept_from),
        ("accept-from-groups", &mut schema.accept_from_groups),
        ("reject-from", &mut schema.reject_from),
        ("reject-from-groups", &mut schema.reject_from_groups),
    ] {
        *of = table.parsed(reader, key, of, |text| match text {
            "" => Ok(String::new()),
            _ => attribute(text).map_err(|what| format!("{what}; \"\": none")),
        });
    }
    for (key, of) in [
        ("addresses", &mut schema.addresses),
        ("group-names", &mut schema.group_names),
        ("members", &mut schema.members),
        ("member-logins", &mut schema.member_logins),
        ("disabled", &mut schema.disabled),
        ("expires", &mut schema.expires),
        ("locked", &mut schema.locked),
        ("password-set", &mut schema.password_set),
        ("other-address", &mut schema.other_address),
    ] {
        *of = table.all_parsed(reader, key, of, attribute);
    }
    let has_members = !schema.members.is_empty() || !schema.member_logins.is_empty();
    if !has_members && schema.member_of.is_empty() {
        let what = "none of members, member-logins and member-of is set: no group has a member";
        reader.warn(table.at(), table.path(), what);
    }
    table.finish(reader);
}

fn filter(text: &str) -> Result<String, String> {
    match is_filter(text) {
        true => Ok(text.into()),
        false => {
            Err("expected a filter in parentheses (RFC 4515), such as \"(objectClass=person)\""
                .into())
        }
    }
}

fn attribute(text: &str) -> Result<String, String> {
    match is_attribute(text) {
        true => Ok(text.into()),
        false => Err("expected the name of an attribute such as \"mail\", or its OID".into()),
    }
}
