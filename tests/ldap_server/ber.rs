//! BER as LDAP uses it: definite lengths and tags of one byte (RFC 4511, 5.1).

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const OCTETS: u8 = 0x04;
pub const ENUMERATED: u8 = 0x0a;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// A tag, the length and these contents, one after the other.
pub fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|content| content.len()).sum();
    let mut written = vec![tag];
    if length < 0x80 {
        written.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let skipped = length.leading_zeros() as usize / 8;
        written.push(0x80 | (bytes.len() - skipped) as u8);
        written.extend_from_slice(&bytes[skipped..]);
    }
    for content in contents {
        written.extend_from_slice(content);
    }
    written
}

pub fn octets(bytes: &[u8]) -> Vec<u8> {
    element(OCTETS, &[bytes])
}

pub fn integer(tag: u8, number: i32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    // A byte that only repeats the sign of the next is left out (X.690, 8.3.2).
    let is_spare = |at: &usize| {
        let sign = bytes[at + 1] & 0x80;
        (bytes[*at] == 0 && sign == 0) || (bytes[*at] == 0xff && sign != 0)
    };
    let skipped = (0..3).take_while(is_spare).count();
    element(tag, &[&bytes[skipped..]])
}

/// Several elements of octets in one.
pub fn list(tag: u8, values: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<u8> {
    let values: Vec<Vec<u8>> = values.into_iter().map(|value| octets(value.as_ref())).collect();
    element(tag, &[&values.concat()])
}

/// The length in bytes of the element the input begins with; `Ok(None)`: more input is needed.
pub fn length(input: &[u8]) -> Result<Option<usize>, ()> {
    let Some(first) = input.get(1) else { return Ok(None) };
    if *first < 0x80 {
        return Ok(within(input, 2 + usize::from(*first)));
    }
    let many = usize::from(*first & 0x7f);
    if !(1..=4).contains(&many) {
        return Err(());
    }
    let Some(bytes) = input.get(2..2 + many) else { return Ok(None) };
    let content = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    Ok(within(input, 2 + many + content))
}

fn within(input: &[u8], length: usize) -> Option<usize> {
    (input.len() >= length).then_some(length)
}

/// Takes elements off the front of what it reads.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag and its content.
    pub fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let whole = length(self.0).ok()??;
        let header = if self.0[1] < 0x80 { 2 } else { 2 + usize::from(self.0[1] & 0x7f) };
        let (element, rest) = self.0.split_at(whole);
        self.0 = rest;
        Some((element[0], &element[header..]))
    }

    /// The content of the next element, which has this tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, content) = ahead.next()?;
        (found == tag).then(|| {
            *self = ahead;
            content
        })
    }

    pub fn number(&mut self, tag: u8) -> Option<i32> {
        let bytes = self.take(tag)?;
        let sign = if bytes.first()? & 0x80 == 0 { 0 } else { -1 };
        (bytes.len() <= 4)
            .then(|| bytes.iter().fold(sign, |number, byte| number << 8 | i32::from(*byte)))
    }

    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        self.take(OCTETS).map(Into::into)
    }

    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    pub fn boolean(&mut self) -> Option<bool> {
        self.take(BOOLEAN).map(|byte| byte != [0])
    }
}

#[test]
fn numbers_and_long_contents_are_read_as_they_were_written() {
    for number in [0, 1, 127, 128, 255, 256, 65_536, i32::MAX, -1, -128, -129, i32::MIN] {
        let written = integer(INTEGER, number);
        assert_eq!(Reader(&written).number(INTEGER), Some(number), "{written:x?}");
    }
    assert_eq!(integer(INTEGER, 128), [INTEGER, 2, 0, 128]);
    for length in [0, 127, 128, 255, 256, 70_000] {
        let content = vec![7; length];
        let written = octets(&content);
        assert_eq!(Reader(&written).bytes().as_ref(), Some(&content));
        assert_eq!(super::ber::length(&written[..written.len() - 1]), Ok(None), "{length}");
    }
}
