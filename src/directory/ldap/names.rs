use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::schema::Schema;
use crate::mail::{Address, Login, LoginForm};
fn val(a: &str, v: &str) -> String {
    if a == "proxyAddresses" { format!("smtp:{v}") } else { v.into() }
}
pub fn account_filter(l: &Login, s: &Schema, r: &[Box<str>], n: &[Box<str>]) -> Option<Filter> {
    let mut v: Vec<Filter> =
        s.login_forms.iter().map(|a| Filter::equal(a, val(a, l.folded()))).collect();
    match l.form() {
        LoginForm::Qualified { user, realm } if r.iter().any(|x| **x == *realm) => {
            v.extend(s.names.iter().map(|a| Filter::equal(a, user)))
        }
        LoginForm::Domain { domain, user } if n.iter().any(|x| **x == *domain) => {
            v.extend(s.names.iter().map(|a| Filter::equal(a, user)))
        }
        _ => {}
    }
    Some(Filter::And(vec![Filter::Raw(s.user_filter.clone()), Filter::Or(v)]))
}
pub fn recipient_filter(ad: &Address, s: &Schema) -> Option<Filter> {
    let t = String::from_utf8(ad.folded().to_vec()).ok()?;
    Some(Filter::And(vec![
        Filter::Raw(s.recipient_filter.clone()),
        Filter::Or(s.addresses.iter().map(|a| Filter::equal(a, val(a, &t))).collect()),
    ]))
}
pub fn any_recipient_filter(s: &Schema) -> Filter {
    Filter::Or(s.addresses.iter().map(|a| Filter::Present(a.clone())).collect())
}
pub fn logins(e: &Entry, s: &Schema, _: &[Box<str>], _: &[Box<str>]) -> Vec<Box<str>> {
    s.login_forms.iter().flat_map(|a| e.texts(a)).map(|t| t.to_lowercase().into()).collect()
}
pub fn addresses(e: &Entry, s: &Schema) -> Vec<Box<[u8]>> {
    s.addresses
        .iter()
        .flat_map(|a| e.texts(a))
        .map(|t| {
            let t = t.to_lowercase();
            t.strip_prefix("smtp:").unwrap_or(&t).as_bytes().into()
        })
        .collect()
}
