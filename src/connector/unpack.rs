//! Answers that are packed (RFC 9110 section 8.4.1: gzip, deflate), unpacked within a bound of size.
//! No I/O: chunks come from `transport`.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// What a request may say that it takes.
pub(super) const ACCEPTED: &str = "gzip, deflate";

/// Bytes that a body's own word about its length is trusted with before they came.
const TRUSTED: u64 = 1 << 20;

/// Bytes from which on a body is kept in pieces.
const PIECE: usize = 1 << 20;

/// The body is larger than may be.
#[derive(Debug, thiserror::Error)]
#[error("too large")]
pub(super) struct TooLarge;

/// A body as it comes in. It is copied: a slice would keep the client's whole buffer, which is many times
/// as large, for as long as a record of it is on its way.
pub(super) enum Body {
    Plain(Sink),
    Gzip(MultiGzDecoder<Sink>),
    Deflate(ZlibDecoder<Sink>),
}

/// Takes bytes up to a bound.
#[derive(Debug)]
pub(super) struct Sink {
    /// What came before `bytes`, in pieces: to make one large buffer larger would hold it twice meanwhile.
    full: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    length: u64,
    most: u64,
}

impl Sink {
    /// Joins the pieces; each is given back as soon as it was copied.
    fn whole(self) -> Bytes {
        if self.full.is_empty() {
            return self.bytes.into();
        }
        let mut whole = Vec::with_capacity(self.length as usize);
        for piece in self.full.into_iter().chain([self.bytes]) {
            whole.extend_from_slice(&piece);
        }
        whole.into()
    }
}

impl Write for Sink {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let length = self.length + chunk.len() as u64;
        if length > self.most {
            return Err(io::Error::other(TooLarge));
        }
        let fits = self.bytes.len() + chunk.len() <= self.bytes.capacity();
        if !fits && self.bytes.len() >= PIECE {
            let next = Vec::with_capacity(PIECE.max(chunk.len()));
            self.full.push(std::mem::replace(&mut self.bytes, next));
        }
        self.bytes.extend_from_slice(chunk);
        self.length = length;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body {
    /// A body of at most `most` bytes, counted after unpacking; `length` is what it says of itself.
    pub fn new(headers: &HeaderMap, most: u64, length: u64) -> Self {
        let sink = Sink {
            full: Vec::new(),
            length: 0,
            bytes: Vec::with_capacity(length.min(most).min(TRUSTED) as usize),
            most,
        };
        match headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
            Some(coding) if coding.eq_ignore_ascii_case(b"gzip") => {
                Self::Gzip(MultiGzDecoder::new(sink))
            }
            Some(coding) if coding.eq_ignore_ascii_case(b"deflate") => {
                Self::Deflate(ZlibDecoder::new(sink))
            }
            _ => Self::Plain(sink),
        }
    }

    pub fn push(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.write_all(chunk),
            Self::Gzip(packed) => packed.write_all(chunk),
            Self::Deflate(packed) => packed.write_all(chunk),
        }
    }

    /// The whole body, after its last chunk; `any`: there was one.
    pub fn finish(self, any: bool) -> io::Result<Bytes> {
        Ok(match self {
            Self::Plain(sink) => sink.whole(),
            // An answer without a body, such as to HEAD, may name a coding all the same.
            Self::Gzip(_) | Self::Deflate(_) if !any => Bytes::new(),
            Self::Gzip(packed) => packed.finish()?.whole(),
            Self::Deflate(packed) => packed.finish()?.whole(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    fn unpack(coding: &'static str, packed: &[u8], most: u64) -> io::Result<Bytes> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, coding.parse().unwrap())]);
        let mut body = Body::new(&headers, most, packed.len() as u64);
        for chunk in packed.chunks(7) {
            body.push(chunk)?;
        }
        body.finish(!packed.is_empty())
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn every_coding_gives_the_same_body() {
        let text = b"{\"a\": 1}".repeat(100);
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(&text).unwrap();
        let deflate = deflate.finish().unwrap();
        let twice = [gzip(&text[..300]), gzip(&text[300..])].concat();
        for (coding, packed) in [
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            ("GZIP", twice),
            ("deflate", deflate),
        ] {
            assert_eq!(unpack(coding, &packed, 800).unwrap(), text, "{coding}");
        }
        assert_eq!(unpack("gzip", &[], 0).unwrap(), Bytes::new());
    }

    #[test]
    fn a_large_body_is_the_same_from_pieces() {
        let text: Vec<u8> = (0..PIECE * 3 + 17).map(|i| (i % 251) as u8).collect();
        for size in [1_000, PIECE - 1, PIECE, PIECE + 1, PIECE * 2] {
            let most = text.len() as u64;
            let mut body = Body::new(&HeaderMap::new(), most, 0);
            for chunk in text.chunks(size) {
                body.push(chunk).unwrap();
            }
            assert!(body.push(b"x").is_err(), "{size}");
            assert!(body.finish(true).unwrap() == text, "{size}");
        }
    }

    #[test]
    fn the_size_is_counted_after_unpacking() {
        let packed = gzip(&vec![b'x'; 1_000_000]);
        assert!(packed.len() < 2_000);
        let error = unpack("gzip", &packed, 999_999).unwrap_err();
        assert!(
            error.get_ref().is_some_and(|e| e.is::<TooLarge>()),
            "{error}"
        );
        assert!(unpack("identity", b"12345678", 7).is_err());
    }

    #[test]
    fn a_packed_body_that_breaks_off_is_an_error() {
        let packed = gzip(b"a longer text that is packed");
        assert!(unpack("gzip", &packed[..packed.len() - 9], 100).is_err());
    }
}
