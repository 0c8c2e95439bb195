//! Whether a directory would let an account log in: disabled, expired, locked, by what each family
//! of servers writes. A value that nobody can read is a fault, never "enabled".

use serde::{Deserialize, Serialize};

use crate::directory::ldap::dates::{self, LOCKED_FOR_GOOD, Unreadable};
use crate::directory::ldap::entry::{Entry, shortened};
use crate::directory::ldap::schema::Schema;
use crate::mail::Timestamp;
use crate::rights::AccountState;

/// What an account's entry says of its state, for any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub disabled: bool,
    /// Until somebody, or a time the entry does not tell, unlocks it.
    pub locked: bool,
    pub locked_until: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub password_set: Option<Timestamp>,
    /// Expired, or to be changed at the next login. Changes no state: the account itself is valid.
    pub password_must_change: bool,
}

/// Flags of Active Directory (MS-ADTS 2.2.16), and those of them that it computes when it is asked
/// (MS-ADTS 3.1.1.4.5.17).
const CONTROL: &str = "userAccountControl";
const COMPUTED_CONTROL: &str = "msDS-User-Account-Control-Computed";
const ACCOUNT_DISABLE: i64 = 0x2;
const LOCKOUT: i64 = 0x10;
const PASSWORD_EXPIRED: i64 = 0x80_0000;

/// How one value of an attribute is taken in.
type Take = fn(&mut Standing, &str, &str) -> Result<(), Unreadable>;

impl Standing {
    /// Reads the schema's attributes. `Err`: which of them has what value that nobody can read.
    ///
    /// An attribute this file knows has its own syntax; any other is told by its form, as a flag
    /// ([`dates::true_like`]) where one is expected, else as a date ([`dates::by_form`]).
    pub fn read(entry: &Entry, schema: &Schema) -> Result<Self, String> {
        let mut standing = Self::default();
        let lists: [(&[String], Take); 4] = [
            (&schema.disabled, Self::take_disabled),
            (&schema.locked, Self::take_locked),
            (&schema.expires, Self::take_expires),
            (&schema.password_set, Self::take_password_set),
        ];
        for (attributes, take) in lists {
            for attribute in attributes {
                standing.take(entry, attribute, take)?;
            }
        }
        Ok(standing)
    }

    fn take(&mut self, entry: &Entry, attribute: &str, take: Take) -> Result<(), String> {
        let values = entry.values(attribute);
        if values.is_empty() && is_one_of(attribute, &[CONTROL]) {
            // Every user of Active Directory has one, though not everybody may read it.
            return Err(format!("{attribute} is missing: may the bind account read it?"));
        }
        for value in values {
            let text = std::str::from_utf8(value).map_err(|_| Unreadable);
            let taken =
                text.and_then(|text| match is_one_of(attribute, &[CONTROL, COMPUTED_CONTROL]) {
                    true => self.take_control(text),
                    false => take(self, attribute, text),
                });
            taken.map_err(|_| format!("{attribute} has the value \"{}\"", shortened(value)))?;
        }
        Ok(())
    }

    fn take_control(&mut self, text: &str) -> Result<(), Unreadable> {
        let has = |flags, flag| flags & flag != 0;
        let flags = dates::number(text)?;
        self.disabled |= has(flags, ACCOUNT_DISABLE);
        self.locked |= has(flags, LOCKOUT);
        self.password_must_change |= has(flags, PASSWORD_EXPIRED);
        Ok(())
    }

    fn take_disabled(&mut self, _: &str, text: &str) -> Result<(), Unreadable> {
        self.disabled |= dates::true_like(text)?;
        Ok(())
    }

    fn take_locked(&mut self, attribute: &str, text: &str) -> Result<(), Unreadable> {
        if is_one_of(attribute, &["accountUnlockTime"]) {
            return self.take_unlock_time(text);
        }
        let since = match dates::true_like(text) {
            Ok(is_locked) => {
                self.locked |= is_locked;
                return Ok(());
            }
            Err(Unreadable) => date(attribute, text)?,
        };
        // How long a lock lasts is in the password policy, and the attribute outlives it; so a
        // date, however old, is a lock.
        match since {
            Some(LOCKED_FOR_GOOD) => self.disabled = true,
            since => self.locked |= since.is_some(),
        }
        Ok(())
    }

