//! What must hold for any bytes from outside that this crate decodes. The fuzz targets call these
//! functions, and the tests run them over the corpora. Named by `super`, since the fuzz targets take
//! these sources without the rest of the node.

#![allow(unreachable_pub, reason = "a library where it is fuzzed")]

use futures::executor::block_on;
use quorate_proto::{limits, wire};

use super::frame::{self, FrameError};
use super::keys;

/// A target: bytes from anybody.
pub(crate) type Check = fn(&[u8]);

/// All targets of this crate, by name.
pub(crate) const CHECKS: &[(&str, Check)] = &[("frame", frame), ("keystore", keystore)];

/// A user's stream, as it comes in.
pub fn frame(bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let before = rest;
        let read = block_on(frame::read::<wire::Request>(
            &mut rest,
            limits::MAX_REQUEST_FRAME,
        ));
        let used = before.len() - rest.len();
        assert!(
            used <= limits::MAX_REQUEST_FRAME + 10,
            "no more than a frame is read"
        );
        match read {
            Ok(request) => {
                let mut plain = before;
                let expected =
                    <wire::Request as prost::Message>::decode_length_delimited(&mut plain);
                assert_eq!(
                    expected,
                    Ok(request.clone()),
                    "as any protobuf library reads it"
                );
                assert_eq!(plain.len(), rest.len(), "and as much of it");
                let mut written = Vec::new();
                block_on(frame::write(&mut written, std::slice::from_ref(&request)))
                    .expect("into memory");
                let mut again = written.as_slice();
                let again = frame::read::<wire::Request>(&mut again, limits::MAX_REQUEST_FRAME);
                let again = block_on(again).ok();
                let fits = written.len() <= limits::MAX_REQUEST_FRAME;
                assert!(!fits || again == Some(request), "read(write(x)) is x");
            }
            Err(FrameError::Closed) => return assert!(before.is_empty(), "at the end of a frame"),
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
}

/// A key file.
pub fn keystore(bytes: &[u8]) {
    keys::check_container(bytes);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_corpus_passes_its_checks() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, check) in super::CHECKS {
            let files: Vec<_> = fs::read_dir(corpus.join(name)).expect(name).collect();
            assert!(!files.is_empty(), "{name} has a corpus");
            for file in files {
                let path = file.expect("an entry").path();
                println!("{}", path.display());
                check(&fs::read(path).expect("a file"));
            }
        }
    }
}
