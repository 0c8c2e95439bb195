//! Packets: a length of four bytes (big-endian, the code counted), a code of one byte, a payload
//! (libmilter/comm.c; the same in both directions).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

use crate::wire::milter::Fault;

/// The largest payload taken: Sendmail sends up to 1 MiB - 1 where SMFIP_MDS_1M was agreed, else
/// 65535 bytes, and so does Postfix.
pub const PAYLOAD_LIMIT_BYTES: usize = 1 << 20;

const LENGTH_BYTES: usize = 4;

/// One packet as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub code: u8,
    pub payload: Bytes,
}

/// Cuts a stream into packets. It keeps only what has arrived: a length announced is no memory given.
#[derive(Debug, Default)]
pub struct Codec;

impl Decoder for Codec {
    type Item = Frame;
    type Error = Fault;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Fault> {
        let Some(announced) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let announced = u32::from_be_bytes(*announced);
        if announced == 0 {
            return Err(Fault::NoCommand);
        }
        let length = announced as usize;
        if length > PAYLOAD_LIMIT_BYTES + 1 {
            return Err(Fault::TooLong(announced));
        }
        if buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        buffer.advance(LENGTH_BYTES);
        let mut packet = buffer.split_to(length).freeze();
        Ok(Some(Frame { code: packet.get_u8(), payload: packet }))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Fault> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => Err(Fault::Truncated),
            decoded => Ok(decoded),
        }
    }
}

/// Appends one packet of ours.
pub(super) fn put(out: &mut BytesMut, code: u8, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    out.put_u32(u32::try_from(length + 1).expect("a packet of ours is short"));
    out.put_u8(code);
    for part in payload {
        out.put_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The frames found when the stream comes in pieces of this size, and the kind of fault at its end.
    fn frames(stream: &[u8], piece: usize) -> (Vec<Frame>, Option<&'static str>) {
        let (mut codec, mut buffer, mut found) = (Codec, BytesMut::new(), Vec::new());
        for part in stream.chunks(piece.max(1)) {
            buffer.extend_from_slice(part);
            loop {
                match codec.decode(&mut buffer) {
                    Ok(Some(frame)) => found.push(frame),
                    Ok(None) => break,
                    Err(fault) => return (found, Some(fault.kind())),
                }
            }
        }
        let fault = codec.decode_eof(&mut buffer).err().map(|fault| fault.kind());
        (found, fault)
    }

    fn packet(announced: u32, rest: &[u8]) -> Vec<u8> {
        [&announced.to_be_bytes()[..], rest].concat()
    }

    #[test]
    fn packets_come_one_by_one_however_they_are_cut() {
        let stream = [packet(2, b"Da"), packet(1, b"A"), packet(5, b"Bxy\0z")].concat();
        let expected: Vec<Frame> = [(b'D', &b"a"[..]), (b'A', b""), (b'B', b"xy\0z")]
            .map(|(code, payload)| Frame { code, payload: Bytes::copy_from_slice(payload) })
            .into();
        for piece in 1..=stream.len() {
            assert_eq!(frames(&stream, piece), (expected.clone(), None), "pieces of {piece}");
        }
    }

    #[test]
    fn a_length_of_zero_and_one_too_long_are_faults_at_once() {
        assert_eq!(frames(&packet(0, b""), 1), (vec![], Some("limit")));
        let limit = u32::try_from(PAYLOAD_LIMIT_BYTES + 1).expect("fits");
        assert_eq!(frames(&packet(limit + 1, b""), 4), (vec![], Some("limit")));
        assert_eq!(frames(&packet(u32::MAX, b""), 4), (vec![], Some("limit")));
    }

    #[test]
    fn the_longest_packet_is_taken_whole() {
        let payload = vec![b'x'; PAYLOAD_LIMIT_BYTES];
        let limit = u32::try_from(PAYLOAD_LIMIT_BYTES + 1).expect("fits");
        let stream = packet(limit, &[&b"B"[..], &payload].concat());
        let (found, fault) = frames(&stream, 65536);
        assert_eq!((found[0].payload.len(), fault), (PAYLOAD_LIMIT_BYTES, None));
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let mut buffer = BytesMut::from(&packet(1 << 20, b"B")[..]);
        assert!(Codec.decode(&mut buffer).expect("no fault").is_none());
        assert!(buffer.capacity() < 4096);
    }

    #[test]
    fn a_stream_that_ends_within_a_packet_is_truncated() {
        assert_eq!(frames(&packet(3, b"H"), 99), (vec![], Some("truncated")));
        assert_eq!(frames(b"\0\0", 99), (vec![], Some("truncated")));
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_come_to_the_same(stream: Vec<u8>, piece in 1_usize..40) {
            prop_assert_eq!(frames(&stream, piece), frames(&stream, usize::MAX));
        }
    }
}
