//! An object of the directory: its DN, and its attributes as bytes.

/// Given only to whoever asks for them by name or by `+` (RFC 3673).
const OPERATIONAL: [&str; 6] = [
    "tokenGroups",
    "msDS-User-Account-Control-Computed",
    "entryUUID",
    "createTimestamp",
    "modifyTimestamp",
    "pwdAccountLockedTime",
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub dn: String,
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    pub fn new(dn: &str) -> Self {
        Self { dn: dn.into(), attributes: Vec::new() }
    }

    /// These values and no others; none: the attribute is gone.
    pub fn set<V: Into<Vec<u8>>>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        let values: Vec<Vec<u8>> = values.into_iter().map(Into::into).collect();
        self.remove(name);
        if !values.is_empty() {
            self.attributes.push((name.into(), values));
        }
        self
    }

    /// One value more.
    pub fn add(&mut self, name: &str, value: impl Into<Vec<u8>>) -> &mut Self {
        let known = self.attributes.iter_mut().find(|(known, _)| is_named(known, name));
        match known {
            Some((_, values)) => values.push(value.into()),
            None => self.attributes.push((name.into(), vec![value.into()])),
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.attributes.retain(|(known, _)| !is_named(known, name));
        self
    }

    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self.attributes.iter().find(|(known, _)| is_named(known, name));
        found.map_or(&[], |(_, values)| values)
    }

    /// The first value, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.values(name).first()?).ok()
    }

    /// What a search gives of it. `longest`: values of an attribute that come at once.
    pub fn selected(&self, asked: &[String], types_only: bool, longest: usize) -> Self {
        let mut selected = Self::new(&self.dn);
        for (name, values) in &self.attributes {
            for (name, values) in given(name, values, asked, longest) {
                let values = if types_only { Vec::new() } else { values.to_vec() };
                selected.attributes.push((name, values));
            }
        }
        selected
    }
}

fn is_named(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

pub fn is_operational(name: &str) -> bool {
    OPERATIONAL.iter().any(|known| is_named(known, name))
}

/// Whether somebody asks for the attribute by its name.
pub fn is_asked_for(asked: &[String], name: &str) -> bool {
    asked.iter().any(|asked| is_named(option(asked).0, name))
}

/// One attribute as it goes out: not at all, whole, or in ranges (MS-ADTS 3.1.1.3.1.3.3).
fn given<'a>(
    name: &str,
    values: &'a [Vec<u8>],
    asked: &[String],
    longest: usize,
) -> Vec<(String, &'a [Vec<u8>])> {
    let mut given = Vec::new();
    for asked in asked.iter().filter(|asked| is_named(option(asked).0, name)) {
        match option(asked).1.and_then(read_range) {
            Some(range) => given.extend(ranged(name, values, range, longest)),
            None => given.extend(whole(name, values, longest)),
        }
    }
    let wildcard = if is_operational(name) { "+" } else { "*" };
    let is_by_default =
        asked.iter().any(|asked| asked == wildcard) || (asked.is_empty() && wildcard == "*");
    if given.is_empty() && is_by_default {
        given.extend(whole(name, values, longest));
    }
    given
}

fn option(asked: &str) -> (&str, Option<&str>) {
    asked.split_once(';').map_or((asked, None), |(name, option)| (name, Some(option)))
}

/// The first and the last index of `range=10-19`; no last one of `range=10-*`.
fn read_range(option: &str) -> Option<(usize, Option<usize>)> {
    let (from, to) = option.strip_prefix("range=")?.split_once('-')?;
    let to = if to == "*" { None } else { Some(to.parse().ok()?) };
    Some((from.parse().ok()?, to))
}

/// All values, or where there are too many the first of them beside the attribute without any.
fn whole<'a>(name: &str, values: &'a [Vec<u8>], longest: usize) -> Vec<(String, &'a [Vec<u8>])> {
    if values.len() <= longest {
        return vec![(name.into(), values)];
    }
    let mut given = vec![(name.into(), &values[..0])];
    given.extend(ranged(name, values, (0, None), longest));
    given
}

fn ranged<'a>(
    name: &str,
    values: &'a [Vec<u8>],
    (from, to): (usize, Option<usize>),
    longest: usize,
) -> Option<(String, &'a [Vec<u8>])> {
    let end = to.map_or(usize::MAX, |to| to.saturating_add(1));
    let end = end.min(values.len()).min(from.saturating_add(longest));
    let part = values.get(from..end).filter(|part| !part.is_empty())?;
    let last = if end == values.len() { "*".into() } else { (end - 1).to_string() };
    Some((format!("{name};range={from}-{last}"), part))
}

#[test]
fn long_attributes_come_in_ranges() {
    let mut entry = Entry::new("CN=g");
    entry.set("member", (0..7).map(|n| n.to_string())).set("cn", ["g"]);
    let given = |asked: &[&str]| {
        let asked: Vec<String> = asked.iter().map(|name| (*name).into()).collect();
        let selected = entry.selected(&asked, false, 3);
        let shown = selected.attributes.into_iter().map(|(name, values)| {
            let values: Vec<String> =
                values.iter().map(|value| String::from_utf8_lossy(value).into()).collect();
            format!("{name}={}", values.join(","))
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(given(&[]), ["member=", "member;range=0-2=0,1,2", "cn=g"]);
    assert_eq!(given(&["MEMBER"]), ["member=", "member;range=0-2=0,1,2"]);
    assert_eq!(given(&["member;range=3-*"]), ["member;range=3-5=3,4,5"]);
    assert_eq!(given(&["member;range=6-*"]), ["member;range=6-*=6"]);
    assert_eq!(given(&["member;range=1-1"]), ["member;range=1-1=1"]);
    assert_eq!(given(&["member;range=7-*"]), [""; 0]);
    assert_eq!(given(&["1.1"]), [""; 0]);
}

#[test]
fn operational_attributes_come_only_when_asked_for() {
    let mut entry = Entry::new("CN=a");
    entry.set("tokenGroups", ["x"]).set("cn", ["a"]);
    let names = |asked: &[&str]| {
        let asked: Vec<String> = asked.iter().map(|name| (*name).into()).collect();
        let selected = entry.selected(&asked, false, 3);
        selected.attributes.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["cn"]);
    assert_eq!(names(&["*"]), ["cn"]);
    assert_eq!(names(&["*", "+"]), ["tokenGroups", "cn"]);
    assert_eq!(names(&["tokengroups"]), ["tokenGroups"]);
}
