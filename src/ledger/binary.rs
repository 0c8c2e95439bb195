//! The bytes of a record: little-endian numbers in tagged sections with their length, so that a release
//! skips what it does not know and does without what is not there.

/// The bytes are no record, or end too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn;

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the record is torn")
    }
}

impl std::error::Error for Torn {}

#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn f32(&mut self, value: f32) {
        self.0.extend(value.to_le_bytes());
    }

    /// LEB128: a byte where the value is below 128.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    /// A number of things, of which there are at most 2^32.
    pub fn count(&mut self, value: usize) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }

    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend(text.as_bytes());
    }

    /// Bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend(bytes);
    }

    /// A section of what `write` writes; none when that is nothing.
    pub fn section(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        if !inner.0.is_empty() {
            self.u8(tag);
            self.count(inner.0.len());
            self.0.extend(inner.0);
        }
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> Result<u8, Torn> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, Torn> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Torn> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Torn> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, Torn> {
        self.array().map(i64::from_le_bytes)
    }

    /// Never NaN, infinite or negative: counters and peaks are none of these.
    pub fn f32(&mut self) -> Result<f32, Torn> {
        let value = self.array().map(f32::from_le_bytes)?;
        if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(Torn) }
    }

    pub fn varint(&mut self) -> Result<u64, Torn> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                return Err(Torn);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Torn)
    }

    pub fn count(&mut self, limit: usize) -> Result<usize, Torn> {
        let count = self.u32()? as usize;
        if count <= limit { Ok(count) } else { Err(Torn) }
    }

    pub fn text(&mut self) -> Result<&'a str, Torn> {
        let length = self.count(self.0.len())?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Torn)
    }

    /// Bytes with their length.
    pub fn counted(&mut self) -> Result<&'a [u8], Torn> {
        let length = self.count(self.0.len())?;
        self.bytes(length)
    }

    /// The next section; `None` at the end.
    pub fn section(&mut self) -> Result<Option<(u8, Reader<'a>)>, Torn> {
        if self.is_empty() {
            return Ok(None);
        }
        let tag = self.u8()?;
        let length = self.count(self.0.len())?;
        Ok(Some((tag, Self(self.bytes(length)?))))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Torn> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Torn)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Torn> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Torn)?;
        self.0 = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_at_their_edges_and_back() {
        for (value, length) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (16_383, 2),
            (16_384, 3),
            (u64::MAX - 1, 10),
            (u64::MAX, 10),
        ] {
            let mut out = Writer::default();
            out.varint(value);
            let bytes = out.done();
            assert_eq!(bytes.len(), length, "{value}");
            assert_eq!(Reader::new(&bytes).varint(), Ok(value));
            assert_eq!(Reader::new(&bytes[..length - 1]).varint(), Err(Torn), "{value}");
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_torn() {
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(Torn));
        let mut above = [0xff; 10];
        above[9] = 2;
        assert_eq!(Reader::new(&above).varint(), Err(Torn));
    }
}
