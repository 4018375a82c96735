//! Messages on a stream: an unsigned varint length and a protobuf message.

use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use prost::Message;

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed the stream between two frames.
    #[error("the stream was closed")]
    Closed,
    /// The connection broke.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
    /// A length above the limit.
    #[error("a frame of {length} bytes is larger than the {limit} that are allowed")]
    TooLarge {
        /// As announced.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Not a varint, or not the expected message.
    #[error("the frame is malformed: {0}")]
    Malformed(String),
}

impl FrameError {
    /// Whether the other side broke the protocol.
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Malformed(_))
    }
}

/// Reads one message of at most `limit` bytes. Memory is taken only as bytes arrive.
pub async fn read<M: Message + Default>(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<M, FrameError> {
    let length = read_length(stream).await?;
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    let mut bytes = Vec::new();
    let wanted = u64::try_from(length).unwrap_or(u64::MAX);
    stream.take(wanted).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    M::decode(bytes.as_slice()).map_err(|e| FrameError::Malformed(e.to_string()))
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> Result<usize, FrameError> {
    let mut buffer = unsigned_varint::encode::usize_buffer();
    for index in 0..buffer.len() {
        let mut byte = [0_u8; 1];
        match stream.read(&mut byte).await? {
            0 if index == 0 => return Err(FrameError::Closed),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => buffer[index] = byte[0],
        }
        if unsigned_varint::decode::is_last(byte[0]) {
            return unsigned_varint::decode::usize(&buffer[..=index])
                .map(|(length, _)| length)
                .map_err(|e| FrameError::Malformed(e.to_string()));
        }
    }
    Err(FrameError::Malformed("length is no varint".into()))
}

/// Writes messages, one frame each, all in one go.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    messages: &[impl Message],
) -> io::Result<()> {
    let frames = messages.iter().map(Message::encode_length_delimited_to_vec);
    stream
        .write_all(&frames.collect::<Vec<_>>().concat())
        .await?;
    stream.flush().await
}

/// Writes what `queue` holds, and what gathered there while the write before was under way, until
/// the queue or the stream is closed, or one write takes longer than `patience`.
pub async fn write_from(
    stream: &mut (impl AsyncWrite + Unpin),
    queue: &mut tokio::sync::mpsc::Receiver<impl Message>,
    patience: Duration,
) -> io::Result<()> {
    let most = queue.max_capacity();
    let mut gathered = Vec::new();
    while queue.recv_many(&mut gathered, most).await > 0 {
        let written = tokio::time::timeout(patience, write(stream, &gathered)).await;
        written.unwrap_or_else(|_| {
            metrics::counter!("quorate_streams_cut_total", "reason" => "slow reader").increment(1);
            Err(io::ErrorKind::TimedOut.into())
        })?;
        gathered.clear();
    }
    stream.close().await
}
