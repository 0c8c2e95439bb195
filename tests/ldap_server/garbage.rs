//! Answers that cannot be read.

use super::ber::{INTEGER, SEQUENCE, element, integer, octets};

/// Bytes of no protocol.
pub fn noise() -> Vec<u8> {
    b"\xff\xfe\x00\x01HTTP/1.1 400 Bad Request\r\n\r\n\x80\x80\x80".into()
}

/// A message without anything in it.
pub fn empty_message() -> Vec<u8> {
    element(SEQUENCE, &[])
}

/// A message that is an octet string.
pub fn no_message() -> Vec<u8> {
    octets(b"no message")
}

/// A message that says it has 4 GB, and has not.
pub fn huge_message() -> Vec<u8> {
    [&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff][..], &[0; 1000]].concat()
}

/// Elements within elements, this deep.
pub fn nested(depth: usize) -> Vec<u8> {
    // Written from within: each level's header goes before what is there.
    let (mut reversed, mut length) = (Vec::new(), 0_usize);
    for _ in 0..depth {
        reversed.extend(length.to_be_bytes()[4..].iter().rev());
        reversed.extend([0x84, SEQUENCE]);
        length += 6;
    }
    reversed.reverse();
    reversed
}

/// A search's entry whose attributes are a number.
pub fn odd_entry(id: i32) -> Vec<u8> {
    let entry = element(0x64, &[&octets(b"CN=odd"), &integer(INTEGER, 7)]);
    element(SEQUENCE, &[&integer(INTEGER, id), &entry])
}