    /// 389-ds: when the lock ends; the epoch, for a lock that only an administrator ends
    /// (`passwordUnlock: off`).
    fn take_unlock_time(&mut self, text: &str) -> Result<(), Unreadable> {
        let until = match text {
            "0" => None,
            _ => Some(dates::generalized_time(text)?).filter(|until| until.unix_ms() > 0),
        };
        match until {
            Some(_) => self.locked_until = self.locked_until.max(until),
            None => self.locked = true,
        }
        Ok(())
    }

    fn take_expires(&mut self, attribute: &str, text: &str) -> Result<(), Unreadable> {
        let expires = date(attribute, text)?;
        self.expires = [self.expires, expires].into_iter().flatten().min();
        Ok(())
    }

    /// `pwdLastSet` and `shadowLastChange` have 0 for a password that is to be changed. The first
    /// attribute that has a value counts.
    fn take_password_set(&mut self, attribute: &str, text: &str) -> Result<(), Unreadable> {
        if text == "0" {
            self.password_must_change = true;
            return Ok(());
        }
        let set = date(attribute, text)?;
        self.password_set = self.password_set.or(set);
        Ok(())
    }

    /// Of several, what takes longest to mend.
    pub fn state(&self, at: Timestamp) -> AccountState {
        if self.disabled {
            AccountState::Disabled
        } else if self.expires.is_some_and(|expires| expires <= at) {
            AccountState::Expired
        } else if self.locked || self.locked_until.is_some_and(|until| at < until) {
            AccountState::Locked
        } else {
            AccountState::Enabled
        }
    }
}

fn date(attribute: &str, text: &str) -> Result<Option<Timestamp>, Unreadable> {
    if is_one_of(attribute, &["accountExpires", "pwdLastSet", "lockoutTime"]) {
        dates::filetime(text)
    } else if is_one_of(attribute, &["shadowExpire", "shadowLastChange"]) {
        dates::days(text)
    } else {
        dates::by_form(text)
    }
}

