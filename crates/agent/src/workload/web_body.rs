//! Bodies of `capstan web`: a text, or as many bytes as were asked for without holding them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

static FILLER: [u8; 64 * 1024] = [b'x'; 64 * 1024];

#[derive(Debug)]
pub(super) enum Answer {
    Text(Bytes),
    /// Bytes still to send.
    Filler(u64),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Text(text) => std::mem::take(text),
            Self::Filler(left) => {
                let length = (*left).min(FILLER.len() as u64);
                *left -= length;
                Bytes::from_static(&FILLER[..length as usize])
            }
        };
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.len() as u64,
            Self::Filler(left) => *left,
        })
    }
}
