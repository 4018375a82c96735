//! Streams, as they come in.

use std::fmt::Debug;

use futures::executor::block_on;
use prost::Message;
use quorate_proto::{limits, wire};

use crate::frame::{self, FrameError};

/// Bytes of the longest varint.
const LONGEST_LENGTH: usize = 10;

/// A stream of each kind: of a user and its operator, of a peer that catches up and the one it asks.
pub fn frame(bytes: &[u8]) {
    frames::<wire::Request>(bytes, limits::MAX_REQUEST_FRAME);
    frames::<wire::Reply>(bytes, limits::MAX_REPLY_FRAME);
    frames::<wire::SyncQuery>(bytes, limits::MAX_SYNC_REQUEST_FRAME);
    frames::<wire::SyncAnswer>(bytes, limits::MAX_SYNC_REPLY_FRAME);
}

/// Frame after frame, until the end or the first that is none.
fn frames<M: Message + Default + Clone + PartialEq + Debug>(bytes: &[u8], limit: usize) {
    let mut rest = bytes;
    loop {
        let before = rest;
        let read = block_on(frame::read::<M>(&mut rest, limit));
        let used = before.len() - rest.len();
        assert!(
            used <= limit + LONGEST_LENGTH,
            "no more than a frame is read"
        );
        match read {
            Ok(message) => {
                let mut plain = before;
                let expected = M::decode_length_delimited(&mut plain);
                assert_eq!(
                    expected.as_ref(),
                    Ok(&message),
                    "as any protobuf library reads it"
                );
                assert_eq!(plain.len(), rest.len(), "and as much of it");
                written(&message, limit);
            }
            Err(FrameError::Closed) => return assert!(before.is_empty(), "at the end of a frame"),
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
}

fn written<M: Message + Default + Clone + PartialEq + Debug>(message: &M, limit: usize) {
    let mut written = Vec::new();
    block_on(frame::write(&mut written, std::slice::from_ref(message))).expect("into memory");
    let again = block_on(frame::read::<M>(&mut written.as_slice(), limit)).ok();
    // Its plain form may be longer than the one that came.
    let fits = message.encoded_len() <= limit;
    assert!(
        !fits || again.as_ref() == Some(message),
        "read(write(x)) is x"
    );
}