fn is_one_of(attribute: &str, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::ldap::schema::Kind;
    use proptest::prelude::*;

    /// 2025-01-01.
    const NEW_YEAR: Timestamp = Timestamp::from_unix_ms(1_735_689_600_000);
    const NEW_YEAR_FILETIME: &str = "133801632000000000";

    fn read(schema: &Schema, attributes: &[(&str, &[u8])]) -> Result<Standing, String> {
        let mut entry = Entry::new("cn=a".into());
        for (name, value) in attributes {
            entry.add(name, vec![value.to_vec()]).expect("no range");
        }
        Standing::read(&entry, schema)
    }

    fn state_of(kind: Kind, attributes: &[(&str, &str)]) -> AccountState {
        let attributes: Vec<_> =
            attributes.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        read(&Schema::of(kind), &attributes).expect("a standing").state(NEW_YEAR)
    }

    fn custom(of: impl Fn(&mut Schema)) -> Schema {
        let mut schema = Schema::of(Kind::Custom);
        (schema.expires, schema.locked, schema.password_set) = Default::default();
        of(&mut schema);
        schema
    }

    use AccountState::{Disabled, Enabled, Expired, Locked};

    #[test]
    fn active_directory_tells_its_state_in_bits_and_filetimes() {
        let computed = "msDS-User-Account-Control-Computed";
        let cases: [(&[(&str, &str)], AccountState); 11] = [
            (&[("userAccountControl", "512")], Enabled),
            (&[("useraccountcontrol", "514")], Disabled),
            (&[("userAccountControl", "66050")], Disabled),
            (&[("userAccountControl", "512"), (computed, "16")], Locked),
            (&[("userAccountControl", "512"), (computed, "8388608")], Enabled),
            (&[("userAccountControl", "512"), (computed, "8388624")], Locked),
            (&[("userAccountControl", "512"), ("accountExpires", "0")], Enabled),
            (&[("userAccountControl", "512"), ("accountExpires", "9223372036854775807")], Enabled),
            (&[("userAccountControl", "512"), ("accountExpires", NEW_YEAR_FILETIME)], Expired),
            // By itself it says nothing: it outlives the lock.
            (&[("userAccountControl", "512"), ("lockoutTime", NEW_YEAR_FILETIME)], Enabled),
            (&[("userAccountControl", "-2147483136"), ("pwdLastSet", "0")], Enabled),
        ];
        for (attributes, state) in cases {
            assert_eq!(state_of(Kind::ActiveDirectory, attributes), state, "{attributes:?}");
        }
    }

    #[test]
    fn freeipa_and_389_ds_tell_it_in_flags_and_generalized_time() {
        let cases: [(&[(&str, &str)], AccountState); 10] = [
            (&[], Enabled),
            (&[("nsAccountLock", "TRUE")], Disabled),
            (&[("nsaccountlock", "false")], Enabled),
            (&[("krbPrincipalExpiration", "20250101000000Z")], Expired),
            (&[("krbPrincipalExpiration", "20250101000001Z")], Enabled),
            (&[("accountUnlockTime", "20250101000001Z")], Locked),
            (&[("accountUnlockTime", "20250101000000Z")], Enabled),
            (&[("accountUnlockTime", "19700101000000Z")], Locked),
            (&[("accountUnlockTime", "0")], Locked),
            (&[("krbLastPwdChange", "20240101000000Z")], Enabled),
        ];
        for (attributes, state) in cases {
            assert_eq!(state_of(Kind::Freeipa, attributes), state, "{attributes:?}");
        }
    }

    #[test]
    fn openldap_tells_it_in_days_and_a_time_of_locking() {
        let cases: [(&[(&str, &str)], AccountState); 8] = [
            (&[("shadowExpire", "20089")], Expired),
            (&[("shadowExpire", "20090")], Enabled),
            (&[("shadowExpire", "-1")], Enabled),
            (&[("shadowExpire", "")], Enabled),
            (&[("shadowExpire", "0")], Expired),
            (&[("pwdAccountLockedTime", "000001010000Z")], Disabled),
            (&[("pwdAccountLockedTime", "20241231000000Z")], Locked),
            (&[("pwdAccountLockedTime", "20241231000000Z"), ("shadowExpire", "1")], Expired),
        ];
        for (attributes, state) in cases {
            assert_eq!(state_of(Kind::Rfc2307bis, attributes), state, "{attributes:?}");
        }
    }

    #[test]
    fn the_moment_of_expiry_and_of_unlocking_belong_to_what_follows() {
        let at = |ms| Timestamp::from_unix_ms(ms);
        let expires = Standing { expires: Some(at(10)), ..Standing::default() };
        assert_eq!([9, 10, 11].map(|ms| expires.state(at(ms))), [Enabled, Expired, Expired]);
        let locked = Standing { locked_until: Some(at(10)), ..Standing::default() };
        assert_eq!([9, 10, 11].map(|ms| locked.state(at(ms))), [Locked, Enabled, Enabled]);
    }

    #[test]
    fn of_several_states_the_gravest_is_told() {
        let mut standing = Standing {
            disabled: true,
            locked: true,
            expires: Some(NEW_YEAR),
            ..Standing::default()
        };
        assert_eq!(standing.state(NEW_YEAR), Disabled);
        standing.disabled = false;
        assert_eq!(standing.state(NEW_YEAR), Expired);
        standing.expires = None;
        assert_eq!(standing.state(NEW_YEAR), Locked);
    }

    #[test]
    fn the_password_is_told_and_changes_no_state() {
        let schema = Schema::of(Kind::ActiveDirectory);
        let control = ("userAccountControl", &b"512"[..]);
        let standing = |more: (&str, &[u8])| {
            let told = read(&schema, &[(control.0, control.1), more]).expect("a standing");
            (told.password_set, told.password_must_change, told.state(NEW_YEAR))
        };
        let set = ("pwdLastSet", NEW_YEAR_FILETIME.as_bytes());
        assert_eq!(standing(set), (Some(NEW_YEAR), false, Enabled));
        assert_eq!(standing(("pwdLastSet", b"0")), (None, true, Enabled));
        let expired = ("msDS-User-Account-Control-Computed", &b"8388608"[..]);
        assert_eq!(standing(expired), (None, true, Enabled));
    }

    #[test]
    fn attributes_of_other_names_are_told_by_their_form() {
        let expires = custom(|schema| schema.expires = vec!["until".into(), "also".into()]);
        for value in ["20089", NEW_YEAR_FILETIME, "20250101000000Z"] {
            let standing = read(&expires, &[("until", value.as_bytes())]).expect("a standing");
            assert_eq!(standing.expires, Some(NEW_YEAR), "{value}");
        }
        let both = [("until", &b"20090"[..]), ("also", b"20089")];
        assert_eq!(read(&expires, &both).expect("a standing").expires, Some(NEW_YEAR), "the first");
        assert_eq!(read(&expires, &[("until", b"0")]).expect("a standing").expires, None);

        let locked =
            custom(|schema| schema.locked = vec!["lockedByIntruder".into(), "since".into()]);
        let cases = [
            ("lockedByIntruder", "TRUE", true),
            ("lockedByIntruder", "FALSE", false),
            ("since", "1", true),
            ("since", "0", false),
            ("since", "20240101000000Z", true),
            ("since", NEW_YEAR_FILETIME, true),
            ("since", "-1", false),
        ];
        for (name, value, is_locked) in cases {
            let standing = read(&locked, &[(name, value.as_bytes())]).expect("a standing");
            assert_eq!((standing.locked, standing.disabled), (is_locked, false), "{name} {value}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_and_never_enabled() {
        let cases: [(Kind, &str, &[u8], &str); 9] = [
            (Kind::ActiveDirectory, "userAccountControl", b"abc", "abc"),
            (Kind::ActiveDirectory, "userAccountControl", b"", ""),
            (Kind::Freeipa, "nsAccountLock", b"perhaps", "perhaps"),
            (Kind::Freeipa, "nsAccountLock", b"\xff", "\u{fffd}"),
            (Kind::Freeipa, "accountUnlockTime", b"1735689600", "1735689600"),
            (Kind::Freeipa, "krbPrincipalExpiration", b"TRUE", "TRUE"),
            (Kind::Rfc2307bis, "shadowExpire", b"20250101000000Z", "20250101000000Z"),
            (Kind::Rfc2307bis, "pwdAccountLockedTime", b"x\n", "x\\n"),
            (Kind::Rfc2307bis, "pwdChangedTime", b"today", "today"),
        ];
        for (kind, attribute, value, shown) in cases {
            let fault = format!("{attribute} has the value \"{shown}\"");
            assert_eq!(read(&Schema::of(kind), &[(attribute, value)]), Err(fault));
        }
        let long = read(&Schema::of(Kind::Rfc2307bis), &[("shadowExpire", &[b'9'; 10_000_000])]);
        assert_eq!(long, Err(format!("shadowExpire has the value \"{}..\"", "9".repeat(64))));
    }

    #[test]
    fn an_account_control_that_may_not_be_read_is_a_fault() {
        let fault = "userAccountControl is missing: may the bind account read it?";
        assert_eq!(read(&Schema::of(Kind::ActiveDirectory), &[]), Err(fault.into()));
        assert_eq!(read(&custom(|_| {}), &[]), Ok(Standing::default()));
    }

    #[test]
    fn one_bad_value_among_several_is_a_fault() {
        let mut entry = Entry::new("cn=a".into());
        entry.add("nsAccountLock", vec![b"FALSE".into(), b"?".into()]).expect("no range");
        let fault = Err("nsAccountLock has the value \"?\"".into());
        assert_eq!(Standing::read(&entry, &Schema::of(Kind::Freeipa)), fault);
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_a_fault(
            value in prop_oneof![any::<Vec<u8>>(), "[0-9Z+.-]{0,20}".prop_map(String::into_bytes)],
        ) {
            let known = ["userAccountControl", "nsAccountLock", "accountUnlockTime", "shadowExpire"];
            let of_any = custom(|schema| {
                for list in [&mut schema.disabled, &mut schema.locked, &mut schema.expires] {
                    *list = known.iter().chain(&["other"]).map(|name| (*name).into()).collect();
                }
            });
            for name in known.into_iter().chain(["other"]) {
                let control = ("userAccountControl", &b"512"[..]);
                let _ = read(&of_any, &[control, (name, &value)]);
            }
        }
    }
}
