//! A moment as RFC 3339 writes it, for whatever leaves the daemon as JSON.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use crate::mail::Timestamp;

pub fn serialize<S: Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(at)
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    let moment: jiff::Timestamp =
        text.parse().map_err(|_| D::Error::custom("expected a moment as RFC 3339 writes it"))?;
    Ok(Timestamp::from_unix_ms(moment.as_millisecond()))
}

/// One that may be absent.
pub mod if_any {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::mail::{Timestamp, rfc_3339};

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => rfc_3339::serialize(at, out),
            None => out.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        #[derive(Deserialize)]
        struct Moment(#[serde(with = "rfc_3339")] Timestamp);
        Ok(Option::<Moment>::deserialize(from)?.map(|moment| moment.0))
    }
}
